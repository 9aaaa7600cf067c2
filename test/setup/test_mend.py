"""The exported CMake files of the wheels point at this machine after the mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from sernf_setup.mend import mend


@pytest.mark.parametrize("tag", ["cp310-cp310", "cp313-cp313"])
def test_both_paths_are_replaced_and_nothing_else(tmp_path: Path, tag: str) -> None:
    version = f"3.{tag[3:5]}"
    built = f"/opt/python/{tag}"
    exported = tmp_path / "pkg" / "cmake" / "export.cmake"
    exported.parent.mkdir(parents=True)
    exported.write_text(
        f'set(x "{built}/include/python{version};{built}/lib/python{version}/site-packages/numpy/_core/include;/opt/other")\n',
        encoding="utf-8",
    )
    untouched = tmp_path / "pkg" / "readme.txt"
    untouched.write_text(f"{built}/include/python{version}", encoding="utf-8")
    assert mend(tmp_path, "/venv/numpy/include", r"/usr/include/\1python") == 1
    assert exported.read_text(encoding="utf-8") == 'set(x "/usr/include/\\1python;/venv/numpy/include;/opt/other")\n'
    assert untouched.read_text(encoding="utf-8").startswith("/opt/python")
    assert mend(tmp_path, "/venv/numpy/include", r"/usr/include/\1python") == 0
