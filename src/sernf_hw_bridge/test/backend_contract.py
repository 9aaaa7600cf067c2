"""What every backend must do, whatever hardware is behind it. Each check gets a backend that has never been connected."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from sernf_hw_bridge.backends.protocol import Backend, BackendError, JointReading
from sernf_hw_bridge.trajectories import Array
from sernf_robot.config_files import config_path
from sernf_robot.limits import load_limits

WAIT_S = 20.0
TICK_S = 0.004
STILL_RAD = 0.02
STEP_RAD = 0.05


def fails(call: Callable[[], object]) -> bool:
    """Whether `call` raises BackendError with a message; anything else comes out."""
    try:
        call()
    except BackendError as error:
        return bool(str(error))
    return False


def run(backend: Backend, duration_s: float, target_rad: Array | None = None) -> JointReading:
    """Read, and write `target_rad`, as a control loop does."""
    end_s = time.monotonic() + duration_s
    reading = backend.read()
    while time.monotonic() < end_s:
        reading = backend.read()
        if target_rad is not None:
            backend.write(target_rad)
        time.sleep(TICK_S)
    return reading


def inwards(backend: Backend, position_rad: Array) -> Array:
    """A step from `position_rad` towards the middle of the joints' ranges."""
    limits = load_limits(config_path("limits.yaml"), backend.joint_names)
    middle: Array = 0.5 * (limits.position_min_rad + limits.position_max_rad)
    return position_rad + STEP_RAD * np.where(middle > position_rad, 1.0, -1.0)


def names_are_known_before_connecting(backend: Backend) -> None:
    assert len(set(backend.joint_names)) == len(backend.joint_names) > 0


def nothing_works_before_connecting(backend: Backend) -> None:
    assert fails(backend.read)
    assert fails(lambda: backend.write(np.zeros(len(backend.joint_names))))
    backend.deactivate()
    backend.disconnect()


def writing_needs_activation(backend: Backend) -> None:
    backend.connect()
    pose = backend.read().position_rad
    assert fails(lambda: backend.write(pose))
    backend.activate()
    backend.write(pose)
    backend.deactivate()
    assert fails(lambda: backend.write(pose))


def activation_moves_nothing(backend: Backend) -> None:
    backend.connect()
    before = run(backend, 0.1).position_rad
    backend.activate()
    assert np.abs(run(backend, 0.4).position_rad - before).max() < STILL_RAD


def readings_are_fresh_and_belong_to_the_reader(backend: Backend) -> None:
    backend.connect()
    backend.activate()
    first = run(backend, 0.05)
    kept = first.position_rad.copy()
    for array in (first.position_rad, first.velocity_rad_s):
        assert array.shape == (len(backend.joint_names),)
        assert np.isfinite(array).all()
    run(backend, 0.3, inwards(backend, kept))
    later = backend.read()
    assert first.stamp_s < later.stamp_s <= time.monotonic()
    assert (first.position_rad == kept).all()


def targets_are_followed_and_copied(backend: Backend) -> None:
    backend.connect()
    backend.activate()
    target = inwards(backend, backend.read().position_rad)
    deadline_s = time.monotonic() + WAIT_S
    while np.abs(run(backend, 0.1, target).position_rad - target).max() > STILL_RAD:
        assert time.monotonic() < deadline_s, "the target was not reached"
    given = target.copy()
    backend.write(given)
    given[:] = 0.0
    assert np.abs(run(backend, 0.2).position_rad - target).max() < STILL_RAD


def impossible_targets_are_refused(backend: Backend) -> None:
    backend.connect()
    backend.activate()
    pose = backend.read().position_rad
    for bad in (
        pose[:-1],
        np.append(pose, 0.0),
        np.where(pose == pose[0], np.nan, pose),
        np.where(pose == pose[0], np.inf, pose),
    ):
        assert fails(lambda bad=bad: backend.write(bad)), f"expected a refusal of {bad}"  # type: ignore[misc]
    backend.write(pose)


def recovering_a_healthy_backend_is_harmless(backend: Backend) -> None:
    backend.connect()
    backend.activate()
    before = run(backend, 0.1).position_rad
    backend.recover()
    backend.write(backend.read().position_rad)
    assert np.abs(run(backend, 0.2).position_rad - before).max() < STILL_RAD


def disconnecting_is_idempotent_and_connecting_again_works(backend: Backend) -> None:
    backend.connect()
    backend.activate()
    backend.disconnect()
    backend.disconnect()
    assert fails(backend.read)
    backend.connect()
    assert np.isfinite(backend.read().position_rad).all()
    assert fails(lambda: backend.write(backend.read().position_rad))


CONTRACT: tuple[Callable[[Backend], None], ...] = (
    names_are_known_before_connecting,
    nothing_works_before_connecting,
    writing_needs_activation,
    activation_moves_nothing,
    readings_are_fresh_and_belong_to_the_reader,
    targets_are_followed_and_copied,
    impossible_targets_are_refused,
    recovering_a_healthy_backend_is_harmless,
    disconnecting_is_idempotent_and_connecting_again_works,
)
