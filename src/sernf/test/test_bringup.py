"""The bringup launch file, run by `ros2 launch`, with small programs in the places of the nodes."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

TIMEOUT_S = 30.0
ROOT = Path(__file__).parents[3]
NODES = {
    "hw_bridge": "sernf_hw_bridge",
    "sim_camera": "sernf_sim",
    "teleop": "sernf_teleop",
    "episode_recorder": "sernf_teleop",
    "episode_runner": "sernf",
}
NODE = """#!/bin/sh
echo up $$
for word in "$@"; do case "$last" in --params-file) cp "$word" "$BRINGUP_TEST/{name}.yaml.part";; esac; last="$word"; done
mv "$BRINGUP_TEST/{name}.yaml.part" "$BRINGUP_TEST/{name}.yaml"
trap 'exit 0' INT
while :; do sleep 0.1; done
"""


class Prefix:
    """An install prefix with the launch file and programs that say how they were started, and run until SIGINT."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "share/sernf/config"
        (path / "share/sernf/launch").mkdir(parents=True)
        shutil.copy(ROOT / "launch/bringup.launch.py", path / "share/sernf/launch")
        self.config.mkdir()
        (path / "share/ament_index/resource_index/packages").mkdir(parents=True)
        for name, package in NODES.items():
            self.add_node(name, package)
        for package in ("sernf_policy", "sernf_learner"):
            # Without a node, and in front of the ones that have been built.
            (path / "share/ament_index/resource_index/packages" / package).touch()
        self.environment = {
            **os.environ,
            "AMENT_PREFIX_PATH": f"{path}{os.pathsep}{os.environ.get('AMENT_PREFIX_PATH', '')}",
            "BRINGUP_TEST": str(path),
            "ROS_LOG_DIR": str(path / "log"),
        }
        for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
            self.environment.pop(variable, None)

    def add_node(self, name: str, package: str) -> None:
        (self.path / "share/ament_index/resource_index/packages" / package).touch()
        program = self.path / "lib" / package / f"{name}_node"
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(NODE.format(name=name))
        program.chmod(0o755)
        (self.config / f"{name}.yaml").touch()

    def ship_weights(self, task: str) -> None:
        folder = self.path / "share/sernf_policy/weights" / task
        folder.mkdir(parents=True)
        (folder / "online.safetensors").touch()

    def parameters(self, name: str) -> dict[str, Any]:
        """What the node was given; waits until it has started."""
        file = self.path / f"{name}.yaml"
        wait_until(file.is_file, lambda: f"node {name}")
        content: dict[str, Any] = next(iter(yaml.safe_load(file.read_text()).values()))["ros__parameters"]
        return content


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    return Prefix(tmp_path)


