"""Mends the exported CMake files of the ROS wheels, which hold two paths of the machine that built them."""

from __future__ import annotations

import re
from pathlib import Path

_NUMPY = re.compile(r"/opt/python/cp3\d+-cp3\d+/lib/python3\.\d+/site-packages/numpy/_?core/include")
_PYTHON = re.compile(r"/opt/python/cp3\d+-cp3\d+/include/python3\.\d+")


def mend(share: Path, numpy_include: str, python_include: str) -> int:
    """Replace both paths in every CMake file under `share`; returns how many files changed. Doing it twice changes nothing."""
    changed = 0
    for path in share.rglob("*.cmake"):
        before = path.read_text(encoding="utf-8", errors="surrogateescape")
        if "/opt/python/" not in before:
            continue
        after = _PYTHON.sub(lambda _: python_include, _NUMPY.sub(lambda _: numpy_include, before))
        if after != before:
            temporary = path.with_suffix(".new")
            temporary.write_text(after, encoding="utf-8", errors="surrogateescape")
            temporary.replace(path)
            changed += 1
    return changed
