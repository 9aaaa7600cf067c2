"""A machine that lacks something is told what, before anything is made."""

from __future__ import annotations

import dataclasses
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from sernf_setup.checks import MachineFacts, check_machine, facts_of
from sernf_setup.child import explain
from sernf_setup.errors import SetupError

GOOD = MachineFacts(
    python=(3, 11),
    implementation="CPython",
    system="Linux",
    architecture="x86_64",
    bits=64,
    glibc=(2, 36),
    has_venv=True,
    has_headers=True,
    compiler="/usr/bin/c++",
    make="/usr/bin/make",
    free_gb=50.0,
)


@pytest.mark.parametrize("minor", [10, 11, 12, 13])
def test_a_whole_machine_passes(minor: int) -> None:
    check_machine(dataclasses.replace(GOOD, python=(3, minor)), wheels=True, fresh=True)


@pytest.mark.parametrize(
    ("change", "expected", "remedy"),
    [
        ({"python": (3, 9)}, "CPython 3.10 to 3.13", "SERNF_PYTHON"),
        ({"python": (3, 14)}, "CPython 3.10 to 3.13", "SERNF_PYTHON"),
        ({"implementation": "PyPy"}, "CPython 3.10 to 3.13", "SERNF_PYTHON"),
        ({"architecture": "aarch64"}, "x86-64", "docker"),
        ({"system": "Darwin"}, "Linux", "docker"),
        ({"bits": 32}, "x86-64", "docker"),
        ({"glibc": None}, "glibc 2.28", "distribution"),
        ({"glibc": (2, 27)}, "glibc 2.28", "distribution"),
        ({"has_venv": False}, "venv", "apt install python3.11-venv"),
        ({"has_headers": False}, "Python.h", "apt install python3.11-dev"),
        ({"compiler": None}, "C++ compiler", "apt install build-essential"),
        ({"make": None}, "make", "apt install build-essential"),
        ({"free_gb": 1.0}, "GB free", "free some"),
    ],
)
def test_each_lack_is_named_with_its_remedy(change: dict[str, object], expected: str, remedy: str) -> None:
    facts = dataclasses.replace(GOOD, **change)  # type: ignore[arg-type]
    with pytest.raises(SetupError) as caught:
        check_machine(facts, wheels=True, fresh=True)
    text = str(caught.value)
    assert expected in text
    assert "got" in text
    assert remedy in text.partition("remedy")[2]


def test_a_small_disk_does_not_stop_a_set_up_that_is_already_there() -> None:
    check_machine(dataclasses.replace(GOOD, free_gb=1.0), wheels=True, fresh=False)


def test_with_ros_installed_any_architecture_will_do() -> None:
    check_machine(dataclasses.replace(GOOD, architecture="aarch64", glibc=None), wheels=False, fresh=True)


def test_this_machine_is_recognised_as_whole(tmp_path: Path) -> None:
    check_machine(facts_of(tmp_path), wheels=True, fresh=False)


def test_a_missing_compiler_is_seen_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    facts = facts_of(tmp_path)
    assert facts.compiler is None
    assert facts.make is None


@pytest.mark.parametrize(
    ("output", "expected", "remedy"),
    [
        ("OSError: [Errno 28] No space left on device", "room on the disk", "free"),
        ("WARNING: Retrying after NewConnectionError: [Errno 101] Network is unreachable", "network connection", "PIP_INDEX_URL"),
        (
            "Temporary failure in name resolution\nERROR: No matching distribution found for torch",
            "network connection",
            "PIP_INDEX_URL",
        ),
        ("ERROR: No matching distribution found for mujoco==9.9.9", "mujoco==9.9.9", "requirements.txt"),
        ("gcc: fatal error: Killed", "step colcon to succeed", ".sernf/log/colcon.log"),
    ],
)
def test_what_a_failed_tool_says_becomes_a_remedy(output: str, expected: str, remedy: str, tmp_path: Path) -> None:
    text = str(explain("colcon", output, tmp_path / ".sernf" / "log" / "colcon.log"))
    assert expected in text
    assert remedy in text.partition("remedy")[2]


def fake_python(folder: Path, name: str, version: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {version}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_the_entry_refuses_a_machine_with_only_an_old_python(root: Path, tmp_path: Path) -> None:
    for tool in ("bash", "dirname", "readlink", "env"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    fake_python(tmp_path, "python3", "3.8")
    answer = subprocess.run(
        [str(root / "sernf"), "up"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=30.0, check=False
    )
    assert answer.returncode == 1
    assert "python3 is 3.8" in answer.stderr
    assert "SERNF_PYTHON" in answer.stderr


def test_help_needs_no_set_up(root: Path, tmp_path: Path) -> None:
    shutil.copy(root / "sernf", tmp_path / "sernf")
    shutil.copytree(root / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    before = sorted(os.listdir(tmp_path))
    answer = subprocess.run([str(tmp_path / "sernf"), "--help"], capture_output=True, text=True, timeout=30.0, check=True)
    assert "ros2 launch sernf bringup.launch.py" in answer.stdout
    assert sorted(os.listdir(tmp_path)) == before


def test_an_unknown_command_is_refused_at_once(root: Path, tmp_path: Path) -> None:
    shutil.copy(root / "sernf", tmp_path / "sernf")
    shutil.copytree(root / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    answer = subprocess.run([str(tmp_path / "sernf"), "fly"], capture_output=True, text=True, timeout=30.0, check=False)
    assert answer.returncode == 2
    assert "'fly'" in answer.stderr
    assert not (tmp_path / ".venv").exists()
