"""Sets of physics: read by name, checked, and truly different."""

from __future__ import annotations

from pathlib import Path

import pytest

from sernf_robot.config import ConfigError
from sernf_sim.physics import Physics, load_physics


def test_twin_differs_from_nominal_in_what_matters() -> None:
    nominal, twin = vars(load_physics("nominal")), vars(load_physics("twin"))
    for name in ("friction_scale", "object_mass_scale", "arm_gain_scale", "hand_gain_scale", "command_delay_s", "object_delay_s"):
        assert nominal[name] != twin[name], name
    for name in ("joint_position_noise_rad", "object_position_noise_m", "object_position_bias_m"):
        assert twin[name] > nominal[name], name


def test_reads_any_file(tmp_path: Path) -> None:
    path = tmp_path / "slippery.yaml"
    path.write_text("friction_scale: 0.5\n")
    assert load_physics(path) == Physics(friction_scale=0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("friction: 1", "did you mean 'friction_scale'"),
        ("friction_scale: 0", "0.1 to 10"),
        ("command_delay_s: -1", "command_delay_s"),
    ],
)
def test_names_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_physics(path)


def test_unknown_set_is_named() -> None:
    with pytest.raises(ConfigError, match=r"physics/moon\.yaml"):
        load_physics("moon")
