"""The simulated robot in real time: one world, shared by the parts that are simulated.

The world advances by one control period per control tick, when the first part reads again; so simulated time is real time as
long as the ticks are. A part that is not simulated (an arm in simulation with a mock hand) stays at its start pose in the world.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from sernf_hw_bridge.backends.protocol import BackendError, JointReading, check_target
from sernf_hw_bridge.trajectories import Array
from sernf_robot.joints import JOINTS, indices_of
from sernf_sim.physics import load_physics
from sernf_sim.world import SimWorld


class SharedWorld:
    """A `SimWorld` that arm and hand share. Built at the first `connect`; raises BackendError when used before."""

    def __init__(self, task: str, physics: str, seed: int, period_s: float) -> None:
        self._task, self._physics, self._seed, self._period_s = task, physics, seed, period_s
        self._world: SimWorld | None = None
        self._target: Array = np.zeros(len(JOINTS))
        self.version = 0
        """Counts measurements."""
        self.stamp_s = 0.0
        self.position_rad: Array = np.zeros(len(JOINTS))
        self.velocity_rad_s: Array = np.zeros(len(JOINTS))

    @property
    def world(self) -> SimWorld:
        if self._world is None:
            raise BackendError("sim: expected a connected world, got none; call connect first")
        return self._world

    def connect(self) -> None:
        """Compile the world, once."""
        if self._world is None:
            self._world = SimWorld(self._task, load_physics(self._physics), self._seed)
            self._begin()

    def reset(self, seed: int) -> None:
        """Draw a new scene; the robot stands at the task's start pose."""
        self.world.reset(seed)
        self._begin()

    def _begin(self) -> None:
        self._measure()
        self._target = self.world.task.start_position_rad.copy()

    def advance(self) -> None:
        """Simulate one control period."""
        self.world.step(self._target, self._period_s)
        self._measure()

    def _measure(self) -> None:
        self.position_rad = self.world.joint_position()
        self.velocity_rad_s = self.world.joint_velocity()
        self.stamp_s = time.monotonic()
        self.version += 1

    def set_target(self, joints: Array, position_rad: Array) -> None:
        """Targets of some `joints` (indices) from the next `advance` on."""
        self._target[joints] = position_rad


class SimBackend:
    """One part of the simulated robot."""

    def __init__(self, joint_names: Sequence[str], shared: SharedWorld) -> None:
        self._joint_names = tuple(joint_names)
        self._shared = shared
        self._joints: Array = indices_of(JOINTS, self._joint_names)
        self._seen_version = 0
        self._connected = False
        self._active = False

    @property
    def joint_names(self) -> tuple[str, ...]:
        return self._joint_names

    def connect(self) -> None:
        self._shared.connect()
        # So that the first read advances the world: the measurement of its start may be old by then.
        self._seen_version = self._shared.version
        self._connected = True

    def activate(self) -> None:
        self._require_connection()
        self._shared.set_target(self._joints, self._shared.position_rad[self._joints])
        self._active = True

    def read(self) -> JointReading:
        self._require_connection()
        shared = self._shared
        if self._seen_version == shared.version:
            shared.advance()
        self._seen_version = shared.version
        return JointReading(shared.position_rad[self._joints], shared.velocity_rad_s[self._joints], shared.stamp_s)

    def write(self, position_rad: Array) -> None:
        if not self._active:
            raise BackendError("sim: expected an active backend, got one that is not; call activate or recover first")
        check_target("sim", position_rad, len(self._joint_names))
        self._shared.set_target(self._joints, position_rad)

    def recover(self) -> None:
        self.connect()
        self.activate()

    def deactivate(self) -> None:
        self._active = False

    def disconnect(self) -> None:
        self.deactivate()
        self._connected = False

    def _require_connection(self) -> None:
        if not self._connected:
            raise BackendError("sim: expected a connected backend, got one that is not; call connect first")
