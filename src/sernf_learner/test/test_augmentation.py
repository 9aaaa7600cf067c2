"""Copies of windows: consistent in all that depends on the joints, led back onto the path, turned as a whole."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from learning_data import HORIZON, episode
from learning_data import LAYOUT as PLAIN

from sernf_learner.augmentation import AugmentationConfig, WindowCopies, copied_windows
from sernf_learner.episode import Episode
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


PLAIN_BUILDER = ObservationBuilder(PLAIN)
STILL: dict[str, float] = {"turn_rad": 0.0, "elsewhere_m": 0.0, "finger_step_rad": 10.0, "empty_share": 0.0}


def with_duck(height_m: float) -> Episode:
    pose = np.zeros((12, 2, 7))
    pose[:, 0] = (0.4, -0.1, height_m, 0.5, 0.5, -0.5, 0.5)
    pose[:, 1] = BOWL
    return episode(objects=("duck", "bowl"), object_pose=pose)


def copies(recorded: Episode, builder: ObservationBuilder = BUILDER, seed: int = 4, **values: float) -> WindowCopies:
    config = AugmentationConfig(**{"copies": 2, **STILL, **values})  # type: ignore[arg-type]
    return copied_windows(recorded, builder, config, seed, windows=len(recorded))


def term(found: WindowCopies, name: str) -> np.ndarray:
    return found.vector[:, LAYOUT.slice_of(name)].numpy().astype(float)


def test_the_hand_is_where_the_displaced_joints_put_it() -> None:
    found = copies(with_duck(0.02))
    assert len(found) == 12 * 3
    for joints, hand_m in zip(term(found, "joint_position"), term(found, "hand_position")):
        np.testing.assert_allclose(hand_m, BUILDER.hand_pose(joints)[0], atol=1e-5)


@pytest.mark.parametrize(("height_m", "held"), [(0.02, False), (0.3, True)])
def test_a_held_object_moves_with_the_hand_and_no_other(height_m: float, held: bool) -> None:
    found = copies(with_duck(height_m))
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
    found = copies(with_duck(0.3))
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
    found = copies(recorded, PLAIN_BUILDER, reach=reach)
    for vector, chunk, tick in zip(found.vector, found.chunk, found.row.tolist()):
        path = recorded.action_rad[np.minimum(np.arange(tick, tick + HORIZON), 11)]
        offset = vector[:24].numpy() - recorded.joint_position_rad[tick]
        expected = [max(0.0, 1.0 - (step + 1) / reach) * offset for step in range(HORIZON)]
        np.testing.assert_allclose(chunk.numpy() - path, expected, atol=1e-6)
        np.testing.assert_allclose(vector[24:48].numpy() - recorded.commanded_position_rad[tick], offset, atol=1e-6)


def closing_hand() -> Episode:
    """The arm moves all the time, the fingers close from the sixth to the eighth step."""
    recorded = episode(steps=20)
    path = np.concatenate([recorded.joint_position_rad, recorded.action_rad[-1:]])
    path[:, 7:] = 0.2
    path[:, 8:] += 0.1 * np.clip(np.arange(21)[:, None] - 5, 0, 3)
    return dataclasses.replace(recorded, joint_position_rad=path[:-1], commanded_position_rad=path[:-1], action_rad=path[1:])


def test_nothing_is_displaced_while_the_fingers_move() -> None:
    recorded = closing_hand()
    found = copies(recorded, PLAIN_BUILDER, finger_step_rad=0.03, reach=3)
    offsets = found.vector[:, :24].numpy() - recorded.joint_position_rad[found.row]
    displaced = np.abs(offsets).reshape(20, 3, 24)[:, 1:].max(axis=(1, 2)) > 1e-6
    assert displaced.tolist() == [tick not in (5, 6, 7) for tick in range(20)]


@pytest.mark.parametrize("step_m", [1e-6, 0.01, 1.0])
def test_a_hand_that_is_off_takes_its_way_back_before_fingers_move(step_m: float) -> None:
    recorded, reach = closing_hand(), 3
    found = copies(recorded, PLAIN_BUILDER, finger_step_rad=0.03, reach=reach, step_m=step_m)
    waited = set()
    for vector, chunk, tick, wait in zip(found.vector, found.chunk, found.row.tolist(), found.wait.tolist()):
        joints = vector[:24].numpy().astype(float)
        offset = joints - recorded.joint_position_rad[tick]
        off_m = np.linalg.norm(PLAIN_BUILDER.hand_pose(joints)[0] - PLAIN_BUILDER.hand_pose(recorded.joint_position_rad[tick])[0])
        fingers_move_in_it = tick <= 7 and tick + HORIZON > 5
        assert wait == (pytest.approx(min(reach, off_m // step_m), abs=0) if fingers_move_in_it else 0)
        waited.add(wait)
        for step in range(HORIZON):
            later = min(tick + step - wait, 19)
            path = recorded.action_rad[later] if step >= wait else recorded.commanded_position_rad[tick]
            expected = path + max(0.0, 1.0 - (step + 1) / (wait or reach)) * offset
            np.testing.assert_allclose(chunk[step].numpy(), expected, atol=1e-6)
    assert waited == {1e-6: {0, reach}, 0.01: {0, 2, reach}, 1.0: {0}}[step_m]


@pytest.mark.parametrize("height_m", [0.02, 0.3])
def test_fingers_are_moved_as_far_as_was_asked_for_whatever_they_hold(height_m: float) -> None:
    recorded = with_duck(height_m)
    found = copies(recorded, copies=20, hand_rad=0.2)
    offsets = term(found, "joint_position")[:, 7:] - recorded.joint_position_rad[found.row][:, 7:]
    # Scaled by a uniform factor of 0 to 1.5 each, and one in 21 rows is the window itself: a root mean square of 0.85.
    assert np.sqrt((offsets**2).mean()) == pytest.approx(0.85 * 0.2, rel=0.2)


@pytest.mark.parametrize("height_m", [0.02, 0.3])
def test_an_empty_hand_may_be_as_it_was_at_any_moment_while_fingers_rest(height_m: float) -> None:
    recorded = dataclasses.replace(closing_hand(), objects=("duck", "bowl"), object_pose=np.zeros((20, 2, 7)))
    recorded.object_pose[:] = (0.4, -0.1, height_m, 1.0, 0.0, 0.0, 0.0)
    values = {"arm_rad": 0.0, "hand_rad": 0.0, "finger_step_rad": 0.03, "empty_share": 1.0, "copies": 40}
    found = copies(recorded, PLAIN_BUILDER, **values)
    joints, commanded, tick = found.vector[:, :24].numpy(), found.vector[:, 24:48].numpy(), found.row.numpy()
    np.testing.assert_allclose(joints[:, :8], recorded.joint_position_rad[tick, :8], atol=1e-6)
    np.testing.assert_allclose(commanded, joints, atol=1e-6)
    index = recorded.joint_position_rad[:, 9]
    assert np.isclose(joints[:, 9, None], index, atol=1e-6).any(axis=1).all()
    other = set(tick[~np.isclose(joints[:, 9], index[tick], atol=1e-6)].tolist())
    resting = {step for step in range(20) if step > 7 or step + HORIZON <= 5}
    assert other == (resting if height_m < AugmentationConfig().held_height_m else set())
    for step in range(HORIZON):
        np.testing.assert_allclose(found.chunk[:, step].numpy(), recorded.action_rad[np.minimum(tick + step, 19)], atol=1e-6)


def test_a_turned_scene_looks_the_same_to_the_hand() -> None:
    found = copies(with_duck(0.3), turn_rad=0.3, arm_rad=0.0, hand_rad=0.0)
    original, copy = slice(0, None, 3), slice(1, None, 3)
    turn_rad = (term(found, "joint_position")[copy] - term(found, "joint_position")[original])[:, 0]
    assert np.abs(turn_rad).max() > 0.1
    np.testing.assert_allclose(term(found, "object_in_hand/duck")[copy], term(found, "object_in_hand/duck")[original], atol=1e-5)
    for before_m, after_m, angle in zip(
        term(found, "object_position/bowl")[original], term(found, "object_position/bowl")[copy], turn_rad, strict=True
    ):
        assert np.arctan2(*after_m[1::-1]) - np.arctan2(*before_m[1::-1]) == pytest.approx(angle, abs=1e-5)
        assert np.hypot(*after_m[:2]) == pytest.approx(np.hypot(*before_m[:2]), abs=1e-6)
    moves = (found.chunk[copy] - found.chunk[original]).numpy()
    np.testing.assert_allclose(moves[..., 0], np.repeat(turn_rad[:, None], HORIZON, axis=1), atol=1e-5)
    assert np.abs(moves[..., 1:]).max() < 1e-6


@pytest.mark.parametrize("case", ["apart", "held", "near", "moved"])
def test_only_a_bystander_is_put_elsewhere(case: str) -> None:
    recorded = with_duck(0.3 if case == "held" else 0.02)
    recorded.object_pose[:, 0, 0] += np.linspace(0.0, 0.1, 12)  # the duck is moved on
    if case == "near":
        recorded.object_pose[:, 1, :2] = recorded.object_pose[:, 0, :2] + 0.05
    if case == "moved":
        recorded.object_pose[:, 1, 1] += np.linspace(0.0, 0.1, 12)
    found = copies(recorded, elsewhere_m=0.05, arm_rad=0.0, hand_rad=0.0)
    bowl_m, duck_m = term(found, "object_position/bowl"), term(found, "object_position/duck")
    assert np.abs(duck_m[1::3] - duck_m[::3]).max() < 1e-6
    assert np.array_equal(bowl_m[::3], np.float32(recorded.object_pose[:, 1, :3]))
    assert (np.abs(bowl_m[1::3] - bowl_m[::3]).max() > 0.01) == (case == "apart")


def test_the_same_seed_gives_the_same_copies() -> None:
    one, same, other = (copies(episode(1), PLAIN_BUILDER, seed) for seed in (4, 4, 5))
    assert torch.equal(one.vector, same.vector) and torch.equal(one.chunk, same.chunk)
    assert not torch.equal(one.vector, other.vector)


def test_joints_are_displaced_by_about_what_was_asked_for() -> None:
    found = [copies(episode(seed, steps=40), PLAIN_BUILDER, 0, copies=8, arm_rad=0.05, hand_rad=0.0) for seed in range(3)]
    assert len(JOINTS) == 24
    offsets = torch.cat([one.vector.view(40, 9, -1)[:, 1:, :24] - one.vector.view(40, 9, -1)[:, :1, :24] for one in found])
    assert offsets[..., 7:].abs().max() == 0
    assert 0.002 < offsets[..., :7].std() < 0.1


@pytest.mark.parametrize("wrong", [{"copies": -1}, {"reach": 0}, {"turn_rad": -0.1}, {"empty_share": 1.1}])
def test_impossible_settings_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AugmentationConfig(**wrong)  # type: ignore[arg-type]


def test_there_are_no_copies_for_a_policy_that_remembers() -> None:
    layout = dataclasses.replace(PLAIN, observation=(*PLAIN.observation, "joint_position@2"))
    with pytest.raises(ValueError, match="expected 0, got 2: the policy sees 2 earlier ticks"):
        copies(episode(), ObservationBuilder(layout))
    recorded = episode()
    found = copies(recorded, ObservationBuilder(layout), copies=0)
    earlier = found.vector[:, layout.slice_of("joint_position@2")]
    np.testing.assert_allclose(earlier[2:], recorded.joint_position_rad[:-2], atol=1e-6)
    np.testing.assert_array_equal(found.vector, recorded.observation_vectors(ObservationBuilder(layout)))
