"""The newest of everything that an observation is made of, and whether it is fresh enough to act on.

Stamps decide, not arrivals: of each topic the message with the latest stamp counts, and its age is taken by the same wall clock.
What is missing, stale or from a wrong clock is named by its topic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sernf_policy.camera_watch import CameraConfig, CameraWatch
from sernf_policy.layout import CameraView
from sernf_policy.observation import Snapshot

Array = NDArray[np.float64]
NS_PER_S = 1_000_000_000
LARGEST_NORM_ERROR = 0.01
JUMP_RAD_S = 8.0
"""Twice what any joint may do."""
SHORTEST_S = 0.004


@dataclass(frozen=True, kw_only=True)
class StalenessConfig:
    """The oldest stamps that are acted on, s. `most_ahead_s`: stamps further in the future come from a wrong clock."""

    joint_states_s: float = 0.05
    bridge_state_s: float = 0.1
    objects_s: float = 0.2
    most_ahead_s: float = 0.1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0.0 < value <= 10.0:
                raise ValueError(f"{name}: expected more than 0 and at most 10 s, got {value}")


@dataclass(frozen=True, kw_only=True)
class BridgeReading:
    """What `bridge_state` says. Positions (A,) rad in the robot's order; `mode`: lower case; `clipped`: the filter, just now."""

    stamp_ns: int
    mode: str
    fault: str
    reason: str
    selected_source: str
    active_source: str
    requested_rad: Array
    executed_rad: Array
    command_stamp_ns: int
    clipped: bool

    @property
    def follows(self) -> bool:
        """Whether somebody's commands are being executed."""
        return self.mode == "track"


class ObservationSync:
    """Takes messages in any order; one thread."""

    def __init__(self, config: StalenessConfig, cameras: CameraConfig | None = None) -> None:
        self._config = config
        self.cameras = CameraWatch(cameras or CameraConfig())
        self._stamps: dict[str, int] = {}
        self._objects: dict[str, tuple[Array, Array]] = {}
        self._joints: Array | None = None
        self._clipped_command = False
        self.bridge: BridgeReading | None = None
        self.jumps = 0
        """how often the executed pose was somewhere else at once, as after a reset of the simulation"""

    def set_joints(self, stamp_ns: int, position_rad: Array, now_ns: int) -> None:
        """Measured joints (A,) rad, in the robot's order."""
        if self._is_newer("joint_states", stamp_ns, now_ns):
            self._joints = position_rad

    def set_object(self, name: str, stamp_ns: int, position_m: Array, quaternion: Array, now_ns: int) -> None:
        """Pose of an object in the base frame: (3,) m and unit quaternion (4,) wxyz."""
        if self._is_newer(object_topic(name), stamp_ns, now_ns):
            self._objects[name] = (position_m, quaternion)

    def set_bridge(self, reading: BridgeReading, now_ns: int) -> None:
        """The bridge has spoken."""
        if not self._is_newer("bridge_state", reading.stamp_ns, now_ns):
            return
        before = self.bridge
        same_command = before is not None and before.command_stamp_ns == reading.command_stamp_ns
        # The filter works at every control tick of the bridge: what it changed since the command came counts.
        self._clipped_command = reading.clipped or (same_command and self._clipped_command)
        if before is not None:
            elapsed_s = max((reading.stamp_ns - before.stamp_ns) / NS_PER_S, SHORTEST_S)
            self.jumps += bool((np.abs(reading.executed_rad - before.executed_rad) > JUMP_RAD_S * elapsed_s).any())
        self.bridge = reading

    def _is_newer(self, topic: str, stamp_ns: int, now_ns: int) -> bool:
        """Older ones are left out, unless what is known comes from a clock that has been set back."""
        known_ns = self._stamps.get(topic)
        if known_ns is not None and stamp_ns < known_ns <= now_ns + self._config.most_ahead_s * NS_PER_S:
            return False
        self._stamps[topic] = stamp_ns
        return True

    def obstacle(self, now_ns: int, objects: Sequence[str], views: Sequence[CameraView] = ()) -> str:
        """Why there is no observation now, naming the topic and what to do; empty when there is one."""
        config = self._config
        limits = {"joint_states": config.joint_states_s, "bridge_state": config.bridge_state_s}
        limits |= {object_topic(name): config.objects_s for name in objects}
        for topic, limit_s in limits.items():
            age_s = self.age_s(topic, now_ns)
            if age_s is None:
                return f"{topic}: no message yet; is {_sender(topic)} running?"
            if age_s > limit_s:
                return f"{topic}: the newest message is {age_s:.2f} s old, expected at most {limit_s:g} s; see {_sender(topic)}"
            if -age_s > config.most_ahead_s:
                return f"{topic}: the stamp lies {-age_s:.2f} s in the future: synchronise the clocks"
        values = {"joint_states": self._joints, "bridge_state": self._commanded()}
        values |= {object_topic(name): np.concatenate(self._objects[name]) for name in objects}
        for topic, numbers in values.items():
            if numbers is None or not np.isfinite(numbers).all():
                return f"{topic}: expected finite numbers, got NaN or infinity; {_when_not_finite(topic)}"
        for name in objects:
            norm = float(np.linalg.norm(self._objects[name][1]))
            if abs(norm - 1.0) > LARGEST_NORM_ERROR:
                topic = object_topic(name)
                return f"{topic}: expected a unit quaternion, got one of norm {norm:.3f}; see {_sender(topic)}"
        return self.cameras.obstacle(now_ns, views)

    def age_s(self, topic: str, now_ns: int) -> float | None:
        """Age of the newest message by its stamp; None before the first."""
        stamp_ns = self._stamps.get(topic)
        return None if stamp_ns is None else (now_ns - stamp_ns) / NS_PER_S

    @property
    def joints_stamp_ns(self) -> int:
        """Stamp of the joint state that the next snapshot holds; 0 before the first."""
        return self._stamps.get("joint_states", 0)

    def snapshot(self, order: NDArray[np.intp], objects: Sequence[str], views: Sequence[CameraView] = ()) -> Snapshot:
        """The observation's ingredients with joints reordered by `order`; only while `obstacle` says nothing.

        What eyes make of pictures is left 0: `Planner.look` puts it in, in the inference thread.
        """
        assert self._joints is not None
        return Snapshot(
            joint_position_rad=self._joints[order],
            commanded_position_rad=self.commanded(order),
            object_poses={name: self._objects[name] for name in objects},
            features={view.name: np.zeros(view.features, dtype=np.float32) for view in views},
        )

    def commanded(self, order: NDArray[np.intp]) -> Array:
        """The joint targets in effect (A,) rad, reordered by `order`; only while `obstacle` says nothing."""
        commanded = self._commanded()
        assert commanded is not None
        return commanded[order]

    def _commanded(self) -> Array | None:
        """The joint targets in effect: those that the bridge follows; where the filter changed them, what it executes instead."""
        bridge = self.bridge
        if bridge is None:
            return None
        return bridge.requested_rad if bridge.follows and not self._clipped_command else bridge.executed_rad


def object_topic(name: str) -> str:
    """Topic of an object's poses."""
    return f"objects/{name}/pose"


def _sender(topic: str) -> str:
    return "hw_bridge" if not topic.startswith("objects/") else "the simulation or the pose estimator"


def _when_not_finite(topic: str) -> str:
    return "arm the bridge with hw_bridge/clear_fault" if topic == "bridge_state" else f"look at {_sender(topic)}"
