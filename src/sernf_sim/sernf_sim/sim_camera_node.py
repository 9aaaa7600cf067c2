"""Node `sim_camera`: pictures of the simulation, rendered in its own process so that rendering never delays control.

A picture is drawn as soon as the state for it has come, so that it is no older than drawing takes.

Subscribes `sim/state`, publishes `camera/<name>/image_raw` (rgb8, stamped with the state's stamp). Without states it publishes
nothing and says so in diagnostics; a state that cannot be drawn is counted and left out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from sernf_msgs.msg import SimState
from sernf_node import DiagnosticLevel, Diagnostics, SernfNode, run_node
from sernf_sim.camera_noise import with_noise
from sernf_sim.cameras import RenderError, WorldRenderer
from sernf_sim.tasks.scenery import CAMERAS
from sernf_sim.world import FullState

LATEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


@dataclass(frozen=True, kw_only=True)
class CameraConfig:
    """What is rendered. `stale_after_s`: age of the newest state from which diagnostics warn."""

    cameras: tuple[str, ...] = CAMERAS
    width_px: int = 128
    height_px: int = 128
    rate_hz: float = 10.0
    stale_after_s: float = 1.0

    def __post_init__(self) -> None:
        unknown = [name for name in self.cameras if name not in CAMERAS]
        if unknown or not self.cameras:
            raise ValueError(f"cameras: expected some of {', '.join(CAMERAS)}, got {list(self.cameras)}")
        if not (16 <= self.width_px <= 1920 and 16 <= self.height_px <= 1080):
            raise ValueError(f"width_px, height_px: expected 16 to 1920 and 16 to 1080, got {self.width_px} and {self.height_px}")
        if not 0.1 <= self.rate_hz <= 60.0:
            raise ValueError(f"rate_hz: expected 0.1 to 60, got {self.rate_hz}")
        if self.stale_after_s <= 0.0:
            raise ValueError(f"stale_after_s: expected a positive number, got {self.stale_after_s}")


class SimCameraNode(SernfNode[CameraConfig]):
    """See the module's text."""

    def __init__(self) -> None:
        super().__init__("sim_camera", CameraConfig)

    def setup(self) -> None:
        """Publishers and the subscription; the graphics context is opened at the first state, which names the task."""
        self._renderer: WorldRenderer | None = None
        self._newest: SimState | None = None
        self._received_s = self._due_s = 0.0
        self._is_active = False
        self._frames = self._failures = 0
        self._render_ms: list[float] = []
        self._rng = np.random.default_rng()
        self._problem = ""
        self._image_publishers = {
            name: self.create_publisher(Image, f"camera/{name}/image_raw", LATEST) for name in self.config.cameras
        }
        self._subscription = self.create_subscription(SimState, "sim/state", self._on_state, LATEST)
        self._diagnostics = Diagnostics(self, self._report, hardware_id="simulation")

    def start(self) -> None:
        """Begin to render."""
        self._is_active = True

    def stop(self) -> None:
        """No more pictures."""
        self._is_active = False

    def teardown(self) -> None:
        """Release graphics and topics."""
        renderer = getattr(self, "_renderer", None)
        if renderer is not None:
            renderer.close()
            self._renderer = None
        if hasattr(self, "_diagnostics"):
            self._diagnostics.destroy()
            self.destroy_subscription(self._subscription)
            for publisher in self._image_publishers.values():
                self.destroy_publisher(publisher)
            del self._diagnostics

    def _on_state(self, message: SimState) -> None:
        now_s = self._received_s = time.monotonic()
        self._newest = message
        if self._is_active and now_s >= self._due_s:
            period_s = 1.0 / self.config.rate_hz
            self._due_s = max(self._due_s + period_s, now_s)  # states come at their own times: the rate holds in the mean
            self._draw(message)

    def _draw(self, message: SimState) -> None:
        state = full_state(message)
        started_s = time.perf_counter()
        try:
            renderer = self._renderer_for(state.task)
            for name, publisher in self._image_publishers.items():
                publisher.publish(image_message(with_noise(renderer.render(state, name), self._rng), message, name))
        except (RenderError, ValueError) as error:
            self._failures += 1
            self._problem = str(error)
            self.get_logger().error(f"cannot draw: {error}", throttle_duration_sec=5.0)
            return
        self._problem = ""
        self._frames += 1
        self._render_ms = [*self._render_ms[-49:], (time.perf_counter() - started_s) * 1e3]

    def _renderer_for(self, task: str) -> WorldRenderer:
        if self._renderer is None or self._renderer.task != task:
            if self._renderer is not None:
                self._renderer.close()
                self._renderer = None
            self._renderer = WorldRenderer(task, width_px=self.config.width_px, height_px=self.config.height_px)
        return self._renderer

    def _report(self) -> tuple[DiagnosticLevel, str, dict[str, object]]:
        age_s = time.monotonic() - self._received_s
        values: dict[str, object] = {"frames": self._frames, "failures": self._failures}
        if self._render_ms:
            values["render_ms_p50"] = round(float(np.median(self._render_ms)), 1)
        if self._problem:
            return DiagnosticLevel.ERROR, self._problem, values
        if self._newest is None:
            return DiagnosticLevel.WARN, "no message on sim/state yet: start the bridge with backend sim", values
        if age_s > self.config.stale_after_s:
            return DiagnosticLevel.WARN, f"sim/state is {age_s:.1f} s old: is the simulation running?", values
        return DiagnosticLevel.OK, "rendering", values


def full_state(message: SimState) -> FullState:
    """The state inside a message."""
    qpos, mocap = (np.array(values, dtype=np.float64) for values in (message.qpos, message.mocap))
    return FullState(message.task, int(message.seed), message.time_s, qpos, mocap)


def image_message(picture: np.ndarray, state: SimState, camera: str) -> Image:
    """An rgb8 image of `picture` (height, width, 3) uint8 with the stamp of the state."""
    image = Image(height=picture.shape[0], width=picture.shape[1], encoding="rgb8", is_bigendian=0, step=picture.shape[1] * 3)
    image.header.stamp = state.header.stamp
    image.header.frame_id = f"camera_{camera}"
    image.data = picture.tobytes()
    return image


def main() -> None:
    """Run the node."""
    run_node(SimCameraNode)