def wait_until(condition: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {TIMEOUT_S} s for {what()}"
        time.sleep(0.02)


def command(*words: str) -> list[str]:
    ros2 = shutil.which("ros2")
    return [*([ros2] if ros2 else [sys.executable, "-m", "ros2cli.main"]), "launch", "sernf", "bringup.launch.py", *words]


class Running:
    """A bringup in the background."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def output(self) -> str:
        return self._log.read_text()

    def wait_for(self, pattern: str, count: int = 1) -> list[str]:
        wait_until(lambda: len(re.findall(pattern, self.output)) >= count, lambda: f"{pattern} in\n{self.output}")
        return re.findall(pattern, self.output)

    def pid_of(self, node: str) -> int:
        return int(self.wait_for(rf"\[{node}_node-\d+\] up (\d+)")[0])


@contextlib.contextmanager
def running(prefix: Prefix, *words: str) -> Iterator[Running]:
    log = prefix.path / "output.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(command(*words), env=prefix.environment, cwd=prefix.path, stdout=output, stderr=output)
    try:
        yield Running(process, log)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run(environment: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_by_default_the_simulated_robot_demonstrates(prefix: Prefix) -> None:
    with running(prefix) as bringup:
        bringup.wait_for(r"\] up \d+", 4)
        bridge = prefix.parameters("hw_bridge")
        assert bridge == {
            "config_file": str(prefix.config / "hw_bridge.yaml"),
            "arm": "sim",
            "hand": "sim",
            "task": "duck",
            "physics": "nominal",
            "seed": 1,
        }
        teleop = prefix.parameters("teleop")
        assert (teleop["device"], teleop["rate_hz"], teleop["task"]) == ("demonstrator", 20.0, "duck")
        assert prefix.parameters("episode_recorder")["directory"] == str(prefix.path / "runs/episodes")
        runner = prefix.parameters("episode_runner")
        assert (runner["seed"], runner["source"]) == (1, "demonstrator")
        assert not (prefix.path / "sim_camera.yaml").exists()


def test_arguments_reach_the_nodes(prefix: Prefix) -> None:
    words = ("robot:=mock", "hand:=orca", "operator:=gamepad", "recorder:=false", "control_rate_hz:=25", "bridge_rate_hz:=200")
    with running(prefix, *words, "seed:=7", "timing_file:=times.bin") as bringup:
        bringup.wait_for(r"\] up \d+", 2)
        bridge = prefix.parameters("hw_bridge")
        assert (bridge["arm"], bridge["hand"], bridge["seed"]) == ("mock", "orca", 7)
        assert bridge["control.rate_hz"] == 200.0
        assert bridge["timing_file"] == str(prefix.path / "times.bin")
        teleop = prefix.parameters("teleop")
        assert (teleop["device"], teleop["rate_hz"]) == ("gamepad", 25.0)
        assert bringup.output.count("process started") == 2


def test_the_end_of_the_bridge_ends_everything_with_a_failure(prefix: Prefix) -> None:
    with running(prefix) as bringup:
        bringup.wait_for(r"\] up \d+", 4)
        teleop = bringup.pid_of("teleop")
        os.kill(bringup.pid_of("hw_bridge"), signal.SIGKILL)
        assert bringup.process.wait(TIMEOUT_S) != 0
        assert "hw_bridge has ended" in bringup.output
        wait_until(lambda: not Path(f"/proc/{teleop}").exists(), lambda: f"the end of teleop {teleop}")


def test_interrupted_it_ends_well(prefix: Prefix) -> None:
    with running(prefix, "robot:=mock") as bringup:
        bringup.wait_for(r"\] up \d+", 2)
        bringup.process.send_signal(signal.SIGINT)
        bringup.process.wait(TIMEOUT_S)
        assert "hw_bridge has ended" not in bringup.output
        assert "Traceback" not in bringup.output


def test_recorder_and_cameras_come_back_but_nothing_that_moves_the_robot_does(prefix: Prefix) -> None:
    with running(prefix, "cameras:=true") as bringup:
        bringup.wait_for(r"\] up \d+", 5)
        for node in ("teleop", "episode_runner", "sim_camera", "episode_recorder"):
            os.kill(bringup.pid_of(node), signal.SIGKILL)
        for node in ("sim_camera", "episode_recorder"):
            bringup.wait_for(rf"\[{node}_node-\d+\] up \d+", 2)
        assert bringup.output.count("] up ") == 7
        assert bringup.process.poll() is None


def test_policy_and_learner_run_where_they_are_installed(prefix: Prefix) -> None:
    prefix.add_node("policy", "sernf_policy")
    (prefix.path / "w.safetensors").touch()
    with running(prefix, "robot:=mock", "recorder:=false", "weights:=w.safetensors") as bringup:
        bringup.wait_for(r"\] up \d+", 2)
        policy = prefix.parameters("policy")
        assert (policy["rate_hz"], policy["task"]) == (20.0, "duck")
        assert policy["weights"] == str(prefix.path / "w.safetensors"), "the node may run in another folder"
        assert bringup.output.count("process started") == 2


def test_a_policy_without_weights_waits_for_the_learner_while_the_robot_demonstrates(prefix: Prefix) -> None:
    prefix.add_node("policy", "sernf_policy")
    with running(prefix) as bringup:
        bringup.wait_for(r"\] up \d+", 5)
        assert prefix.parameters("policy")["task"] == "duck"
        assert prefix.parameters("episode_runner")["source"] == "demonstrator"


def test_a_policy_on_the_simulated_robot_runs_episodes_instead_of_demonstrations(prefix: Prefix) -> None:
    prefix.add_node("policy", "sernf_policy")
    prefix.ship_weights("duck")
    prefix.add_node("learner", "sernf_learner")
    with running(prefix) as bringup:
        bringup.wait_for(r"\] up \d+", 6)
        runner = prefix.parameters("episode_runner")
        assert (runner["source"], runner["record"], runner["task"]) == ("policy", True, "duck")
        learner = bringup.pid_of("learner")
        os.kill(learner, signal.SIGKILL)
        bringup.wait_for(r"\[learner_node-\d+\] up \d+", 2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("robot:=simulated",), "simulated"),
        (("rollouts:=true",), "rollouts: expected a policy on a simulated robot, got policy False"),
        (("policy:=true", "rollouts:=true", "demonstrate:=true"), "expected at most one of them, got both"),
        (("robt:=mock",), "unknown launch argument 'robt'; did you mean 'robot'?"),
        (("seed:=-1",), "seed: expected 0 or more, got -1"),
        (("seed:=one",), "seed: expected an integer, got 'one'"),
        (("control_rate_hz:=5",), "control_rate_hz: expected a number from 10 to 100, got '5'"),
        (("bridge_rate_hz:=nan",), "bridge_rate_hz: expected a number from 50 to 1000, got 'nan'"),
        (("task:=cube", "operator:=demonstrator"), "there is a demonstrator for duck, scissors, none for cube"),
        (("robot:=mock", "operator:=demonstrator"), "the demonstrator needs arm and hand simulated, got arm mock and hand mock"),
        (("operator:=keyboard", "teleop:=true"), "run ./sernf teleop in a second terminal"),
        (("operator:=none", "demonstrate:=true"), "demonstrate: expected operator demonstrator"),
        (("robot:=real", "cameras:=true"), "real cameras are published by their own drivers"),
        (("config:=/no/such",), "expected a file hw_bridge.yaml in /no/such, found none"),
        (("learner:=true",), "learner_node of package sernf_learner is not installed"),
    ],
)
def test_what_cannot_work_is_told_before_anything_starts(words: tuple[str, ...], message: str, prefix: Prefix) -> None:
    result = run(prefix.environment, *words)
    assert result.returncode == 1
    assert message in result.stdout
    assert "process started" not in result.stdout


def test_a_node_that_is_not_built_is_named(prefix: Prefix) -> None:
    (prefix.path / "lib/sernf_teleop/episode_recorder_node").unlink()
    result = run(prefix.environment)
    assert result.returncode == 1
    assert "episode_recorder_node of package sernf_teleop is not installed" in result.stdout


def test_no_window_without_a_display(prefix: Prefix) -> None:
    with running(prefix, "headless:=false") as bringup:
        bringup.wait_for("no window: neither DISPLAY nor WAYLAND_DISPLAY is set")
        bringup.wait_for(r"\] up \d+", 4)


def test_the_keyboard_is_left_to_a_second_terminal(prefix: Prefix) -> None:
    with running(prefix, "operator:=keyboard", "recorder:=false") as bringup:
        bringup.wait_for("run ./sernf teleop in a second terminal")
        bringup.wait_for(r"\] up \d+")
        assert bringup.output.count("process started") == 1


def test_show_args_explains_every_argument(prefix: Prefix) -> None:
    result = run(prefix.environment, "--show-args")
    assert result.returncode == 0
    names = re.findall(r"^    '(\w+)':$", result.stdout, re.MULTILINE)
    assert {"robot", "arm", "hand", "task", "physics", "policy", "learner", "teleop", "recorder", "cameras", "headless"} <= set(
        names
    )
    assert "no description given" not in result.stdout
