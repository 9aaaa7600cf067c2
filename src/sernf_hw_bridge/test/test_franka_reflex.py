"""What a robot does that takes control away, which no simulation server can: a stand-in for franky whose robot has reflexes."""

from __future__ import annotations

import sys
import threading
import time
import types
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from sernf_hw_bridge.backends.franka import FrankaBackend, FrankaConfig, PayloadConfig
from sernf_hw_bridge.backends.protocol import BackendError

PAYLOAD = PayloadConfig(mass_kg=1.0, center_m=(0.0, 0.0, 0.1), inertia_kgm2=(0.01, 0.02, 0.03, 0.0, 0.001, 0.0))
WAIT_S = 10.0


class ControlError(Exception):
    """Stands in for franky's ControlException."""


class StandInRobot:
    """The robot as far as the backend uses it; tests set `mode` and call `reflex`."""

    def __init__(self, host: str, realtime_config: object) -> None:
        self.host = host
        self.realtime_config = realtime_config
        self.mode = "Idle"
        self.is_in_control = False
        self.recoverable = True
        self.recoveries = 0
        self.load: tuple[float, list[float], list[float]] | None = None
        self.collision: tuple[list[float], list[float]] | None = None
        self._error: Exception | None = None
        self._started_s = time.monotonic()
        self.threads: set[int] = set()

    @property
    def state(self) -> types.SimpleNamespace:
        self.threads.add(threading.get_ident())
        milliseconds = int((time.monotonic() - self._started_s) * 1e3)
        clock = types.SimpleNamespace(to_msec=lambda: milliseconds)
        return types.SimpleNamespace(
            time=clock, q=np.full(7, 0.5), dq=np.zeros(7), robot_mode=types.SimpleNamespace(name=self.mode)
        )

    @property
    def has_errors(self) -> bool:
        return self._error is not None

    def reflex(self) -> None:
        self._error = ControlError('libfranka: Move command aborted: motion aborted by reflex! ["cartesian_reflex"]')
        self.mode, self.is_in_control = "Reflex", False

    def recover_from_errors(self) -> bool:
        self.recoveries += 1
        if self.recoverable:
            self.mode, self._error = "Idle", None
        return self.recoverable

    def set_collision_behavior(self, torque: list[float], force: list[float]) -> None:
        self.collision = (torque, force)

    def set_load(self, mass: float, center: list[float], inertia: list[float]) -> None:
        self.load = (mass, center, inertia)

    def move(self, motion: object, asynchronous: bool) -> None:
        self.is_in_control = False

    def join_motion(self, timeout: float) -> bool:
        self.poll_motion()
        return True

    def poll_motion(self) -> bool:
        if self._error is not None:
            raise self._error
        return self.is_in_control


class StandInTracker:
    """Takes control of the robot at once and remembers its targets."""

    def __init__(self, robot: StandInRobot, stiffness: np.ndarray, damping: np.ndarray | None) -> None:
        robot.is_in_control = True
        robot.mode = "Move"

    def set_target(self, position_rad: np.ndarray, dq: np.ndarray) -> None:
        assert np.isfinite(dq).all()


@pytest.fixture
def robots(monkeypatch: pytest.MonkeyPatch) -> list[StandInRobot]:
    made: list[StandInRobot] = []

    def connect(host: str, realtime_config: object) -> StandInRobot:
        made.append(StandInRobot(host, realtime_config))
        return made[-1]

    franky = types.ModuleType("franky")
    franky.__dict__.update(
        Robot=connect,
        JointImpedanceTracker=StandInTracker,
        TorqueStopMotion=lambda max_duration: object(),
        ControlException=ControlError,
        RealtimeConfig=types.SimpleNamespace(Enforce="enforced", Ignore="ignored"),
    )
    monkeypatch.setitem(sys.modules, "franky", franky)
    return made


@pytest.fixture
def arm(robots: list[StandInRobot]) -> Iterator[FrankaBackend]:
    backend = FrankaBackend(FrankaConfig(host="172.16.0.2", payload=PAYLOAD))
    backend.connect()
    backend.activate()
    yield backend
    backend.disconnect()


def raises_backend_error(call: Callable[[], object]) -> bool:
    try:
        call()
    except BackendError:
        return True
    return False


def wait_for(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.005)


def test_settings_reach_the_robot_before_it_is_controlled(robots: list[StandInRobot], arm: FrankaBackend) -> None:
    robot = robots[0]
    assert (robot.host, robot.realtime_config) == ("172.16.0.2", "enforced")
    assert robot.load == (1.0, [0.0, 0.0, 0.1], [0.01, 0.0, 0.001, 0.0, 0.02, 0.0, 0.001, 0.0, 0.03])
    assert robot.collision is not None
    assert len(robot.collision[0]) == 7
    assert len(robot.collision[1]) == 6


def test_a_reflex_fails_writes_but_the_arm_still_measures(robots: list[StandInRobot], arm: FrankaBackend) -> None:
    robots[0].reflex()
    wait_for(lambda: raises_backend_error(lambda: arm.write(np.full(7, 0.5))))
    with pytest.raises(BackendError, match=r"cartesian_reflex.*free the robot"):
        arm.write(np.full(7, 0.5))
    stamp_s = arm.read().stamp_s
    wait_for(lambda: arm.read().stamp_s > stamp_s)


def test_a_reflex_is_recovered_from_only_on_re_arm_and_on_the_same_connection(
    robots: list[StandInRobot], arm: FrankaBackend
) -> None:
    robots[0].reflex()
    wait_for(lambda: raises_backend_error(lambda: arm.write(np.full(7, 0.5))))
    assert robots[0].recoveries == 0
    arm.recover()
    assert robots[0].recoveries == 1
    assert len(robots) == 1
    arm.write(np.full(7, 0.5))


def test_a_failed_recovery_is_an_error(robots: list[StandInRobot], arm: FrankaBackend) -> None:
    robots[0].reflex()
    robots[0].recoverable = False
    with pytest.raises(BackendError, match="recovery failed"):
        arm.recover()
    with pytest.raises(BackendError):
        arm.write(np.full(7, 0.5))


def test_an_emergency_stop_must_be_released_first(robots: list[StandInRobot], arm: FrankaBackend) -> None:
    robots[0].mode, robots[0].is_in_control = "UserStopped", False
    wait_for(lambda: raises_backend_error(lambda: arm.write(np.full(7, 0.5))))
    with pytest.raises(BackendError, match="release the emergency stop"):
        arm.recover()
    robots[0].mode = "Idle"
    arm.recover()
    arm.write(np.full(7, 0.5))


def test_the_driver_is_used_from_one_thread_that_is_not_the_callers(robots: list[StandInRobot], arm: FrankaBackend) -> None:
    arm.read()
    arm.recover()
    assert len(robots[0].threads) == 1
    assert threading.get_ident() not in robots[0].threads
