"""The ``ros2`` command as a program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

TIMEOUT_S = 30.0
LAUNCH_FILE = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, LogInfo
from launch.substitutions import LaunchConfiguration
def generate_launch_description():
    return LaunchDescription([
        DeclareLaunchArgument("robot", default_value="sim", choices=["sim", "real"], description="Which robot."),
        DeclareLaunchArgument("rate", default_value=["1", "0"]),
        DeclareLaunchArgument("must", description="Has no default."),
        ExecuteProcess(cmd=["sh", "-c", ["echo ", LaunchConfiguration("robot"), "; sleep ", LaunchConfiguration("must")]]),
    ])
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A prefix with the package `cell` and its launch file `up.launch.py`."""
    (tmp_path / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (tmp_path / "share/ament_index/resource_index/packages/cell").touch()
    (tmp_path / "share/cell/launch").mkdir(parents=True)
    (tmp_path / "share/cell/launch/up.launch.py").write_text(LAUNCH_FILE)
    prefixes = f"{tmp_path}{os.pathsep}{os.environ.get('AMENT_PREFIX_PATH', '')}"
    return {**os.environ, "AMENT_PREFIX_PATH": prefixes, "ROS_LOG_DIR": str(tmp_path / "log"), "COLUMNS": "120"}


def ros2(*words: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ros2cli.main", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def test_show_args_explains_every_argument(environment: dict[str, str]) -> None:
    result = ros2("launch", "cell", "up.launch.py", "--show-args", environment=environment)
    assert result.returncode == 0
    assert result.stdout == (
        "Arguments (pass arguments as '<name>:=<value>'):\n"
        "\n    'robot':\n        Which robot. Valid choices are: ['sim', 'real']\n        (default: 'sim')\n"
        "\n    'rate':\n        no description given\n        (default: '10')\n"
        "\n    'must':\n        Has no default.\n"
    )


def test_print_shows_the_actions(environment: dict[str, str]) -> None:
    result = ros2("launch", "-p", "cell", "up.launch.py", environment=environment)
    assert result.returncode == 0
    assert "    ExecuteProcess(cmd=['sh', '-c', 'echo ' + LaunchConfig('robot')" in result.stdout


@pytest.mark.parametrize("by_path", [False, True])
def test_runs_a_launch_file_with_its_arguments(by_path: bool, environment: dict[str, str], tmp_path: Path) -> None:
    file = [str(tmp_path / "share/cell/launch/up.launch.py")] if by_path else ["cell", "up.launch.py"]
    result = ros2("launch", "-a", *file, "must:=1", "robot:=sim", "must:=0", "robot:=real", environment=environment)
    assert result.returncode == 0
    assert "[sh-1] real" in result.stdout


def test_a_package_wins_over_a_file_of_its_name(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cell").touch()
    result = ros2("launch", "cell", "up.launch.py", "must:=0", environment=environment)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("cell", "up.launch.py"), "launch argument 'must' is missing (Has no default.)"),
        (("cell", "up.launch.py", "must:=0", "robot:=mock"), "launch argument 'robot': expected one of sim, real, got 'mock'"),
        (("cell", "up.launch.py", "must=0"), "malformed launch argument 'must=0', expected name:=value"),
        (("cell", "down.launch.py"), "no file 'down.launch.py'"),
        (("cel", "up.launch.py"), "package 'cel' is not installed in any of AMENT_PREFIX_PATH; did you mean 'cell'?"),
        (("cell",), "expected the name of a launch file"),
        (("./gone.launch.py",), "launch file ./gone.launch.py does not exist"),
    ],
)
def test_errors_before_anything_starts(words: tuple[str, ...], message: str, environment: dict[str, str]) -> None:
    result = ros2("launch", *words, environment=environment)
    assert result.returncode == 1
    assert message in result.stdout + result.stderr
    assert "process started" not in result.stdout


def test_ctrl_c_ends_the_processes_and_returns_0(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "ros2cli.main", "launch", "cell", "up.launch.py", "must:=600"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "process started" in line:
                break
        process.send_signal(signal.SIGINT)
        output = process.stdout.read()
        assert process.wait(TIMEOUT_S) == 0
    assert "sending signal 'SIGINT'" in output


def test_other_verbs_name_the_ros_installation(environment: dict[str, str]) -> None:
    result = ros2("bag", "record", environment=environment)
    assert result.returncode == 2
    assert "ros-kilted-ros2cli-common-extensions" in result.stderr


def test_help_lists_the_verb(environment: dict[str, str]) -> None:
    result = ros2("--help", environment=environment)
    assert result.returncode == 0
    assert "launch" in result.stdout
