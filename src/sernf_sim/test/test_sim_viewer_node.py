"""The viewer as a process: a window on a virtual screen where Xvfb is installed, and a clear end where no window can be.

What it shows of a state is tested without any screen beside this, in test_shown_state.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from x_screen import XVFB, x_screen

from sernf_msgs.msg import SimState
from sernf_robot.joints import JOINTS
from sernf_sim.physics import Physics
from sernf_sim.sim_viewer_node import LATEST, ViewerConfig
from sernf_sim.world import SimWorld

PATIENCE_S = 60.0
VIEWER = "from sernf_sim.sim_viewer_node import main; main()"
VIEWER_WITH_TWO_TASKS = "from sernf_sim import tasks; tasks.TASKS['duck_again'] = tasks.TASKS['duck']; " + VIEWER


def start_viewer(display: str | None, code: str = VIEWER) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    # What other nodes may need must not keep this one from its window.
    environment |= {"MUJOCO_GL": "egl", **({"DISPLAY": display} if display else {})}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status and output of a process that ends by itself."""
    try:
        output, _ = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    return process.returncode, output


@pytest.mark.parametrize("changes", [{"rate_hz": 0.0}, {"rate_hz": 1000.0}, {"stale_after_s": 0.0}])
def test_the_configuration_is_checked(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        ViewerConfig(**changes)


def test_without_a_display_it_says_so_and_ends_with_status_1() -> None:
    status, output = finish(start_viewer(None))
    assert status == 1
    assert "no window: there is no display" in output
    assert "headless:=true" in output


class Simulation:
    """Plays the simulation, and hears what the viewer says about itself."""

    def __init__(self) -> None:
        self._node = Node("viewer_test_peer")
        self._publisher = self._node.create_publisher(SimState, "sim/state", LATEST)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._world = SimWorld("duck", Physics(), 0)
        self.level, self.message, self.values = -1, "", dict[str, str]()

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        status: DiagnosticStatus
        for status in array.status:
            if status.name == "sim_viewer":
                self.level, self.message = status.level[0], status.message
                self.values = {pair.key: pair.value for pair in status.values}

    def move(self) -> None:
        """Let the robot go elsewhere."""
        self._world.step(self._world.joint_position() + 0.3 * np.ones(len(JOINTS)), 1.0)

    def wait_until(self, condition: Callable[[], bool], *, sending: dict[str, Any] | None = None) -> bool:
        """Whether `condition` comes to hold, while states with the changes `sending` go out; None: no states."""
        end_s = time.monotonic() + PATIENCE_S
        while not condition() and time.monotonic() < end_s:
            if sending is not None:
                state = self._world.full_state()
                message = SimState(task=state.task, seed=state.seed, time_s=state.time_s, qpos=state.qpos, mocap=state.mocap)
                for name, value in sending.items():
                    setattr(message, name, value)
                self._publisher.publish(message)
            pause_end_s = time.monotonic() + 0.03
            while (left_s := pause_end_s - time.monotonic()) > 0.0:
                self._executor.spin_once(timeout_sec=left_s)
        return condition()

    def close(self) -> None:
        self._executor.shutdown(timeout_sec=5.0)
        self._node.destroy_node()


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    rclpy.init()
    made = Simulation()
    yield made
    made.close()
    rclpy.try_shutdown()


if XVFB:

    def test_shows_the_robot_through_all_that_happens_until_its_user_closes_it(simulation: Simulation, tmp_path: Path) -> None:
        with x_screen(tmp_path) as screen:
            viewer = start_viewer(screen.name, VIEWER_WITH_TWO_TASKS)
            try:
                empty = screen.picture()
                assert simulation.wait_until(lambda: "no message on sim/state yet" in simulation.message)
                np.testing.assert_array_equal(screen.picture(), empty)

                def differs_from(picture: np.ndarray) -> bool:
                    return bool((np.abs(screen.picture().astype(int) - picture).max(axis=2) > 40).mean() > 0.01)

                assert simulation.wait_until(lambda: differs_from(empty) and simulation.level == 0, sending={})
                at_start = screen.picture()
                assert len(np.unique(at_start.reshape(-1, 3), axis=0)) > 500, "a drawn scene has many colours"
                simulation.move()
                assert simulation.wait_until(lambda: differs_from(at_start), sending={})

                assert simulation.wait_until(lambda: "s old" in simulation.message)
                for bad in ({"task": "sponge"}, {"qpos": [0.0]}, {"qpos": [float("nan")] * 31}):
                    failures = simulation.values["failures"]
                    assert simulation.wait_until(
                        lambda failures=failures: simulation.level == 2 and simulation.values["failures"] != failures, sending=bad
                    )
                assert simulation.wait_until(lambda: simulation.level == 0, sending={})

                frames = int(simulation.values["frames"])
                again = {"task": "duck_again"}
                assert simulation.wait_until(
                    lambda: int(simulation.values["frames"]) > frames + 10 and simulation.level == 0, sending=again
                )
                assert simulation.wait_until(lambda: differs_from(empty), sending=again)
                assert viewer.poll() is None, "it still runs"
                assert screen.close_windows() == 1
                assert simulation.wait_until(lambda: viewer.poll() is not None, sending=again)
            finally:
                status, output = finish(viewer)
        assert status == 0, output
        assert "the window was closed" in output

    def test_without_opengl_it_says_so_and_ends_with_status_1(tmp_path: Path) -> None:
        with x_screen(tmp_path, opengl=False) as screen:
            status, output = finish(start_viewer(screen.name))
        assert status == 1
        assert "no window: the display has no OpenGL" in output
        assert "libgl1" in output
