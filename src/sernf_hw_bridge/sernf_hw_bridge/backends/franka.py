"""Franka FR3 through franky: joint impedance tracking, with the robot's own 1 kHz loop inside franky's C++ thread.

All calls into franky come from one `IoThread`, except the hand-over of a new reference, which franky makes safe for any thread.
The state is polled there and handed over as the newest `JointReading`; its stamp is the moment at which the robot's clock was
seen to advance, so it stands still when the robot falls silent. Failures: a lost connection fails reads and writes; a robot that
has taken control away (collision reflex, user stop) fails writes but goes on measuring. Both last until `recover`.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import Any

import numpy as np

from sernf_hw_bridge.backends.franka_config import FrankaConfig, PayloadConfig
from sernf_hw_bridge.backends.io_thread import IoThread
from sernf_hw_bridge.backends.protocol import BackendError, JointReading
from sernf_hw_bridge.backends.threaded import DriverSession, SessionTimeouts, ThreadedBackend
from sernf_hw_bridge.trajectories import Array
from sernf_robot.joints import ARM_JOINTS

__all__ = ["FrankaBackend", "FrankaConfig", "PayloadConfig"]

LOG = logging.getLogger(__name__)

_REMEDIES = (
    ("refused", "is the robot on, and FCI activated in Franka Desk?"),
    ("timeout", "check cable, power and FCI, then re-arm"),
    ("TCP", "the connection is gone; check cable and power, then re-arm"),
    ("Net Exception", "the connection is gone; check cable and power, then re-arm"),
    ("realtime", "use a PREEMPT_RT kernel and allow real-time scheduling, or set 'realtime: ignore'"),
    ("version", "the robot's system version does not fit the installed libfranka; see franky's table of versions"),
    ("reflex", "free the robot, then re-arm"),
    ("communication_constraints", "packets were late; see docs/real_robot.md about the network and PREEMPT_RT"),
    ("user_stopped", "release the emergency stop, then re-arm"),
)
_UNUSABLE_MODES = {
    "UserStopped": "release the emergency stop or the enabling device",
    "Guiding": "let go of the guiding buttons",
    "Reflex": "free the robot and re-arm",
}
_IN_CONTROL_TIMEOUT_S = 1.0
_STOP_S = 1.0
"""Longest braking; a robot that is not at rest by then (wrong payload) is stopped by its own controller."""
_CLOSE_S = 0.5
"""How long a failed connection may take to close before it is left behind."""
_VELOCITY_FILTER_S = 0.02
_WRITES_ENDED_S = 0.06
"""Without a new target for so long the reference's velocity becomes zero; more than the period of targets at 20 Hz."""


def _explain(error: Exception) -> str:
    text = f"{type(error).__name__} {error}".lower()
    for mark, remedy in _REMEDIES:
        if mark.lower() in text:
            return remedy
    return "see the robot's messages in Franka Desk, then re-arm"


def _import_franky() -> Any:
    try:
        import franky
    except ImportError as error:
        raise BackendError(
            f"franka: expected the package franky-control, got '{error}'; install it: pip install franky-control"
        ) from error
    return franky


class _TargetVelocity:
    """Low-passed velocity of a series of targets, (7,) rad and monotonic seconds; zero before the second one."""

    def __init__(self, position_rad: Array) -> None:
        self.position_rad = position_rad
        self.updated_s = math.inf
        self._velocity_rad_s: Array = np.zeros_like(position_rad)

    def update(self, position_rad: Array, now_s: float) -> Array:
        elapsed_s = now_s - self.updated_s
        if elapsed_s > 0.0:
            weight = -math.expm1(-elapsed_s / _VELOCITY_FILTER_S)
            newest_rad_s = (position_rad - self.position_rad) / elapsed_s
            self._velocity_rad_s = self._velocity_rad_s + weight * (newest_rad_s - self._velocity_rad_s)
        self.position_rad, self.updated_s = position_rad, now_s
        return self._velocity_rad_s


