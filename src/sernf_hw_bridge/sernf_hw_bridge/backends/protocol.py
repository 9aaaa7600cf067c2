"""What the control loop expects of hardware: measure joints, take position targets.

A backend drives one part of the robot (the arm, the hand). It knows nothing of limits, sources or modes: those live in the
control loop, before `write`. Whatever goes wrong in a backend comes out as `BackendError`; any other exception is a bug of the
backend (the control loop still treats it as a fault).

States and what they mean: connected = measurements flow, the joints hold by themselves or are unpowered; active = the joints
follow written positions. `activate` must not move anything: it holds the measured pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class BackendError(RuntimeError):
    """Hardware did not do what was asked; the message says what was expected, what came, and what to do."""


def check_target(backend: str, position_rad: NDArray[np.float64], joints: int) -> None:
    """Raise BackendError unless `position_rad` is (joints,) and finite."""
    if np.shape(position_rad) != (joints,) or not np.isfinite(position_rad).all():
        raise BackendError(f"{backend}: expected {joints} finite positions in rad, got {position_rad}")


@dataclass(frozen=True)
class JointReading:
    """One measurement of all joints of a backend, in the order of its `joint_names`.

    `position_rad`: (n,), rad. `velocity_rad_s`: (n,), rad/s. `stamp_s`: `time.monotonic()` of the measurement (not of the call);
    it does not advance while the sensor is frozen. The arrays belong to the reader: the backend never changes them afterwards.
    """

    position_rad: NDArray[np.float64]
    velocity_rad_s: NDArray[np.float64]
    stamp_s: float


class Backend(Protocol):
    """Hardware of `n` joints. Constructors do no I/O; `connect`, `activate` and `recover` may block, with timeouts."""

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the n joints, known before `connect`."""
        ...

    def connect(self) -> None:
        """Open the connection and start measuring; nothing moves. Raises BackendError."""
        ...

    def activate(self) -> None:
        """Power the joints and hold the measured pose; after this `write` is allowed. Raises BackendError."""
        ...

    def read(self) -> JointReading:
        """The newest measurement; never blocks. Raises BackendError when not connected or when the hardware failed."""
        ...

    def write(self, position_rad: NDArray[np.float64]) -> None:
        """Set the position targets, (n,) finite rad; never blocks, copies what it keeps. Raises BackendError unless active."""
        ...

    def recover(self) -> None:
        """At an explicit re-arm: clear drive errors, reconnect if need be, then be active and hold the measured pose.

        Harmless on a healthy backend. Raises BackendError when the hardware is still not usable.
        """
        ...

    def deactivate(self) -> None:
        """Stop following targets (hold or power off, as the hardware does safely). Idempotent, safe in every state."""
        ...

    def disconnect(self) -> None:
        """Deactivate and close the connection. Idempotent, safe in every state."""
        ...
