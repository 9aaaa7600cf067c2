"""The Franka backend against a running franky-sim server, over the network protocol of the real robot."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from franky_sim_server import FrankySimServer
from tracking_error import lag_compensated_error

from sernf_hw_bridge.backends.franka import FrankaBackend, FrankaConfig, PayloadConfig
from sernf_hw_bridge.backends.protocol import BackendError
from sernf_hw_bridge.trajectories import Array
from sernf_robot.config import ConfigError, load_config
from sernf_robot.config_files import config_path
from sernf_robot.joints import ARM_JOINTS

NO_PAYLOAD = PayloadConfig(mass_kg=0.0, center_m=(0.0, 0.0, 0.0), inertia_kgm2=(0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
WAIT_S = 20.0


@pytest.fixture(scope="module")
def server() -> Iterator[FrankySimServer]:
    with FrankySimServer() as running:
        yield running


@pytest.fixture
def arm(server: FrankySimServer) -> Iterator[FrankaBackend]:
    backend = FrankaBackend(FrankaConfig(host=server.host, realtime="ignore", payload=NO_PAYLOAD))
    backend.connect()
    yield backend
    backend.disconnect()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.01)


def raises_backend_error(call: Callable[[], object]) -> bool:
    try:
        call()
    except BackendError:
        return True
    return False


def test_shipped_settings_load() -> None:
    for name in ("franka.yaml", "franka_sim.yaml"):
        load_config(FrankaConfig, config_path(name))


def test_payload_has_no_default(tmp_path: Path) -> None:
    settings = tmp_path / "franka.yaml"
    settings.write_text("host: 172.16.0.2\npayload: {center_m: [0, 0, 0], inertia_kgm2: [1, 1, 1, 0, 0, 0]}\n")
    with pytest.raises(ConfigError, match="mass_kg"):
        load_config(FrankaConfig, settings)


def test_payload_with_mass_needs_a_possible_inertia() -> None:
    with pytest.raises(ValueError, match="positive definite"):
        PayloadConfig(mass_kg=1.0, center_m=(0.0, 0.0, 0.1), inertia_kgm2=(0.0, 0.0, 0.0, 0.0, 0.0, 0.0))


def test_missing_sdk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "franky", None)
    with pytest.raises(BackendError, match="pip install franky-control"):
        FrankaBackend(FrankaConfig(host="127.0.0.1", payload=NO_PAYLOAD)).connect()


def test_nothing_works_before_connect() -> None:
    backend = FrankaBackend(FrankaConfig(host="127.0.0.1", payload=NO_PAYLOAD))
    assert backend.joint_names == ARM_JOINTS
    for call in (backend.read, backend.activate, lambda: backend.write(np.zeros(7))):
        with pytest.raises(BackendError, match="connect"):
            call()
    backend.deactivate()
    backend.disconnect()


def test_refused_connection_says_what_to_do() -> None:
    backend = FrankaBackend(FrankaConfig(host="127.99.99.99", realtime="ignore", payload=NO_PAYLOAD))
    with pytest.raises(BackendError, match="FCI"):
        backend.connect()
    with pytest.raises(BackendError, match="FCI"):
        backend.read()


def test_activation_moves_nothing_and_write_needs_it(arm: FrankaBackend) -> None:
    before = arm.read().position_rad
    with pytest.raises(BackendError, match="active"):
        arm.write(before)
    arm.activate()
    time.sleep(0.5)
    np.testing.assert_allclose(arm.read().position_rad, before, atol=5e-3)
    arm.deactivate()
    with pytest.raises(BackendError, match="active"):
        arm.write(before)
    np.testing.assert_allclose(arm.read().position_rad, before, atol=1e-2)


def test_impossible_targets_are_refused(arm: FrankaBackend) -> None:
    arm.activate()
    for target in (np.zeros(6), np.full(7, np.nan)):
        with pytest.raises(BackendError, match="7 finite positions"):
            arm.write(target)


def test_stamps_advance_and_readings_belong_to_the_reader(arm: FrankaBackend) -> None:
    first = arm.read()
    kept = first.position_rad.copy()
    first.position_rad[:] = 9.0
    wait_for(lambda: arm.read().stamp_s > first.stamp_s)
    np.testing.assert_allclose(arm.read().position_rad, kept, atol=1e-2)


def test_follows_a_sine_of_50_hz_targets(arm: FrankaBackend) -> None:
    arm.activate()
    errors_rad: list[float] = []
    while not errors_rad or errors_rad[-1] >= 0.05:  # a machine that is busy elsewhere slows the simulated arm for a while
        assert len(errors_rad) < 3, f"expected to follow within 0.05 rad, got {errors_rad}"
        errors_rad.append(sine_error_rad(arm))


def sine_error_rad(arm: FrankaBackend) -> float:
    """Largest error over 5 s, the lag compensated."""
    start = arm.read().position_rad
    amplitude = np.array([0.3, 0.2, 0.3, 0.2, 0.3, 0.3, 0.4])
    commanded: list[tuple[float, Array]] = []
    measured: list[tuple[float, Array]] = []
    begin_s = time.monotonic()
    for tick in range(250):
        now_s = time.monotonic() - begin_s
        target = start + amplitude * np.sin(2.0 * np.pi * 0.1 * now_s)
        arm.write(target)
        reading = arm.read()
        commanded.append((now_s, target))
        measured.append((reading.stamp_s - begin_s, reading.position_rad))
        time.sleep(max(0.0, begin_s + 0.02 * (tick + 1) - time.monotonic()))
    return lag_compensated_error(commanded, measured)[0]


def test_after_the_last_target_the_arm_rests_there(arm: FrankaBackend) -> None:
    arm.activate()
    start = arm.read().position_rad
    for step in range(1, 21):
        arm.write(start + 0.005 * step)
        time.sleep(0.02)
    time.sleep(1.0)
    np.testing.assert_allclose(arm.read().position_rad, start + 0.1, atol=0.02)


def test_activating_again_holds_where_the_arm_is(arm: FrankaBackend) -> None:
    arm.activate()
    arm.write(arm.read().position_rad + 0.04)
    time.sleep(0.1)
    arm.activate()
    at = arm.read().position_rad
    time.sleep(0.5)
    np.testing.assert_allclose(arm.read().position_rad, at, atol=0.02)


def test_killed_server_fails_until_recovered(server: FrankySimServer, arm: FrankaBackend) -> None:
    arm.activate()
    pose = arm.read().position_rad
    server.kill()
    wait_for(lambda: raises_backend_error(arm.read))
    with pytest.raises(BackendError, match="re-arm"):
        arm.write(pose)
    with pytest.raises(BackendError, match="FCI"):
        arm.recover()
    server.start()
    with pytest.raises(BackendError):
        arm.read()  # only an explicit re-arm brings it back
    arm.recover()
    held = arm.read().position_rad
    arm.write(held + 0.05)
    wait_for(lambda: bool(np.all(np.abs(arm.read().position_rad - held - 0.05) < 0.02)))


def test_frozen_server_stops_the_stamps_and_recovers_after_the_thaw(server: FrankySimServer, arm: FrankaBackend) -> None:
    arm.activate()
    server.freeze()
    try:
        time.sleep(0.1)
        frozen = arm.read()
        time.sleep(0.1)
        assert arm.read().stamp_s == frozen.stamp_s
        wait_for(lambda: raises_backend_error(arm.read))
    finally:
        server.thaw()
    wait_for(lambda: not raises_backend_error(arm.recover))
    assert arm.read().stamp_s > frozen.stamp_s
    arm.write(arm.read().position_rad)


def test_recovering_a_healthy_arm_is_harmless(arm: FrankaBackend) -> None:
    arm.activate()
    before = arm.read().position_rad
    arm.recover()
    time.sleep(0.3)
    np.testing.assert_allclose(arm.read().position_rad, before, atol=5e-3)
    arm.write(before)


def test_disconnecting_twice_and_connecting_again(arm: FrankaBackend) -> None:
    arm.activate()
    arm.disconnect()
    arm.disconnect()
    with pytest.raises(BackendError):
        arm.read()
    arm.connect()
    arm.recover()
    arm.write(arm.read().position_rad)
