"""The real thing: a fresh clone, killed again and again while it sets up, ends in an environment that works."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

KILL_AFTER_S = (3.0, 12.0, 25.0, 45.0, 60.0)
"""Somewhere in environment, downloads, install and build; where exactly depends on the machine, and must not matter."""

PROBE = "import rclpy, launch, message_filters, sernf_msgs.msg, numpy; print(sernf_msgs.msg.JointCommand.__name__)"


def clean_environment() -> dict[str, str]:
    """As in a new shell: nothing of the environment of these tests."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "HTTP", "http", "SSL_", "no_", "NO_"))}
    path = [entry for entry in os.environ["PATH"].split(os.pathsep) if ".venv" not in entry]
    torch = {"SERNF_TORCH_INDEX": "none"}
    return {**kept, **torch, "PATH": os.pathsep.join(path), "HOME": os.environ["HOME"], "LANG": "C.UTF-8"}


def files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_any_moment_a_fresh_clone_still_comes_up(root: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(root), str(clone)], check=True, timeout=120.0)
    command, environment = [str(clone / "sernf"), "setup"], clean_environment()
    for delay_s in KILL_AFTER_S:
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(delay_s)
            process.send_signal(signal.SIGKILL)
    subprocess.run(command, env=environment, check=True, timeout=1200.0)
    probe = subprocess.run(
        [str(clone / "sernf"), "run", "python", "-c", PROBE],
        env=environment,
        check=True,
        timeout=120.0,
        capture_output=True,
        text=True,
    )
    assert probe.stdout.strip() == "JointCommand"
    assert (
        subprocess.run(
            [str(clone / "sernf"), "run", "colcon", "--help"], env=environment, capture_output=True, timeout=120.0
        ).returncode
        == 0
    )
    before = {name: files(clone / name) for name in ("install", "build", ".sernf")}
    quiet = subprocess.run(command, env=environment, check=True, timeout=120.0, capture_output=True, text=True)
    assert quiet.stderr == ""
    assert {name: files(clone / name) for name in before} == before
