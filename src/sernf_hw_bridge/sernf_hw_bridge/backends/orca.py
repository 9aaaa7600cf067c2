"""ORCA hand through orca_core. Degrees and orca_core's joint names stay inside.

The motor bus is slow (some milliseconds a round trip), so it lives in an `IoThread`: each round sends the newest target and reads
all positions. The stamp is the moment at which a complete, fresh read began; reads that orca_core answers from its cache do not
count. Failures last until `recover`, which connects anew: orca_core then reboots motors with latched errors and finds out again
how far they had turned.
"""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import numpy as np

from sernf_hw_bridge.backends.io_thread import IoThread
from sernf_hw_bridge.backends.orca_config import OrcaAngles, OrcaConfig, OrcaJoint
from sernf_hw_bridge.backends.protocol import BackendError, JointReading
from sernf_hw_bridge.backends.threaded import DriverSession, SessionTimeouts, ThreadedBackend
from sernf_hw_bridge.trajectories import Array
from sernf_robot.joints import HAND_JOINTS

__all__ = ["OrcaBackend", "OrcaConfig", "OrcaJoint"]

LOG = logging.getLogger(__name__)


def _explain(error: Exception) -> str:
    if isinstance(error, OSError):
        return "check the hand's power and USB cable, and that no other program has its port open"
    return "check the hand's power and cables and its configuration files"


def _import_orca_core() -> Any:
    try:
        import orca_core
    except ImportError as error:
        raise BackendError(f"orca: expected the package orca-core, got '{error}'; install it: pip install orca-core") from error
    return orca_core


