"""Lint and types: the same commands that a contributor runs, with the one configuration in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str) -> str:
    """The tool's complaints; empty when it has none."""
    answer = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600.0,
        check=False,
    )
    return "" if answer.returncode == 0 else answer.stdout + answer.stderr


def test_lint() -> None:
    assert run("ruff", "check", "--quiet", ".") == ""


@pytest.mark.timeout(600)
def test_types() -> None:
    assert run("mypy", "--no-error-summary") == ""


def test_every_package_is_type_checked() -> None:
    configuration = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packages = [path.parent for pattern in ("src/*/setup.py", "pip_ros/*/setup.py") for path in ROOT.glob(pattern)]
    missing = [str(path.relative_to(ROOT)) for path in packages if f'"{path.relative_to(ROOT)}/{path.name}"' not in configuration]
    assert missing == [], "add them to mypy_path and files in pyproject.toml"


def test_modules_stay_short() -> None:
    folders = [ROOT / name for name in ("src", "tools", "pip_ros", "launch", "test")]
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for folder in folders for path in folder.rglob("*.py")}
    assert {str(path.relative_to(ROOT)): length for path, length in lengths.items() if length > 400} == {}
