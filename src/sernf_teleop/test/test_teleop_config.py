"""The shipped configuration loads; wrong ones are refused with the name of the key."""

from __future__ import annotations

from pathlib import Path

import pytest
from teleop_fixtures import CONFIG, CONFIG_FILE, synergies

from sernf_robot.config import ConfigError, load_config
from sernf_teleop.config import TeleopConfig
from sernf_teleop.devices import DEVICES


def test_the_shipped_configuration_is_good() -> None:
    assert CONFIG.device == "none"
    assert set(synergies().names) == {"grasp", "pinch"}


def test_every_device_that_can_be_configured_exists() -> None:
    for device in DEVICES:
        assert load_config(TeleopConfig, CONFIG_FILE, {"device": device}).source in ("teleop", "demonstrator")
    with pytest.raises(ConfigError, match="device"):
        load_config(TeleopConfig, CONFIG_FILE, {"device": "crystal_ball"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate_hz: 5.0", "rate_hz"),
        ("rat_hz: 20.0", "rate_hz"),
        ("keyboard: {tap_ms: 100}", "tap_s"),
        ("keyboard: {keys: {w: '+wave', x: stop, q: quit}}", "unknown motion 'wave'"),
        ("keyboard: {keys: {x: stop, q: quit}}\ngamepad: {axes: [{index: 0, action: '+wave'}]}", "unknown motion 'wave'"),
        ("service_timeout_s: 0.0", "service_timeout_s"),
    ],
)
def test_errors_name_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "teleop.yaml"
    path.write_text(f"limits_file: limits.yaml\nhand_poses: {{}}\nsynergies: {{}}\n{text}\n")
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(TeleopConfig, path)
    assert str(path) in str(caught.value)


def test_there_are_no_default_limits(tmp_path: Path) -> None:
    path = tmp_path / "teleop.yaml"
    path.write_text("hand_poses: {}\nsynergies: {}\n")
    with pytest.raises(ConfigError, match="limits_file"):
        load_config(TeleopConfig, path)