class _Session(DriverSession):
    """One connection to the hand."""

    def __init__(self, orca_core: Any, config: OrcaConfig) -> None:
        self._orca_core = orca_core
        self._config = config
        self._angles = OrcaAngles(config.joints)
        self._hand: Any = None
        self._powered = False
        self._target: Array | None = None
        self._sent: Array | None = None
        self.silent_after_s = config.silent_after_s
        self.io = IoThread("orca", poll=self._poll, close=self._close, explain=_explain, period_s=config.period_s)

    def open(self) -> None:
        hand = self._load()
        self._check_joints(hand)
        if not hand.calibrated:
            raise BackendError(
                f"orca: expected a calibrated hand, got none of that in {hand.config.calibration_path}; "
                "calibrate it with orca_core's scripts (docs/real_robot.md)"
            )
        connected, message = hand.connect(interactive=False)
        if not connected:
            raise BackendError(f"orca: no connection: {message}; check the hand's power and USB cable")
        self._hand = hand
        if hand.absent_joints:
            raise BackendError(
                f"orca: no motor answered for {', '.join(hand.absent_joints)}; check power and the motor chain's cables"
            )
        self._log_ranges(hand)
        self._poll()
        if self.reading is None:
            raise BackendError("orca: the motors answered but their positions could not be read; check the motor chain's cables")
        self.io.resume()

    def recover(self) -> None:
        """Nothing on a working connection: a failed one has been replaced, and connecting clears latched errors."""

    def hold(self) -> None:
        hand = self._hand
        pose_deg = self._measured_deg()
        self._check_ranges(hand, pose_deg)
        self._target = self._sent = None
        if not self._powered:
            # A change of mode powers the motors, so the pose to hold is there before and after it.
            hand.set_joint_positions(pose_deg)
            hand.set_max_current(self._config.current_ma)
            self._powered = True
            hand.set_control_mode(hand.config.control_mode)
        hand.set_max_current(self._config.current_ma)
        hand.set_joint_positions(pose_deg)
        silent = hand.enable_torque()
        if silent:
            self.release()
            joints = ", ".join(self._joint_of(motor) for motor in silent)
            raise BackendError(f"orca: expected all motors to take up torque, got no answer from {joints}; check their cables")

    def release(self) -> None:
        self._target = None
        if not self._powered:
            return
        self._powered = False
        silent = self._hand.disable_torque()
        if silent:
            raise BackendError(f"orca: torque may still be on at {', '.join(map(self._joint_of, silent))}; cut the hand's power")

    def follow(self, position_rad: Array) -> None:
        self._target = position_rad

    def _load(self) -> Any:
        config = self._config
        files = {
            "config_path": str(config.hand_file.expanduser()) if config.hand_file else None,
            "calibration_path": str(config.calibration_file.expanduser()) if config.calibration_file else None,
        }
        if config.hand_file is None:
            files |= {"model_version": config.model, "model_name": "orcahand-right"}
        # Sensors and joint encoders have threads of their own on the same bus; the motors' positions are all that is used.
        return self._orca_core.load_hand(**files, mock=config.mock, engage_feedback=False, engage_sensors=False)

    def _check_joints(self, hand: Any) -> None:
        known = set(hand.config.joint_ids)
        wrong = sorted(set(self._angles.names) ^ known)
        if wrong:
            raise BackendError(
                f"orca: expected a hand of model {self._config.model} with the joints {', '.join(self._angles.names)}, "
                f"got one that differs in {', '.join(wrong)}; use the settings of the hand's own model"
            )
        if hand.config.type not in (None, "right"):
            raise BackendError(f"orca: expected a right hand, got a {hand.config.type} one; use another hand_file")

    def _check_ranges(self, hand: Any, pose_deg: dict[str, float]) -> None:
        for name, angle_deg in pose_deg.items():
            low, high = hand.config.joint_roms_dict[name]
            if not low - self._config.range_tolerance_deg <= angle_deg <= high + self._config.range_tolerance_deg:
                raise BackendError(
                    f"orca: {name} measures {angle_deg:.0f} deg, expected {low:.0f} to {high:.0f}: its calibration is not of "
                    "this hand or a tendon has slipped; calibrate again"
                )

    def _log_ranges(self, hand: Any) -> None:
        ranges = self._angles.range_rad({name: (rom[0], rom[1]) for name, rom in hand.config.joint_roms_dict.items()})
        LOG.info("orca: reachable (rad): %s", ", ".join(f"{name} {low:.3f}..{high:.3f}" for name, (low, high) in ranges.items()))
        if not self._config.joints_checked and not self._config.mock:
            LOG.warning(
                "orca: signs and zeros of the joints are not checked: the current stays at %.0f mA; see docs/real_robot.md",
                self._config.current_ma,
            )

    def _joint_of(self, motor: int) -> str:
        return f"{self._hand.config.motor_to_joint_dict.get(motor, 'unknown joint')} (motor {motor})"

    def _measured_deg(self) -> dict[str, float]:
        """orca_core's joint -> degrees, from the newest reading; it must be fresh."""
        self._poll()
        reading = self.reading
        if reading is None or time.monotonic() - reading.stamp_s > self._config.silent_after_s:
            raise BackendError("orca: expected a fresh measurement of the pose to hold, got none; check the motor chain's cables")
        return self._angles.to_degrees(reading.position_rad)

    def _poll(self) -> None:
        target = self._target
        if target is not None and target is not self._sent:
            self._hand.set_joint_positions(self._angles.to_degrees(target))
            self._sent = target
        begin_s = time.monotonic()
        measured_deg = self._hand.get_joint_position().as_array(self._angles.names)
        if self._hand.last_read_ok:
            self._take(self._angles.to_radians(measured_deg), begin_s)
        self._check_motors()

    def _take(self, position_rad: Array, stamp_s: float) -> None:
        if not np.isfinite(position_rad).all():
            missing = ", ".join(HAND_JOINTS[index] for index in np.flatnonzero(~np.isfinite(position_rad)))
            raise BackendError(f"orca: expected positions of all joints, got none of {missing}; calibrate them")
        velocity_rad_s: Array = np.zeros_like(position_rad)
        last = self.reading
        if last is not None:
            elapsed_s = stamp_s - last.stamp_s
            weight = 1.0 if self._config.velocity_filter_s == 0.0 else -math.expm1(-elapsed_s / self._config.velocity_filter_s)
            velocity_rad_s = last.velocity_rad_s + weight * ((position_rad - last.position_rad) / elapsed_s - last.velocity_rad_s)
        self.reading = JointReading(position_rad, velocity_rad_s, stamp_s)

    def _check_motors(self) -> None:
        client = self._hand.motor_client
        alerts = client.take_hardware_alerts()
        if not alerts:
            return
        found = []
        for motor in alerts:
            errors = client.decode_hardware_error(client.read_hardware_error(motor))
            found.append(f"{self._joint_of(motor)}: {', '.join(errors) if errors else 'unknown error'}")
        raise BackendError(f"orca: motors have latched an error and may be limp: {'; '.join(found)}; let them cool and re-arm")

    def _close(self) -> None:
        hand, self._hand = self._hand, None
        self._powered = False
        if hand is None:
            return
        done, message = hand.disconnect()
        if not done:
            LOG.warning("orca: %s; cut the hand's power if it is still stiff", message)


class OrcaBackend(ThreadedBackend):
    """Backend of the 17 joints of an ORCA right hand."""

    def __init__(self, config: OrcaConfig) -> None:
        # A port that is not closed could not be opened again, so a failed connection gets all the time it needs.
        timeouts = SessionTimeouts(
            connect_s=config.connect_timeout_s, command_s=config.command_timeout_s, close_failed_s=config.command_timeout_s
        )
        super().__init__("orca", HAND_JOINTS, timeouts)
        self._config = config

    def _new_session(self) -> DriverSession:
        return _Session(_import_orca_core(), self._config)
