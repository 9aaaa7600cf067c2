"""Limits come from a file, completely, and keep the FR3 below the velocities at which it would stop by itself."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from sernf_robot.config import ConfigError
from sernf_robot.config_files import config_path
from sernf_robot.joints import ARM_JOINTS, JOINTS
from sernf_robot.limits import load_limits
from sernf_robot.model import build_robot_spec, joint_limits

# The manufacturer's limits of the FR3: greatest velocity, and v = offset + sqrt(slope * (end - q)) towards either end.
FR3_VELOCITY = {
    "fr3_joint1": (2.62, -0.30, 12.00, -2.75010, 2.75010),
    "fr3_joint2": (2.62, -0.20, 5.17, -1.79180, 1.79180),
    "fr3_joint3": (2.62, -0.20, 7.00, -2.90650, 2.90650),
    "fr3_joint4": (2.62, -0.30, 8.00, -3.04810, -0.14580),
    "fr3_joint5": (5.26, -0.35, 34.00, -2.81010, 2.81010),
    "fr3_joint6": (4.18, -0.35, 11.00, 0.54092, 4.52050),
    "fr3_joint7": (5.26, -0.35, 34.00, -3.01960, 3.01960),
}


def shipped() -> dict[str, dict[str, float]]:
    content: dict[str, dict[str, dict[str, float]]] = yaml.safe_load(config_path("limits.yaml").read_text())
    return content["joints"]


def written(folder: Path, joints: dict[str, dict[str, float]]) -> Path:
    path = folder / "limits.yaml"
    path.write_text(yaml.safe_dump({"joints": joints}))
    return path


def test_limits_follow_the_order_that_is_asked_for() -> None:
    reverse = JOINTS[::-1]
    limits = load_limits(config_path("limits.yaml"), reverse)
    assert limits.joint_names == reverse
    assert limits.velocity_rad_s[-1] == shipped()["fr3_joint1"]["velocity_rad_s"]


def test_a_missing_joint_refuses_the_file(tmp_path: Path) -> None:
    joints = shipped()
    del joints["right_wrist"]
    with pytest.raises(ConfigError, match=r"limits\.yaml.*right_wrist"):
        load_limits(written(tmp_path, joints), JOINTS)


@pytest.mark.parametrize("key", ["position_min_rad", "position_max_rad", "velocity_rad_s", "acceleration_rad_s2", "jerk_rad_s3"])
@pytest.mark.parametrize("value", [None, math.nan, math.inf, "fast"])
def test_a_missing_or_impossible_value_refuses_the_file(tmp_path: Path, key: str, value: object) -> None:
    joints: dict[str, dict[str, object]] = {name: dict(values) for name, values in shipped().items()}
    if value is None:
        del joints["fr3_joint2"][key]
    else:
        joints["fr3_joint2"][key] = value
    with pytest.raises(ConfigError, match=rf"limits\.yaml.*fr3_joint2.*{key}"):
        load_limits(written(tmp_path, joints), JOINTS)  # type: ignore[arg-type]


@pytest.mark.parametrize(("key", "value"), [("velocity_rad_s", 0.0), ("jerk_rad_s3", -1.0), ("position_max_rad", -5.0)])
def test_senseless_values_refuse_the_file(tmp_path: Path, key: str, value: float) -> None:
    joints = shipped()
    joints["fr3_joint2"][key] = value
    with pytest.raises(ConfigError, match=key):
        load_limits(written(tmp_path, joints), JOINTS)


def test_a_wrong_unit_is_named(tmp_path: Path) -> None:
    joints = shipped()
    joints["fr3_joint2"]["velocity_deg_s"] = joints["fr3_joint2"].pop("velocity_rad_s")
    with pytest.raises(ConfigError, match="velocity_rad_s"):
        load_limits(written(tmp_path, joints), JOINTS)


def test_shipped_positions_lie_inside_the_model() -> None:
    low, high = joint_limits(build_robot_spec().compile())
    limits = load_limits(config_path("limits.yaml"), JOINTS)
    assert (limits.position_min_rad >= low).all()
    assert (limits.position_max_rad <= high).all()


@pytest.mark.parametrize("joint", ARM_JOINTS)
def test_the_arm_brakes_before_its_own_reflex_would(joint: str) -> None:
    most, offset, slope, low, high = FR3_VELOCITY[joint]
    own = shipped()[joint]
    acceleration, build_up = own["acceleration_rad_s2"], 0.5 * own["acceleration_rad_s2"] ** 2 / own["jerk_rad_s3"]
    assert low < own["position_min_rad"] < own["position_max_rad"] < high
    for rest_rad in np.linspace(0.0, own["position_max_rad"] - own["position_min_rad"], 500):
        ours = min(own["velocity_rad_s"], math.sqrt(build_up**2 + 2.0 * acceleration * rest_rad) - build_up)
        for to_the_end in (high - own["position_max_rad"] + rest_rad, own["position_min_rad"] - low + rest_rad):
            theirs = min(most, offset + math.sqrt(slope * to_the_end))
            assert ours <= theirs, f"{rest_rad:.3f} rad before our limit: {ours:.3f} rad/s, the robot allows {theirs:.3f}"
