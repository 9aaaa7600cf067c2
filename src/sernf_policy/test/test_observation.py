"""From what is measured to what the policy sees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sernf_policy.layout import NEAR_M, LayoutError, PolicyLayout
from sernf_policy.observation import Array, Array32, Memory, ObservationBuilder, Snapshot
from sernf_robot.kinematics import GRASP_POINT_M, Kinematics, quaternion_to_matrix

TERMS = (
    "joint_position", "commanded_position", "hand_position", "hand_rotation",
    "object_position/duck", "object_rotation/duck", "object_in_hand/duck", "object_in_hand/bowl",
    "object_at_grasp/duck", "object_at_object/duck:bowl",
)  # fmt: skip
LAYOUT = PolicyLayout(task="duck", observation=TERMS)
KINEMATICS = Kinematics()
UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])
QUARTER_TURN = np.array([np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)])
HOME = np.zeros(24)
HOME[[3, 5]] = [-1.8, 1.8]


def snapshot(joints: Array = HOME, duck: Array | None = None, quaternion: Array = UPRIGHT) -> Snapshot:
    return Snapshot(
        joint_position_rad=joints,
        commanded_position_rad=joints + 0.01,
        object_poses={
            "duck": (np.array([0.5, 0.1, 0.02]) if duck is None else duck, quaternion),
            "bowl": (np.array([0.4, -0.2, 0.0]), UPRIGHT),
        },
    )


def term(vector: Array32, name: str) -> Array32:
    return vector[LAYOUT.slice_of(name)]


def test_every_term_lies_where_the_layout_says() -> None:
    vector = ObservationBuilder(LAYOUT, KINEMATICS).vector(snapshot(quaternion=QUARTER_TURN))
    hand_m, hand = KINEMATICS.hand_pose(HOME)
    assert vector.dtype == np.float32 and vector.shape == (LAYOUT.observation_size,)
    np.testing.assert_allclose(term(vector, "joint_position"), HOME, atol=1e-6)
    np.testing.assert_allclose(term(vector, "commanded_position"), HOME + 0.01, atol=1e-6)
    np.testing.assert_allclose(term(vector, "hand_position"), hand_m, atol=1e-6)
    np.testing.assert_allclose(term(vector, "hand_rotation"), np.concatenate([hand[:, 0], hand[:, 1]]), atol=1e-6)
    np.testing.assert_allclose(term(vector, "object_position/duck"), [0.5, 0.1, 0.02], atol=1e-6)
    np.testing.assert_allclose(term(vector, "object_rotation/duck"), [0, 1, 0, -1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(hand @ term(vector, "object_in_hand/bowl") + hand_m, [0.4, -0.2, 0.0], atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    angle=st.floats(-3.0, 3.0),
    axis=st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1)).filter(lambda a: np.linalg.norm(a) > 0.1),
)
def test_a_quaternion_and_its_negative_are_the_same_rotation(angle: float, axis: tuple[float, float, float]) -> None:
    """Why rotations are columns of matrices: a sign that flips between two messages must not be seen."""
    direction = np.array(axis) / np.linalg.norm(axis)
    quaternion = np.concatenate([[np.cos(angle / 2)], np.sin(angle / 2) * direction])
    builder = ObservationBuilder(LAYOUT, KINEMATICS)
    np.testing.assert_allclose(
        builder.vector(snapshot(quaternion=quaternion)), builder.vector(snapshot(quaternion=-quaternion)), atol=1e-6
    )
    columns = term(builder.vector(snapshot(quaternion=quaternion)), "object_rotation/duck").reshape(2, 3).T
    np.testing.assert_allclose(columns, quaternion_to_matrix(quaternion)[:, :2], atol=1e-6)


def test_what_the_hand_holds_stays_where_it_is_in_the_hand() -> None:
    builder = ObservationBuilder(LAYOUT, KINEMATICS)
    in_hand = np.array([0.02, -0.01, 0.1])
    for first in (-0.5, 0.0, 0.7):
        joints = HOME.copy()
        joints[0] = first
        hand_m, hand = KINEMATICS.hand_pose(joints)
        vector = builder.vector(snapshot(joints, duck=hand @ in_hand + hand_m))
        np.testing.assert_allclose(term(vector, "object_in_hand/duck"), in_hand, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(offset=st.tuples(*[st.floats(-0.6, 0.6)] * 3))
def test_near_terms_are_exact_close_by_and_saturate(offset: tuple[float, float, float]) -> None:
    builder = ObservationBuilder(LAYOUT, KINEMATICS)
    hand_m, hand = KINEMATICS.hand_pose(HOME)
    duck = hand @ (np.array(offset) + GRASP_POINT_M) + hand_m
    vector = builder.vector(snapshot(duck=duck))
    pairs = [(term(vector, "object_at_grasp/duck"), np.array(offset))]
    pairs.append((term(vector, "object_at_object/duck:bowl"), duck - np.array([0.4, -0.2, 0.0])))
    for seen, true in pairs:
        assert (np.abs(seen) <= NEAR_M + 1e-6).all()
        assert (seen * true >= -1e-6).all()
        close = np.abs(true) < 0.01
        np.testing.assert_allclose(seen[close], true[close], rtol=0.02, atol=1e-6)


def test_a_missing_object_is_an_error_not_a_zero() -> None:
    incomplete = Snapshot(joint_position_rad=HOME, commanded_position_rad=HOME, object_poses={})
    with pytest.raises(KeyError, match="duck"):
        ObservationBuilder(LAYOUT, KINEMATICS).vector(incomplete)


def test_a_wrong_number_of_joints_is_an_error() -> None:
    builder = ObservationBuilder(LAYOUT, KINEMATICS)
    odd = Snapshot(joint_position_rad=HOME, commanded_position_rad=HOME[:5], object_poses=snapshot().object_poses)
    with pytest.raises(ValueError, match="expected an observation of 78 numbers, got 59"):
        builder.vector(odd)


def test_terms_of_earlier_ticks_show_what_was_seen_then() -> None:
    layout = PolicyLayout(
        task="duck", observation=("commanded_position", "joint_position@1", "object_in_hand/duck@2", "object_position/duck@2")
    )
    assert layout.memory == 2 and layout.objects == ("duck",)
    builder, memory = ObservationBuilder(layout, KINEMATICS), Memory(layout.memory)
    seen = [snapshot(HOME + 0.1 * tick, duck=np.array([0.1 * tick, 0.0, 0.0])) for tick in range(5)]
    vectors = [builder.vector(memory.with_earlier(one)) for one in seen]
    for tick, vector in enumerate(vectors):
        before, long_before = seen[max(0, tick - 1)], seen[max(0, tick - 2)]
        np.testing.assert_allclose(vector[layout.slice_of("commanded_position")], seen[tick].commanded_position_rad, atol=1e-6)
        np.testing.assert_allclose(vector[layout.slice_of("joint_position@1")], before.joint_position_rad, atol=1e-6)
        hand_m, hand = KINEMATICS.hand_pose(long_before.joint_position_rad)
        duck = long_before.object_poses["duck"][0]
        np.testing.assert_allclose(vector[layout.slice_of("object_position/duck@2")], duck, atol=1e-6)
        np.testing.assert_allclose(hand @ vector[layout.slice_of("object_in_hand/duck@2")] + hand_m, duck, atol=1e-6)
    memory.forget()
    np.testing.assert_array_equal(builder.vector(memory.with_earlier(seen[3])), builder.vector(seen[3]))


@settings(max_examples=30, deadline=None)
@given(yaw=st.floats(-3.0, 3.0), quarters=st.integers(-3, 3), tilt=st.floats(-0.5, 0.5))
def test_an_object_with_four_like_sides_looks_the_same_after_quarter_turns(yaw: float, quarters: int, tilt: float) -> None:
    layout = PolicyLayout(task="cube", observation=("commanded_position", "object_square/duck"))
    builder = ObservationBuilder(layout, KINEMATICS)

    def seen(angle: float) -> Array32:
        half = (np.cos(angle / 2), np.sin(angle / 2)), (np.cos(tilt / 2), np.sin(tilt / 2))
        (c, s), (tc, ts) = half
        quaternion = np.array([tc * c, ts * c, -ts * s, tc * s])  # tilted about the world's x, after the turn about z
        return builder.vector(snapshot(quaternion=quaternion))[layout.slice_of("object_square/duck")]

    np.testing.assert_allclose(seen(yaw)[:2], [0.0, -np.sin(tilt)], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(seen(yaw)[2:]), 1.0, atol=1e-6)
    if tilt == 0.0:
        np.testing.assert_allclose(seen(yaw), seen(yaw + quarters * np.pi / 2), atol=1e-5)
        np.testing.assert_allclose(seen(yaw)[2:], [np.cos(4 * yaw), np.sin(4 * yaw)], atol=1e-5)


@pytest.mark.parametrize("term_", ["joint_position@0", "joint_position@21", "joint_position@x", "joint_position@", "duck@1"])
def test_refuses_terms_that_do_not_say_how_long_ago(term_: str) -> None:
    with pytest.raises(LayoutError, match="observation: expected"):
        PolicyLayout(task="duck", observation=("commanded_position", term_))
