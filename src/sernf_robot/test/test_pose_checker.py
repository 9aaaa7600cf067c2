"""Pose checks: known good and bad poses, depths that grow with the violation, margins as configured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sernf_robot.config import load_config
from sernf_robot.joints import JOINTS
from sernf_robot.kinematics import Kinematics
from sernf_robot.pose_checker import PoseCheckConfig, PoseChecker

CONFIG = load_config(PoseCheckConfig, Path(__file__).parents[3] / "config" / "workspace.yaml")
CHECK = PoseChecker(CONFIG)
KINEMATICS = Kinematics()
HOME = np.array([0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785, *np.zeros(17)])
DOWN = KINEMATICS.hand_pose(HOME)[1]


def pose(**joints: float) -> np.ndarray:
    position = HOME.copy()
    for name, value in joints.items():
        position[JOINTS.index(name)] = value
    return position


def above_table(height_m: float) -> np.ndarray:
    """Hand straight down, its mount `height_m` above the table."""
    position = HOME.copy()
    position[:7] = KINEMATICS.inverse([0.45, 0.0, height_m], DOWN, HOME)
    return position


def test_home_is_allowed() -> None:
    assert CHECK(HOME) == {}


def test_closed_fist_is_allowed() -> None:
    fist = {f"right_{finger}_{joint}": 1.4 for finger in ("index", "middle", "ring", "pinky") for joint in ("mcp", "pip")}
    assert CHECK(pose(**fist, right_thumb_pip=0.8, right_thumb_dip=1.0)) == {}


def test_table_depth_grows_as_the_hand_goes_down() -> None:
    depths = [CHECK(above_table(height)).get("table", 0.0) for height in (0.45, 0.30, 0.29)]
    assert depths[0] == 0.0
    assert depths[2] - depths[1] == pytest.approx(0.01, abs=1.5e-3)


def test_fingertips_may_touch_the_table() -> None:
    touching = above_table(0.40)
    lowest = PoseChecker(replace(CONFIG, finger_table_clearance_m=0.2))(touching)["table"]
    fingertip_m = 0.2 - lowest
    assert 0.0 < fingertip_m < 0.1
    assert "table" not in CHECK(above_table(0.40 - fingertip_m + 0.001))


def test_workspace_depth_is_how_far_the_hand_is_outside() -> None:
    swung = CHECK(pose(fr3_joint1=2.0))
    assert set(swung) == {"workspace"}
    most_m = swung["workspace"]
    for share, outside in ((1.001, set()), (0.999, {"workspace"})):
        low, high = np.array(CONFIG.workspace_min_m) - share * most_m, np.array(CONFIG.workspace_max_m) + share * most_m
        wider = PoseChecker(replace(CONFIG, workspace_min_m=tuple(low), workspace_max_m=tuple(high)))
        assert set(wider(pose(fr3_joint1=2.0))) == outside


def test_self_collision_is_found_and_the_links_are_named() -> None:
    folded = pose(fr3_joint2=-1.2, fr3_joint4=-2.9, fr3_joint6=0.7)
    found = CHECK(folded)
    assert found["self_collision"] > 0.0
    assert CHECK.colliding_links()


def test_self_clearance_keeps_links_apart() -> None:
    pairs = [(PoseChecker(replace(CONFIG, self_clearance_m=clearance)), clearance) for clearance in (0.0, 0.02)]
    folded = pose(fr3_joint2=-1.2, fr3_joint4=-2.9, fr3_joint6=0.7)
    touching, apart = (checker(folded).get("self_collision", 0.0) for checker, _ in pairs)
    assert apart - touching == pytest.approx(0.02, abs=1e-6)


def test_answers_do_not_depend_on_what_was_asked_before() -> None:
    rng = np.random.default_rng(0)
    poses = [HOME + rng.uniform(-0.8, 0.8, 24) for _ in range(30)]
    first = [CHECK(candidate) for candidate in poses]
    assert [CHECK(candidate) for candidate in reversed(poses)] == first[::-1]


def test_refuses_another_number_of_joints() -> None:
    with pytest.raises(ValueError, match="24"):
        CHECK(np.zeros(7))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"workspace_min_m": (1.0, 0.0, 0.0)}, "workspace_min_m"),
        ({"table_height_m": float("nan")}, "table_height_m"),
        ({"finger_table_clearance_m": 0.5}, "finger_table_clearance_m"),
        ({"self_clearance_m": -0.1}, "self_clearance_m"),
    ],
)
def test_configuration_is_checked(change: dict[str, object], key: str) -> None:
    with pytest.raises(ValueError, match=key):
        replace(CONFIG, **change)
