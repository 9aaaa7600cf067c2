"""The ORCA backend against orca_core's own mock, and through orca_core's real client against servos on a pseudo terminal."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import orca_core
import pytest
import yaml
from backend_contract import CONTRACT
from fake_dynamixel_bus import GOAL_CURRENT, OPERATING_MODE, OVERLOAD, TORQUE_ENABLE, FakeDynamixelBus

from sernf_hw_bridge.backends.orca import OrcaBackend, OrcaConfig
from sernf_hw_bridge.backends.orca_config import OrcaAngles
from sernf_hw_bridge.backends.protocol import BackendError
from sernf_robot.config import ConfigError, load_config
from sernf_robot.config_files import config_path
from sernf_robot.joints import HAND_JOINTS

WAIT_S = 20.0
MODELS = {"v1": "orca.yaml", "v2": "orca_v2.yaml"}
MOTOR_RAD_PER_DEG = 0.02
MIDDLE_TICKS = 500


def settings(model: str, **overrides: object) -> OrcaConfig:
    return load_config(OrcaConfig, config_path(MODELS[model]), overrides)


def mock_settings(model: str, **overrides: object) -> OrcaConfig:
    return settings(model, mock=True, hand_file=None, **overrides)


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


def reaches(backend: OrcaBackend, target: np.ndarray, tolerance_rad: float = 0.01) -> bool:
    return bool(np.all(np.abs(backend.read().position_rad - target) < tolerance_rad))


@pytest.fixture(params=MODELS)
def mock_hand(request: pytest.FixtureRequest) -> Iterator[OrcaBackend]:
    backend = OrcaBackend(mock_settings(request.param))
    backend.connect()
    yield backend
    backend.disconnect()


@pytest.fixture
def bus() -> Iterator[FakeDynamixelBus]:
    with FakeDynamixelBus(range(1, 18), MIDDLE_TICKS) as running:
        yield running


def write_hand_files(folder: Path, port: str, *, calibrated: bool = True) -> Path:
    """orca_core's files of a calibrated v1 hand at `port`."""
    content = yaml.safe_load((Path(orca_core.__file__).parent / "models/v1/orcahand-right/config.yaml").read_text())
    content.update(port=port, motor_type="dynamixel", baudrate=1_000_000)
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    limits, ratios = {}, {}
    for joint, motor in content["joint_to_motor_map"].items():
        low, high = content["joint_roms"][joint]
        limits[abs(motor)] = [0.0, (high - low) * MOTOR_RAD_PER_DEG]
        ratios[abs(motor)] = MOTOR_RAD_PER_DEG
    if calibrated:
        calibration = {"motor_limits": limits, "joint_to_motor_ratios": ratios, "calibrated": True, "wrist_calibrated": True}
        (folder / "calibration.yaml").write_text(yaml.safe_dump(calibration))
    return folder / "config.yaml"


@pytest.fixture
def hand(bus: FakeDynamixelBus, tmp_path: Path) -> Iterator[OrcaBackend]:
    backend = OrcaBackend(settings("v1", hand_file=str(write_hand_files(tmp_path, bus.port))))
    backend.connect()
    yield backend
    backend.disconnect()


def test_the_table_of_joints_must_be_complete_and_without_doubles() -> None:
    good = mock_settings("v1")
    fewer = {name: joint for name, joint in good.joints.items() if name != "right_wrist"}
    with pytest.raises(ValueError, match="right_wrist"):
        dataclasses.replace(good, joints=fewer)
    with pytest.raises(ValueError, match="twice: index_mcp"):
        dataclasses.replace(good, joints={**good.joints, "right_middle_mcp": good.joints["right_index_mcp"]})


def test_a_real_hand_needs_its_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="hand_file"):
        settings("v1", hand_file=None)


@pytest.mark.parametrize("model", MODELS)
def test_angles_convert_there_and_back(model: str) -> None:
    angles = OrcaAngles(mock_settings(model).joints)
    pose = np.linspace(-1.0, 1.0, len(HAND_JOINTS))
    degrees = angles.to_degrees(pose)
    np.testing.assert_allclose(angles.to_radians(np.array([degrees[name] for name in angles.names])), pose, atol=1e-12)


