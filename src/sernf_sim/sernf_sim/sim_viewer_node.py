"""Node `sim_viewer`: the simulation in a window, drawn in its own process so that drawing never delays control.

Subscribes `sim/state`. The window opens at the first state, which names the task, and again when the task changes; without
states it says so in the window and in diagnostics. Closing the window ends the node with status 0, a display without OpenGL
with status 1 and a message; nothing else in the graph depends on it. A state that cannot be shown is counted and left out.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rclpy.qos import QoSProfile, ReliabilityPolicy

from sernf_msgs.msg import SimState
from sernf_node import DiagnosticLevel, Diagnostics, SernfNode, run_node

if TYPE_CHECKING:
    from sernf_sim.viewer_window import ViewerWindow

LATEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
NICENESS = 10


@dataclass(frozen=True, kw_only=True)
class ViewerConfig:
    """How it is shown. `stale_after_s`: age of the newest state from which it warns. `panels`: MuJoCo's panels, open at first."""

    rate_hz: float = 30.0
    stale_after_s: float = 1.0
    panels: bool = False

    def __post_init__(self) -> None:
        if not 1.0 <= self.rate_hz <= 120.0:
            raise ValueError(f"rate_hz: expected 1 to 120, got {self.rate_hz}")
        if not self.stale_after_s > 0.0:
            raise ValueError(f"stale_after_s: expected a positive number, got {self.stale_after_s}")


class SimViewerNode(SernfNode[ViewerConfig]):
    """See the module's text."""

    def __init__(self) -> None:
        super().__init__("sim_viewer", ViewerConfig)

    def setup(self) -> None:
        """The subscription; raises WindowError where no window can be opened."""
        # MuJoCo settles its graphics library when it is imported, which must come after `main` has chosen one.
        from sernf_sim.viewer_window import check_graphics

        check_graphics()
        self._window: ViewerWindow | None = None
        self._newest: SimState | None = None
        self._shown: SimState | None = None
        self._received_s = 0.0
        self._frames = self._failures = 0
        self._problem = ""
        self._subscription = self.create_subscription(SimState, "sim/state", self._on_state, LATEST)
        self._diagnostics = Diagnostics(self, self._report, hardware_id="simulation")

    def start(self) -> None:
        """Begin to show."""
        self._timer = self.create_timer(1.0 / self.config.rate_hz, self._draw)

    def stop(self) -> None:
        """The window stays as it is."""
        if hasattr(self, "_timer"):
            self.destroy_timer(self._timer)
            del self._timer

    def teardown(self) -> None:
        """Close the window and release topics."""
        self._close_window()
        if hasattr(self, "_diagnostics"):
            self._diagnostics.destroy()
            self.destroy_subscription(self._subscription)
            del self._diagnostics

    def _on_state(self, message: SimState) -> None:
        self._newest, self._received_s = message, time.monotonic()

    def _draw(self) -> None:
        if self._window is not None and not self._window.is_open:
            self.get_logger().info("the window was closed: the viewer ends, everything else runs on")
            self._close_window()
            self.request_stop()
        if self.stop_requested.done():
            return
        message = self._newest
        if message is not None and message is not self._shown:
            self._shown = message
            self._show(message)
        if self._window is not None:
            self._window.refresh(self._notice())

    def _show(self, message: SimState) -> None:
        from sernf_sim.sim_camera_node import full_state
        from sernf_sim.viewer_window import window_for

        try:
            self._window = window_for(message.task, self._window, panels=self.config.panels)
            self._window.show(full_state(message))
        except ValueError as error:
            self._failures += 1
            self._problem = str(error)
            self.get_logger().error(f"cannot show: {error}", throttle_duration_sec=5.0)
            return
        self._problem = ""
        self._frames += 1

    def _close_window(self) -> None:
        window = getattr(self, "_window", None)
        if window is not None:
            window.close()
            self._window = None

    def _notice(self) -> str:
        if self._problem:
            return "cannot show the newest state, see diagnostics"
        age_s = time.monotonic() - self._received_s
        return f"no state of the simulation for {age_s:.0f} s" if age_s > self.config.stale_after_s else ""

    def _report(self) -> tuple[DiagnosticLevel, str, dict[str, object]]:
        values: dict[str, object] = {"frames": self._frames, "failures": self._failures}
        if self._problem:
            return DiagnosticLevel.ERROR, self._problem, values
        if self._newest is None:
            return DiagnosticLevel.WARN, "no message on sim/state yet: start the bridge with backend sim", values
        age_s = time.monotonic() - self._received_s
        if age_s > self.config.stale_after_s:
            return DiagnosticLevel.WARN, f"sim/state is {age_s:.1f} s old: is the simulation running?", values
        return DiagnosticLevel.OK, "showing", values


def main() -> None:
    """Run the node: with the graphics library that opens windows, and behind control where processors are scarce."""
    os.environ["MUJOCO_GL"] = "glfw"
    os.nice(NICENESS)
    run_node(SimViewerNode)
