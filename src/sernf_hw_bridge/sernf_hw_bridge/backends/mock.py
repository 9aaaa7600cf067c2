"""A robot part that exists only as numbers: joints follow their targets with a first-order lag, and every fault can be played.

The mock fails where real hardware fails: nothing works before `connect`, writes need `activate`, and a fault stays until it is
switched off *and* the bridge has called `recover`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from sernf_hw_bridge.backends.protocol import BackendError, JointReading, check_target
from sernf_hw_bridge.trajectories import Array


class MockFault(Enum):
    """Faults that can be injected."""

    NONE = "none"
    READ_RAISES = "read_raises"
    WRITE_RAISES = "write_raises"
    FROZEN = "frozen"
    """Measurement and its stamp stand still."""
    DISCONNECTED = "disconnected"
    """Reads and writes raise, and `recover` fails as long as the fault is on."""
    NOT_FINITE = "not_finite"
    """One joint measures NaN."""
    DRIFT = "drift"
    """The joints move away from their targets at `MockConfig.drift_rad_s`."""


_READ_FAILS = (MockFault.READ_RAISES, MockFault.DISCONNECTED)
_WRITE_FAILS = (MockFault.WRITE_RAISES, MockFault.DISCONNECTED)


@dataclass(frozen=True, kw_only=True)
class MockConfig:
    """Dynamics of the mock."""

    lag_s: float = 0.02
    drift_rad_s: float = 2.0

    def __post_init__(self) -> None:
        if not 0.0 < self.lag_s <= 1.0:
            raise ValueError(f"lag_s: expected more than 0 and at most 1, got {self.lag_s}")


class MockBackend:
    """Backend of `joint_names`, at rest at `initial_position_rad` ((n,), rad). `clock` gives monotonic seconds."""

    def __init__(
        self,
        joint_names: Sequence[str],
        initial_position_rad: Array,
        config: MockConfig | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._joint_names = tuple(joint_names)
        self._config = config or MockConfig()
        self._clock = clock
        self._position = np.array(initial_position_rad, dtype=np.float64)
        if self._position.shape != (len(self._joint_names),):
            raise ValueError(f"initial_position_rad: expected {len(self._joint_names)} values, got shape {self._position.shape}")
        self._target = self._position.copy()
        self._connected = False
        self._active = False
        self._broken = MockFault.NONE
        self._updated_s = 0.0
        self._last_reading: JointReading | None = None
        self._fault = MockFault.NONE

    @property
    def joint_names(self) -> tuple[str, ...]:
        return self._joint_names

    @property
    def fault(self) -> MockFault:
        """The injected fault; assign to switch it."""
        return self._fault

    @fault.setter
    def fault(self, fault: MockFault) -> None:
        self._fault = fault
        if fault in (*_READ_FAILS, *_WRITE_FAILS):
            self._broken = fault

    def connect(self) -> None:
        if self._fault is MockFault.DISCONNECTED:
            raise BackendError("mock: expected a connection, got none (fault 'disconnected' is on); switch the fault off")
        if not self._connected:
            self._updated_s = self._clock()
        self._connected = True

    def activate(self) -> None:
        self._require_connection()
        self._target = self._position.copy()
        self._active = True

    def read(self) -> JointReading:
        self._require_connection()
        if self._broken in _READ_FAILS:
            raise BackendError(f"mock: read failed (fault '{self._broken.value}' was injected); recover after switching it off")
        if self._fault is MockFault.FROZEN and self._last_reading is not None:
            return self._last_reading
        now_s = self._clock()
        elapsed_s = max(0.0, now_s - self._updated_s)
        self._updated_s = now_s
        before = self._position
        self._position = before + (self._target - before) * -math.expm1(-elapsed_s / self._config.lag_s)
        if self._fault is MockFault.DRIFT:
            self._position = before + self._config.drift_rad_s * elapsed_s
        velocity = (self._position - before) / elapsed_s if elapsed_s > 0.0 else np.zeros_like(before)
        measured = self._position.copy()
        if self._fault is MockFault.NOT_FINITE:
            measured[0] = math.nan
        self._last_reading = JointReading(measured, velocity, now_s)
        return self._last_reading

    def write(self, position_rad: Array) -> None:
        if not self._active:
            raise BackendError("mock: expected an active backend, got one that is not; call activate or recover first")
        if self._broken in _WRITE_FAILS:
            raise BackendError(f"mock: write failed (fault '{self._broken.value}' was injected); recover after switching it off")
        check_target("mock", position_rad, len(self._joint_names))
        self._target = np.array(position_rad, dtype=np.float64)

    def recover(self) -> None:
        if self._fault in (*_READ_FAILS, *_WRITE_FAILS):
            raise BackendError(f"mock: cannot recover while the fault '{self._fault.value}' is on; switch it off first")
        self._broken = MockFault.NONE
        self.connect()
        self.activate()

    def deactivate(self) -> None:
        self._target = self._position.copy()
        self._active = False

    def disconnect(self) -> None:
        self.deactivate()
        self._connected = False

    def _require_connection(self) -> None:
        if not self._connected:
            raise BackendError("mock: expected a connected backend, got one that is not; call connect first")
