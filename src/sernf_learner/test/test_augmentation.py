"""Displaced copies: consistent in all that depends on the joints, and led back onto the path."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from learning_data import HORIZON, demonstrations, episode
from learning_data import LAYOUT as PLAIN

from sernf_learner.augmentation import ImitationRows, RecoveryConfig, imitation_rows
from sernf_learner.episode import Ending
from sernf_policy.layout import PolicyLayout
from sernf_policy.observation import ObservationBuilder
from sernf_robot.joints import JOINTS
from sernf_robot.kinematics import quaternion_to_matrix

LAYOUT = PolicyLayout(
    task="duck", horizon=HORIZON,
    observation=("joint_position", "commanded_position", "hand_position", "hand_rotation", "object_position/duck",
                 "object_rotation/duck", "object_in_hand/duck", "object_position/bowl"),
)  # fmt: skip
BUILDER = ObservationBuilder(LAYOUT)
BOWL = (0.5, 0.1, 0.02, 1.0, 0.0, 0.0, 0.0)


def with_duck(height_m: float) -> object:
    pose = np.zeros((12, 2, 7))
    pose[:, 0] = (0.4, -0.1, height_m, 0.5, 0.5, -0.5, 0.5)
    pose[:, 1] = BOWL
    return episode(objects=("duck", "bowl"), object_pose=pose)


def rows(recorded: object, **values: float) -> ImitationRows:
    return imitation_rows([recorded], BUILDER, RecoveryConfig(copies=2, **values), 4)[0]  # type: ignore[list-item, arg-type]


def term(found: ImitationRows, name: str) -> np.ndarray:
    return found.vector[:, LAYOUT.slice_of(name)].numpy().astype(float)


def test_the_hand_is_where_the_displaced_joints_put_it() -> None:
    found = rows(with_duck(0.02))
    assert len(found) == 12 * 3
    for joints, hand_m in zip(term(found, "joint_position"), term(found, "hand_position")):
        np.testing.assert_allclose(hand_m, BUILDER.hand_pose(joints)[0], atol=1e-5)


@pytest.mark.parametrize(("height_m", "held"), [(0.02, False), (0.3, True)])
def test_a_held_object_moves_with_the_hand_and_no_other(height_m: float, held: bool) -> None:
    found = rows(with_duck(height_m))
    duck_m, in_hand_m = term(found, "object_position/duck"), term(found, "object_in_hand/duck")
    turn = term(found, "object_rotation/duck")
    np.testing.assert_allclose(term(found, "object_position/bowl"), np.tile(BOWL[:3], (len(found), 1)), atol=1e-6)
    original, copy = slice(0, None, 3), slice(1, None, 3)
    moved = np.abs(duck_m[copy] - duck_m[original]).max()
    turned = np.abs(turn[copy] - turn[original]).max()
    slipped = np.abs(in_hand_m[copy] - in_hand_m[original]).max()
    assert (moved > 1e-3, turned > 1e-3, slipped > 1e-4) == (held, held, not held)
    for joints, position_m, seen_m in zip(term(found, "joint_position"), duck_m, in_hand_m):
        hand_m, hand = BUILDER.hand_pose(joints)
        np.testing.assert_allclose(seen_m, hand.T @ (position_m - hand_m), atol=1e-5)


def test_a_held_object_keeps_its_attitude_in_the_hand() -> None:
    found = rows(with_duck(0.3))
    seen = []
    for joints, columns in zip(term(found, "joint_position"), term(found, "object_rotation/duck")):
        first, second = columns[:3], columns[3:]
        seen.append(BUILDER.hand_pose(joints)[1].T @ np.stack([first, second, np.cross(first, second)], axis=1))
    for original in range(0, len(seen), 3):
        np.testing.assert_allclose(seen[original + 1], seen[original], atol=1e-5)
    np.testing.assert_allclose(
        term(found, "object_rotation/duck")[0], quaternion_to_matrix([0.5, 0.5, -0.5, 0.5])[:, :2].T.ravel(), atol=1e-6
    )


@pytest.mark.parametrize("reach", [1, 3, 20])
def test_the_chunk_is_back_on_the_path_within_reach(reach: int) -> None:
    recorded = episode()
    found = imitation_rows([recorded], BUILDER_PLAIN, RecoveryConfig(copies=2, reach=reach), 4)[0]
    for vector, chunk, tick in zip(found.vector, found.chunk, found.row.tolist()):
        path = recorded.action_rad[np.minimum(np.arange(tick, tick + HORIZON), 11)]
        offset = vector[:24].numpy() - recorded.joint_position_rad[tick]
        expected = [max(0.0, 1.0 - (step + 1) / reach) * offset for step in range(HORIZON)]
        np.testing.assert_allclose(chunk.numpy() - path, expected, atol=1e-6)
        np.testing.assert_allclose(vector[24:48].numpy() - recorded.commanded_position_rad[tick], offset, atol=1e-6)


BUILDER_PLAIN = ObservationBuilder(PLAIN)


def test_the_same_seed_gives_the_same_copies_whatever_else_there_is() -> None:
    config = RecoveryConfig(copies=2)
    alone = imitation_rows([episode(1)], BUILDER_PLAIN, config, 4)[0]
    among = imitation_rows(demonstrations(), BUILDER_PLAIN, config, 4)[1]
    other = imitation_rows([episode(1)], BUILDER_PLAIN, config, 5)[0]
    assert torch.equal(alone.vector, among.vector) and torch.equal(alone.chunk, among.chunk)
    assert not torch.equal(alone.vector, other.vector)


def test_joints_are_displaced_by_about_what_was_asked_for() -> None:
    found = imitation_rows(
        [episode(seed, steps=40) for seed in range(3)], BUILDER_PLAIN,
        RecoveryConfig(copies=8, arm_rad=0.05, hand_rad=0.0), 0,
    )  # fmt: skip
    assert len(JOINTS) == 24
    offsets = torch.cat([one.vector.view(40, 9, -1)[:, 1:, :24] - one.vector.view(40, 9, -1)[:, :1, :24] for one in found])
    assert offsets[..., 7:].abs().max() == 0
    assert 0.002 < offsets[..., :7].std() < 0.1


def test_nothing_that_went_wrong_is_copied() -> None:
    assert len(imitation_rows([episode(ending=Ending.FAILURE)], BUILDER_PLAIN, RecoveryConfig(), 0)[0]) == 0
    with pytest.raises(ValueError, match="copies"):
        RecoveryConfig(copies=-1)
