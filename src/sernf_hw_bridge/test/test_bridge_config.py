"""The shipped configuration loads, and wrong ones are refused with the name of the key; timings come out as they went in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from sernf_hw_bridge.backends.mock import MockBackend, MockConfig
from sernf_hw_bridge.backends.registry import BackendOptions, create_backend
from sernf_hw_bridge.bridge_config import BridgeConfig
from sernf_hw_bridge.timings import Timings
from sernf_robot.config import ConfigError, load_config
from sernf_robot.config_files import config_path
from sernf_robot.joints import JOINTS

SHIPPED = config_path("hw_bridge.yaml")


def test_the_shipped_file_loads_and_is_complete() -> None:
    config = load_config(BridgeConfig, SHIPPED)
    assert set(config.control.home_position_rad) == set(JOINTS)
    for path in (config.limits_file, config.workspace_file, config.franka_file, config.orca_file):
        assert path is not None
        assert (SHIPPED.parent / path).is_file()


@pytest.mark.parametrize(
    ("keys", "value", "complaint"),
    [
        (("limits_file",), None, "limits_file"),
        (("workspace_file",), None, "workspace_file"),
        (("control", "home_position_rad"), None, "home_position_rad"),
        (("control", "measurement", "tracking_tolerance_rad"), None, "tracking_tolerance_rad"),
        (("control", "measurement", "tracking_tolerance_rad", "arm"), -1.0, "tracking_tolerance_rad.arm"),
        (("control", "rate_hz"), 1e6, "rate_hz"),
        (("control", "rate_ms"), 4, "rate_hz"),
        (("control", "watchdog", "hold_age_s"), 0.01, "hold_age_s"),
        (("control", "watchdog", "warn_age_s"), 0.04, "warn_age_s"),
        (("joint_states_rate_hz",), 1000.0, "joint_states_rate_hz"),
        (("arm_fault",), "tired", "read_raises"),
        (("seed",), -1, "seed"),
        (("priority",), 99, "priority"),
        (("colour",), "red", "colour"),
    ],
)
def test_a_wrong_value_is_named_with_its_file(tmp_path: Path, keys: tuple[str, ...], value: object, complaint: str) -> None:
    content = yaml.safe_load(SHIPPED.read_text())
    place = content
    for key in keys[:-1]:
        place = place[key]
    if value is None:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    path = tmp_path / "bridge.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=rf"bridge\.yaml.*{complaint}"):
        load_config(BridgeConfig, path)


def options() -> BackendOptions:
    def no_world() -> None:
        raise AssertionError("no world was asked for")

    return BackendOptions(home_position_rad=dict.fromkeys(JOINTS, 0.1), mock=MockConfig(), world=no_world)  # type: ignore[arg-type]


def test_backends_are_made_by_name() -> None:
    backend = create_backend("mock", "hand", options())
    assert isinstance(backend, MockBackend)
    backend.connect()
    np.testing.assert_array_equal(backend.read().position_rad, 0.1)


@pytest.mark.parametrize(("name", "part"), [("orca", "arm"), ("franka", "hand"), ("ur5", "arm"), ("", "hand")])
def test_a_backend_that_does_not_fit_is_refused(name: str, part: str) -> None:
    with pytest.raises(ValueError, match="expected backend sim, mock or"):
        create_backend(name, part, options())  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "part", "key"), [("franka", "arm", "franka_file"), ("orca", "hand", "orca_file")])
def test_a_vendor_backend_needs_its_file(name: str, part: str, key: str) -> None:
    with pytest.raises(ValueError, match=key):
        create_backend(name, part, options())  # type: ignore[arg-type]


def test_timings_keep_the_newest_rows_in_order(tmp_path: Path) -> None:
    timings = Timings(10)
    for tick in range(13):
        timings.tick(tick, 0.1 * tick, 0.2 * tick)
    timings.command(1, 2, 3)
    timings.save(tmp_path / "deep" / "ticks.npy")
    ticks = np.load(tmp_path / "deep" / "ticks.npy")
    assert ticks["start_ns"].tolist() == list(range(3, 13))
    assert ticks["filter_s"][-1] == pytest.approx(1.2)
    commands = np.load(tmp_path / "deep" / "ticks_commands.npy")
    assert commands.tolist() == [(1, 2, 3)]