class _Session(DriverSession):
    """One connection to the robot."""

    def __init__(self, franky: Any, config: FrankaConfig) -> None:
        self._franky = franky
        self._config = config
        self._robot: Any = None
        self._tracker: Any = None
        self._velocity = _TargetVelocity(np.zeros(len(ARM_JOINTS)))
        self._resting = True
        self._reference_lock = threading.Lock()
        self._robot_time_ms = -1
        self._lost_control: str | None = None
        self.silent_after_s = config.silent_after_s
        self.io = IoThread("franka", poll=self._poll, close=self._close, explain=_explain, period_s=config.poll_period_s)

    def open(self) -> None:
        realtime = self._franky.RealtimeConfig
        self._robot = self._franky.Robot(
            self._config.host, realtime_config=realtime.Enforce if self._config.realtime == "enforce" else realtime.Ignore
        )
        self._poll()
        self.io.resume()

    def recover(self) -> None:
        state = self._robot.state
        if state.robot_mode.name == "Reflex" or self._robot.has_errors:
            LOG.info("franka: automatic error recovery")
            if not self._robot.recover_from_errors():
                raise BackendError(
                    "franka: the robot's automatic error recovery failed; see its messages in Franka Desk, then re-arm"
                )

    def hold(self) -> None:
        if self._hold_on():
            return
        mode = self._robot.state.robot_mode.name
        if mode in _UNUSABLE_MODES:
            raise BackendError(f"franka: expected a robot ready to move, got one in mode {mode}; {_UNUSABLE_MODES[mode]}")
        self.release()
        config, payload = self._config, self._config.payload
        self._robot.set_collision_behavior(list(config.collision_torque_nm), list(config.collision_force_n))
        self._robot.set_load(payload.mass_kg, list(payload.center_m), payload.inertia_matrix().flatten().tolist())
        damping = None if config.damping_nm_s_rad is None else np.array(config.damping_nm_s_rad)
        tracker = self._franky.JointImpedanceTracker(self._robot, stiffness=np.array(config.stiffness_nm_rad), damping=damping)
        with self._reference_lock:
            self._tracker = tracker
        deadline_s = time.monotonic() + _IN_CONTROL_TIMEOUT_S
        while not self._robot.is_in_control:
            if not self._robot.poll_motion() or time.monotonic() > deadline_s:
                raise BackendError("franka: the robot did not take up the tracking motion; see its messages in Franka Desk")
            time.sleep(0.005)
        self._lost_control = None
        with self._reference_lock:
            self._rest_at(np.array(self._robot.state.q))

    def _hold_on(self) -> bool:
        """Make the measured pose the reference of a healthy tracker; False when there is none."""
        if self._tracker is None or self._lost_control or not self._robot.is_in_control:
            return False
        with self._reference_lock:
            self._rest_at(np.array(self._robot.state.q))
        return True

    def release(self) -> None:
        if self._tracker is None:
            return
        if self._robot.is_in_control:
            self._robot.move(self._franky.TorqueStopMotion(max_duration=_STOP_S), asynchronous=True)
        self._drop_tracker()

    def follow(self, position_rad: Array) -> None:
        """Give the newest target, and the velocity of the latest ones, to franky's thread.

        Without that velocity the damping makes every joint lag by damping / stiffness, 0.3 s at the last one.
        """
        if self._lost_control is not None:
            raise BackendError(self._lost_control)
        with self._reference_lock:
            if self._tracker is None:
                raise BackendError("franka: expected a robot that follows, got one that has stopped; re-arm")
            self._tracker.set_target(position_rad, dq=self._velocity.update(position_rad, time.monotonic()))
            self._resting = False

    def _rest_at(self, position_rad: Array) -> None:
        """Make a reference at rest; the caller holds the lock."""
        self._resting = True
        self._velocity = _TargetVelocity(position_rad)
        self._tracker.set_target(position_rad, dq=np.zeros(len(ARM_JOINTS)))

    def _drop_tracker(self) -> None:
        if self._tracker is None:
            return
        with self._reference_lock:
            self._tracker, self._resting = None, True
        try:
            if not self._robot.join_motion(2.0 * _STOP_S):
                raise BackendError(f"franka: the motion did not end within {2.0 * _STOP_S} s; press the emergency stop")
        except self._franky.ControlException as error:
            LOG.info("franka: the motion that ended had failed: %s", error)

    def _poll(self) -> None:
        state = self._robot.state
        now_s = time.monotonic()
        robot_time_ms = state.time.to_msec()
        if robot_time_ms != self._robot_time_ms:
            self._robot_time_ms = robot_time_ms
            self.reading = JointReading(np.array(state.q, dtype=np.float64), np.array(state.dq, dtype=np.float64), now_s)
        with self._reference_lock:
            if not self._resting and now_s - self._velocity.updated_s > _WRITES_ENDED_S:
                self._rest_at(self._velocity.position_rad)
        if self._tracker is not None and self._lost_control is None and not self._robot.is_in_control:
            self._lost_control = self._why_control_ended()
            LOG.warning("%s", self._lost_control)

    def _why_control_ended(self) -> str:
        try:
            self._robot.poll_motion()
        except Exception as error:  # franky's exceptions have no common base
            LOG.debug("franka: control ended", exc_info=True)
            return f"franka: the robot took control away: {error} ({_explain(error)})"
        return "franka: the robot ended the motion by itself; see its messages in Franka Desk, then re-arm"

    def _close(self) -> None:
        try:
            if self.io.failure is None and self._robot is not None:
                self.release()
        finally:
            with self._reference_lock:
                self._tracker, self._resting = None, True
            self._robot = None


class FrankaBackend(ThreadedBackend):
    """Backend of the seven arm joints."""

    def __init__(self, config: FrankaConfig) -> None:
        timeouts = SessionTimeouts(
            connect_s=config.connect_timeout_s, command_s=config.command_timeout_s, close_failed_s=_CLOSE_S
        )
        super().__init__("franka", ARM_JOINTS, timeouts)
        self._config = config

    def _new_session(self) -> DriverSession:
        return _Session(_import_franky(), self._config)