def test_the_thumb_of_model_v2_is_mapped_by_meaning_not_by_name() -> None:
    angles = OrcaAngles(mock_settings("v2").joints)
    pose = np.zeros(len(HAND_JOINTS))
    rest = angles.to_degrees(pose)
    pose[HAND_JOINTS.index("right_thumb_mcp")] = 0.1
    moved = angles.to_degrees(pose)
    assert [name for name in moved if moved[name] != rest[name]] == ["thumb_cmc"]


def test_ranges_of_model_v1_are_those_of_the_limits_file() -> None:
    config = mock_settings("v1")
    ranges = yaml.safe_load((Path(orca_core.__file__).parent / "models/v1/orcahand-right/config.yaml").read_text())["joint_roms"]
    limits = yaml.safe_load(config_path("limits.yaml").read_text())["joints"]
    reachable = OrcaAngles(config.joints).range_rad(ranges)
    for name in HAND_JOINTS[1:]:  # the real wrist bends less than the simulated one
        assert reachable[name][0] - 0.02 <= limits[name]["position_min_rad"], name
        assert limits[name]["position_max_rad"] <= reachable[name][1] + 0.02, name


def test_missing_sdk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "orca_core", None)
    with pytest.raises(BackendError, match="pip install orca-core"):
        OrcaBackend(mock_settings("v1")).connect()


def test_nothing_works_before_connect() -> None:
    backend = OrcaBackend(mock_settings("v1"))
    assert backend.joint_names == HAND_JOINTS
    for call in (backend.read, backend.activate, lambda: backend.write(np.zeros(17))):
        with pytest.raises(BackendError, match="connect"):
            call()
    backend.deactivate()
    backend.disconnect()


def test_a_hand_of_the_other_model_is_refused() -> None:
    config = dataclasses.replace(mock_settings("v1"), model="v2")
    with pytest.raises(BackendError, match="thumb_cmc"):
        OrcaBackend(config).connect()


def test_mock_follows_targets_in_radians(mock_hand: OrcaBackend) -> None:
    start = mock_hand.read().position_rad
    mock_hand.activate()
    np.testing.assert_allclose(mock_hand.read().position_rad, start, atol=1e-3)
    middle = np.zeros(17)
    middle[HAND_JOINTS.index("right_thumb_abd")] = -0.3
    middle[HAND_JOINTS.index("right_pinky_abd")] = 0.2
    mock_hand.write(middle)
    wait_for(lambda: reaches(mock_hand, middle, 0.04))


def test_mock_refuses_impossible_targets_and_writes_without_activation(mock_hand: OrcaBackend) -> None:
    pose = mock_hand.read().position_rad
    with pytest.raises(BackendError, match="active"):
        mock_hand.write(pose)
    mock_hand.activate()
    for target in (np.zeros(16), np.full(17, np.inf)):
        with pytest.raises(BackendError, match="17 finite positions"):
            mock_hand.write(target)
    mock_hand.deactivate()
    with pytest.raises(BackendError, match="active"):
        mock_hand.write(pose)


def test_an_uncalibrated_hand_is_refused(bus: FakeDynamixelBus, tmp_path: Path) -> None:
    hand_file = write_hand_files(tmp_path, bus.port, calibrated=False)
    with pytest.raises(BackendError, match=r"calibrat.*calibration\.yaml"):
        OrcaBackend(settings("v1", hand_file=str(hand_file))).connect()


def test_a_missing_motor_is_named(bus: FakeDynamixelBus, tmp_path: Path) -> None:
    bus.missing = {16}
    with pytest.raises(BackendError, match="index_pip"):
        OrcaBackend(settings("v1", hand_file=str(write_hand_files(tmp_path, bus.port)))).connect()


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_the_real_client_keeps_the_contract(bus: FakeDynamixelBus, tmp_path: Path, check: Callable[[OrcaBackend], None]) -> None:
    backend = OrcaBackend(settings("v1", hand_file=str(write_hand_files(tmp_path, bus.port))))
    try:
        check(backend)
    finally:
        backend.disconnect()


def test_connecting_moves_and_powers_nothing(bus: FakeDynamixelBus, hand: OrcaBackend) -> None:
    hand.read()
    assert {servo.get(TORQUE_ENABLE, 1) for servo in bus.servos.values()} == {0}


