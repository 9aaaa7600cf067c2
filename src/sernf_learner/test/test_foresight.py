"""What eyes are to tell besides: the way to where the fingers next begin to move."""

from __future__ import annotations

import numpy as np
import torch
from learning_data import LAYOUT, episode

from sernf_learner.episode import Episode
from sernf_learner.foresight import UNIT_M, Foresight, keyframes, way_ahead
from sernf_policy.observation import ObservationBuilder
from sernf_robot.joints import ARM_JOINTS, FINGER_JOINTS, JOINTS

ARM = [JOINTS.index(name) for name in ARM_JOINTS]
FINGERS = [JOINTS.index(name) for name in FINGER_JOINTS]
CLOSES, OPENS, STEPS = 20, 50, 70


def grasping(turned_rad: float = 0.0) -> Episode:
    """The arm moves all the time; the fingers close in 8 steps from CLOSES on, rest, and open from OPENS on."""
    path = np.zeros((STEPS + 1, len(JOINTS)))
    path[:, ARM] = [0.0, 0.2, 0.0, -2.4, 0.0, 2.6, 0.785] + 0.01 * np.arange(STEPS + 1)[:, None]
    path[:, ARM[0]] += turned_rad
    for first, sign in ((CLOSES, 1.0), (OPENS, -1.0)):
        path[:, FINGERS] += sign * np.clip((np.arange(STEPS + 1) - first) / 8.0, 0.0, 1.0)[:, None]
    return episode(
        steps=STEPS, joint_position_rad=path[:-1], commanded_position_rad=path[:-1], action_rad=path[1:], requested_rad=path[1:]
    )


def test_keyframes_are_where_fingers_begin_to_move_and_the_end() -> None:
    assert keyframes(grasping()) == [CLOSES, OPENS, STEPS - 1]


def test_fingers_that_never_rest_have_no_keyframe_but_the_end() -> None:
    assert keyframes(episode(steps=30, action_rad=0.1 * np.arange(30)[:, None] * np.ones(len(JOINTS)))) == [29]


def test_the_way_ahead_leads_from_each_hand_pose_to_the_next_keyframe() -> None:
    one, builder = grasping(), ObservationBuilder(LAYOUT)
    ahead = way_ahead(one, builder)
    np.testing.assert_allclose(ahead[[CLOSES, OPENS, STEPS - 1]], 0.0, atol=1e-6)
    here, there = (builder.hand_pose(one.joint_position_rad[tick]) for tick in (5, CLOSES))
    np.testing.assert_allclose(here[0] + here[1] @ ahead[5, :3] * UNIT_M, there[0], atol=1e-6)
    assert np.linalg.norm(ahead[5, 3:]) > np.linalg.norm(ahead[15, 3:]) > 0.0


def test_it_is_the_same_wherever_the_robot_stands() -> None:
    builder = ObservationBuilder(LAYOUT)
    np.testing.assert_allclose(way_ahead(grasping(), builder), way_ahead(grasping(0.7), builder), atol=1e-5)


def test_what_is_seen_can_be_learnt_to_tell_it() -> None:
    torch.manual_seed(0)
    head, seen = Foresight(4), torch.randn(256, 4)
    ahead = seen @ torch.randn(4, 6)
    optimiser, first = torch.optim.Adam(head.parameters(), 1e-2), float(head.error(seen, ahead).detach())
    for _ in range(200):
        optimiser.zero_grad()
        head.error(seen, ahead).backward()
        optimiser.step()
    assert float(head.error(seen, ahead).detach()) < 0.05 * first
