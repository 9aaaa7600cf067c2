"""An external hand pose: relative through the clutch, in fault when stale, broken or jumping."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from teleop_fixtures import CONFIG, HOME, KINEMATICS, view

from sernf_robot.kinematics import rotation_vector
from sernf_teleop.devices.pose_topic import PoseTopic, PoseTopicConfig
from sernf_teleop.operator_device import OperatorIntent

HALF = math.sqrt(0.5)
ABOUT_Z = (0.0, 0.0, HALF, HALF)
"""A quarter turn about z, xyzw."""


class Tracker:
    """Sends pose and clutch at each poll."""

    def __init__(self, config: PoseTopicConfig | None = None) -> None:
        self.device = PoseTopic(config or PoseTopicConfig(), CONFIG.synergies)
        self.position = [1.0, 2.0, 3.0]
        self.quaternion = (0.0, 0.0, 0.0, 1.0)
        self.clutch = True
        self.engagement = 1
        self.now_s = 0.0

    def send(self, now_s: float, silent: str = "") -> None:
        x, y, z, w = self.quaternion
        position = SimpleNamespace(**dict(zip("xyz", self.position, strict=True)))
        pose = SimpleNamespace(position=position, orientation=SimpleNamespace(x=x, y=y, z=z, w=w))
        if silent != "operator/hand_pose":
            self.device.receive_pose(SimpleNamespace(pose=pose), now_s)
        if silent != "operator/clutch":
            self.device.receive_clutch(SimpleNamespace(data=self.clutch), now_s)

    def poll(self) -> OperatorIntent:
        self.now_s += 0.05
        self.send(self.now_s)
        return self.device.poll(self.now_s, view(self.engagement))

    def fingers(self, names: list[str], values: list[float]) -> None:
        self.device.receive_fingers(SimpleNamespace(name=names, position=values), self.now_s)


def test_the_clutch_takes_over_and_an_open_one_hands_back() -> None:
    tracker = Tracker()
    tracker.clutch, tracker.engagement = False, 0
    assert tracker.poll() == OperatorIntent()
    tracker.clutch = True
    assert tracker.poll() == OperatorIntent(takeover=True)
    tracker.engagement = 1
    assert tracker.poll().hand_pose is not None


def test_closing_the_clutch_moves_nothing_wherever_the_operator_is() -> None:
    intent = Tracker().poll()
    assert intent.hand_pose is not None
    assert intent.hand_pose.position_m == pytest.approx(KINEMATICS.hand_pose(HOME)[0])
    assert intent.hand_pose.rotation == pytest.approx(KINEMATICS.hand_pose(HOME)[1])


def test_motion_is_relative_scaled_and_aligned() -> None:
    tracker = Tracker(PoseTopicConfig(alignment_xyzw=ABOUT_Z, position_scale=0.5))
    tracker.poll()
    tracker.position[0] += 0.08
    intent = tracker.poll()
    assert intent.hand_pose is not None
    assert intent.hand_pose.position_m - KINEMATICS.hand_pose(HOME)[0] == pytest.approx([0.0, 0.04, 0.0], abs=1e-9)


def test_a_turn_of_the_operator_turns_the_hand_about_the_same_axis() -> None:
    tracker = Tracker()
    tracker.poll()
    tracker.quaternion = ABOUT_Z
    intent = tracker.poll()
    assert intent.hand_pose is not None
    turn = rotation_vector(intent.hand_pose.rotation @ KINEMATICS.hand_pose(HOME)[1].T)
    assert turn == pytest.approx([0.0, 0.0, math.pi / 2])


def test_a_new_engagement_ties_anew() -> None:
    tracker = Tracker()
    tracker.poll()
    tracker.position[0] += 0.09
    tracker.engagement = 2
    intent = tracker.poll()
    assert intent.hand_pose is not None
    assert intent.hand_pose.position_m == pytest.approx(KINEMATICS.hand_pose(HOME)[0])


@pytest.mark.parametrize("silent", ["operator/hand_pose", "operator/clutch"])
def test_each_topic_must_keep_coming(silent: str) -> None:
    tracker = Tracker()
    assert not tracker.poll().fault
    tracker.send(tracker.now_s + 0.5, silent=silent)
    assert f"{silent} silent" in tracker.device.poll(tracker.now_s + 0.5, view(1)).fault


def test_before_the_first_message_there_is_a_fault() -> None:
    assert "no message" in Tracker().device.poll(0.0, view()).fault


def test_a_jump_is_a_fault_until_the_clutch_was_opened() -> None:
    tracker = Tracker()
    tracker.poll()
    tracker.position[0] += 0.5
    assert "jumped" in tracker.poll().fault
    assert "jumped" in tracker.poll().fault
    tracker.clutch = False
    assert tracker.poll() == OperatorIntent()
    tracker.clutch = True
    assert not tracker.poll().fault


@pytest.mark.parametrize("quaternion", [(0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 2.0), (math.nan, 0.0, 0.0, 1.0)])
def test_a_broken_pose_is_a_fault_and_a_good_one_ends_it(quaternion: tuple[float, float, float, float]) -> None:
    tracker = Tracker()
    tracker.poll()
    tracker.quaternion = quaternion
    assert "unit quaternion" in tracker.poll().fault
    tracker.quaternion = (0.0, 0.0, 0.0, 1.0)
    assert not tracker.poll().fault


def test_fingers_by_joint_and_by_synergy() -> None:
    tracker = Tracker()
    tracker.fingers(["right_index_mcp", "grasp"], [0.5, 0.7])
    intent = tracker.poll()
    assert intent.finger_target_rad == {"right_index_mcp": 0.5}
    assert intent.synergy_value == {"grasp": 0.7}


@pytest.mark.parametrize(("names", "values"), [(["fr3_joint1"], [0.0]), (["grasp"], [math.nan]), (["grasp"], [])])
def test_broken_fingers_are_a_fault(names: list[str], values: list[float]) -> None:
    tracker = Tracker()
    tracker.fingers(names, values)
    assert "operator/fingers" in tracker.poll().fault


def test_a_hand_pose_needs_finite_targets_only() -> None:
    intent = Tracker().poll()
    assert intent.hand_pose is not None
    assert np.isfinite(intent.hand_pose.position_m).all()


def test_configuration_is_checked() -> None:
    for wrong in ({"alignment_xyzw": (0.0, 0.0, 0.0, 2.0)}, {"stale_after_s": 0.0}, {"position_scale": -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            PoseTopicConfig(**wrong)