def test_activation_powers_weak_motors_where_they_stand_and_deactivation_relaxes_them(
    bus: FakeDynamixelBus, hand: OrcaBackend
) -> None:
    start = hand.read().position_rad
    hand.activate()
    assert {servo.get(TORQUE_ENABLE, 1) for servo in bus.servos.values()} == {1}
    assert {servo.get(GOAL_CURRENT, 2) for servo in bus.servos.values()} == {120}  # signs are not checked yet
    assert {motor: servo.get(OPERATING_MODE, 1) for motor, servo in bus.servos.items()} == {
        **dict.fromkeys(range(1, 17), 5),
        17: 4,
    }
    assert reaches(hand, start)
    hand.deactivate()
    assert {servo.get(TORQUE_ENABLE, 1) for servo in bus.servos.values()} == {0}
    hand.read()


def test_a_checked_hand_gets_its_full_current(bus: FakeDynamixelBus, tmp_path: Path) -> None:
    hand_file = write_hand_files(tmp_path, bus.port)
    backend = OrcaBackend(settings("v1", hand_file=str(hand_file), joints_checked=True))
    backend.connect()
    backend.activate()
    assert {servo.get(GOAL_CURRENT, 2) for servo in bus.servos.values()} == {300}
    backend.disconnect()


def test_targets_reach_the_servos(hand: OrcaBackend) -> None:
    hand.activate()
    target = hand.read().position_rad + 0.05
    hand.write(target)
    wait_for(lambda: reaches(hand, target))
    stamp_s = hand.read().stamp_s
    wait_for(lambda: hand.read().stamp_s > stamp_s)


def test_a_servo_that_shuts_down_is_a_fault_until_a_re_arm_reboots_it(bus: FakeDynamixelBus, hand: OrcaBackend) -> None:
    hand.activate()
    pose = hand.read().position_rad
    bus.servos[5].latch(OVERLOAD)
    wait_for(lambda: raises_backend_error(hand.read))
    with pytest.raises(BackendError, match=r"ring_abd.*overload"):
        hand.write(pose)
    hand.recover()
    assert bus.servos[5].reboots == 1
    assert bus.servos[5].get(TORQUE_ENABLE, 1) == 1
    assert bus.servos[5].get(GOAL_CURRENT, 2) == 120
    assert reaches(hand, pose)
    hand.write(hand.read().position_rad)


@pytest.mark.parametrize("fault", ["silent", "corrupt"])
def test_a_bus_that_fails_is_a_fault_until_it_works_again(bus: FakeDynamixelBus, hand: OrcaBackend, fault: str) -> None:
    hand.activate()
    pose = hand.read().position_rad
    setattr(bus, fault, True)
    wait_for(lambda: raises_backend_error(hand.read))
    with pytest.raises(BackendError, match="fresh"):
        hand.write(pose)
    setattr(bus, fault, False)
    with pytest.raises(BackendError):
        hand.read()  # only an explicit re-arm brings it back
    hand.recover()
    assert reaches(hand, pose)
    hand.write(pose)


def test_a_pose_far_out_of_range_is_not_powered(bus: FakeDynamixelBus, tmp_path: Path) -> None:
    backend = OrcaBackend(settings("v1", hand_file=str(write_hand_files(tmp_path, bus.port))))
    bus.servos[16].put(132, 2048, 4)
    backend.connect()
    with pytest.raises(BackendError, match="index_pip measures"):
        backend.activate()
    assert {servo.get(TORQUE_ENABLE, 1) for servo in bus.servos.values()} == {0}
    backend.disconnect()


def test_recovering_a_healthy_hand_is_harmless_and_disconnecting_twice_too(bus: FakeDynamixelBus, hand: OrcaBackend) -> None:
    hand.activate()
    pose = hand.read().position_rad
    hand.recover()
    assert reaches(hand, pose)
    hand.disconnect()
    hand.disconnect()
    assert {servo.get(TORQUE_ENABLE, 1) for servo in bus.servos.values()} == {0}
    with pytest.raises(BackendError):
        hand.read()
    hand.connect()
    hand.recover()
    assert reaches(hand, pose)
