"""Layouts are compared by name, and refused with a message."""

from __future__ import annotations

import pytest
from small_policies import small_layout

from sernf_policy.layout import DUCK_OBSERVATION, LayoutError, PolicyLayout
from sernf_robot.joints import JOINTS


def test_sizes_are_those_of_the_terms() -> None:
    terms = ("object_at_object/duck:bowl", "object_rotation/duck", "commanded_position", "hand_position", "object_in_hand/bowl")
    layout = PolicyLayout(task="duck", observation=terms)
    assert (layout.action_size, layout.chunk_size, layout.observation_size) == (24, 240, 3 + 6 + 24 + 3 + 3)
    assert layout.objects == ("duck", "bowl")


def test_slices_follow_each_other_in_the_order_of_the_terms() -> None:
    layout = PolicyLayout(task="duck", observation=DUCK_OBSERVATION)
    stop = 0
    for term in layout.observation:
        part = layout.slice_of(term)
        assert part.start == stop
        stop = part.stop
        assert layout.term_at(part.start) == layout.term_at(part.stop - 1) == term
    assert stop == layout.observation_size
    with pytest.raises(LayoutError, match="expected object_position/cube among its terms"):
        layout.slice_of("object_position/cube")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observation": ()}, "expected the term commanded_position"),
        ({"observation": ("joint_position",)}, "expected the term commanded_position"),
        ({"observation": ("commanded_position", "joint_velocity")}, "got 'joint_velocity'"),
        ({"observation": ("commanded_position", "object_position")}, "got 'object_position'"),
        ({"observation": ("commanded_position", "object_position/")}, "got 'object_position/'"),
        ({"observation": ("commanded_position", "joint_position/duck")}, "got 'joint_position/duck'"),
        ({"observation": ("commanded_position", "joint_position/")}, "got 'joint_position/'"),
        ({"observation": ("commanded_position", "object_position/duck:bowl")}, "got 'object_position/duck:bowl'"),
        ({"observation": ("commanded_position", "object_at_object/duck")}, "got 'object_at_object/duck'"),
        ({"observation": ("commanded_position", "object_at_object/duck:")}, "got 'object_at_object/duck:'"),
        ({"observation": ("commanded_position", "commanded_position")}, "every name once"),
        ({"joint_names": ("fr3_joint1", "fr3_joint1")}, "joint_names: expected every name once"),
        ({"absolute_joints": ("elbow",)}, "absolute_joints: expected some of joint_names, got also elbow"),
        ({"horizon": 0}, "horizon: expected 1 to 200 steps, got 0"),
        ({"horizon": 201}, "horizon"),
        ({"step_period_s": 0.5}, "step_period_s"),
        ({"step_period_s": 0.001}, "step_period_s"),
    ],
)
def test_what_does_not_make_sense_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(LayoutError, match=message):
        PolicyLayout(**{"task": "toy", "observation": ("commanded_position",), **changes})  # type: ignore[arg-type]


def test_a_robot_with_the_same_joints_in_another_order_fits() -> None:
    small_layout(3).check_joints(("fr3_joint3", "fr3_joint1", "fr3_joint2"))


@pytest.mark.parametrize(
    ("joints", "message"),
    [
        (("fr3_joint1", "fr3_joint2"), "missing on the robot: fr3_joint3; unknown to the policy: none"),
        (JOINTS[:4], "missing on the robot: none; unknown to the policy: fr3_joint4"),
        (("fr3_joint1", "fr3_joint2", "elbow"), "missing on the robot: fr3_joint3; unknown to the policy: elbow"),
    ],
)
def test_a_robot_with_other_joints_is_refused_by_name(joints: tuple[str, ...], message: str) -> None:
    with pytest.raises(LayoutError, match=message):
        small_layout(3).check_joints(joints)
