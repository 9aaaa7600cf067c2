"""The running policy without ROS: chunks become commands, handovers start afresh, weights change at a chunk boundary."""

from __future__ import annotations

import math

import numpy as np
import pytest
from robot_policies import HOME
from session_robot import PERIOD_S, START_S, Robot, commands, make_weights

from sernf_policy.likelihood_monitor import LikelihoodThresholds, Trust
from sernf_policy.policy_session import Decision, Mode, SessionError
from sernf_robot.joints import JOINTS


def test_chunks_become_commands_that_begin_at_the_executed_pose() -> None:
    robot = Robot(make_weights())
    decisions = robot.run(12)
    assert decisions[0].command is None, "the first chunk is still being computed"
    sent = commands(decisions)
    assert len(sent) == 11
    np.testing.assert_allclose(sent[0].position_rad, HOME + 0.001, atol=1e-6)
    steps = np.diff([command.position_rad[0] for command in sent])
    assert np.abs(steps).max() < 0.003, "no jump anywhere"
    assert {command.sha256 for command in sent} == {"sha-a"}
    shown = [decision.chunk for decision in decisions if decision.chunk is not None]
    assert [chunk.chunk_id for chunk in shown] == [1, 2, 3, 4]
    assert [command.chunk_id for command in sent] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4]
    assert [command.step_in_chunk for command in sent[:4]] == [1, 2, 3, 1]
    assert shown[0].stamp_ns == round((START_S + 2 * PERIOD_S) * 1e9), "the stamp is the observation's"
    assert shown[0].position_rad.shape == (6, len(JOINTS))


def test_a_policy_with_joints_in_another_order_moves_the_right_ones() -> None:
    robot = Robot(make_weights())
    pose = HOME + np.linspace(0.0, 0.1, len(JOINTS))
    robot.change(executed_rad=pose)
    sent = commands(robot.run(2))
    np.testing.assert_allclose(sent[0].position_rad, pose + 0.001, atol=1e-6)


def test_a_policy_that_remembers_sees_the_ticks_before_but_none_of_before_a_reset() -> None:
    terms = ("commanded_position", "commanded_position@1", "commanded_position@3")
    robot = Robot(make_weights(observation=terms))
    slices = [robot.planner.layout.slice_of(term) for term in terms]
    sent = commands(robot.run(12))
    now, before, long_before = (robot.planner.vectors[-1][part] for part in slices)
    for seen, command in ((now, sent[-4]), (before, sent[-5]), (long_before, sent[-7])):
        np.testing.assert_allclose(seen, command.position_rad[::-1], atol=1e-6)
    robot.session.set_mode(Mode.POLICY)
    robot.steps(1)
    now, *earlier = (robot.planner.vectors[-1][part] for part in slices)
    assert all((seen == now).all() for seen in earlier)


def test_shadow_shows_chunks_and_commands_nothing() -> None:
    robot = Robot(make_weights())
    robot.change(selected_source="demonstrator", active_source="demonstrator", mode="track", requested_rad=HOME)
    robot.session.set_mode(Mode.SHADOW)
    decisions = robot.steps(8)
    assert commands(decisions) == []
    assert sum(decision.chunk is not None for decision in decisions) >= 2


def test_exploring_commands_too_and_the_planner_is_told() -> None:
    robot = Robot(make_weights())
    robot.run()
    assert robot.planner.explored and not any(robot.planner.explored)
    robot.session.set_mode(Mode.EXPLORE)
    assert robot.planner.explored == [], "what was explored before is forgotten"
    assert commands(robot.steps(8))
    assert robot.planner.explored and all(robot.planner.explored)
    assert robot.session.set_mode(Mode.HOLD), "the bridge is told, as after mode policy"


def test_hold_computes_nothing() -> None:
    robot = Robot(make_weights())
    robot.run()
    robot.session.set_mode(Mode.HOLD)
    decisions = robot.steps(6)
    assert all(decision == Decision() for decision in decisions)


def test_without_weights_only_hold() -> None:
    robot = Robot()
    with pytest.raises(SessionError, match="policy/load_weights"):
        robot.session.set_mode(Mode.POLICY)
    assert not robot.session.set_mode(Mode.HOLD)


def test_leaving_mode_policy_releases_once_and_only_what_was_commanded() -> None:
    robot = Robot(make_weights())
    robot.session.set_mode(Mode.POLICY)
    assert not robot.session.set_mode(Mode.HOLD), "nothing was commanded"
    robot.run()
    assert not robot.session.set_mode(Mode.POLICY), "it goes on"
    robot.steps(3)
    assert robot.session.set_mode(Mode.SHADOW)
    assert not robot.session.set_mode(Mode.HOLD)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"mode": "fault", "fault": "tracking_error", "active_source": "none"}, "the robot is fault: tracking_error"),
        ({"mode": "home", "active_source": "home"}, "the robot is home"),
        ({"mode": "unarmed", "active_source": "none", "reason": "not armed yet"}, "not armed yet"),
        ({"selected_source": "demonstrator"}, "selected source is demonstrator"),
        ({"active_source": "teleop"}, "an operator has taken over"),
    ],
)
def test_while_the_robot_is_not_the_policys_nothing_is_sent_and_afterwards_it_starts_afresh(
    change: dict[str, str], told: str
) -> None:
    robot = Robot(make_weights())
    before = commands(robot.run(6))[-1]
    healthy = {"mode": "hold", "active_source": "none", "selected_source": "policy", "fault": "", "reason": ""}
    robot.change(**change)
    assert commands(robot.steps(3)) == []
    assert told in robot.session.not_ours
    moved = HOME + 0.3
    robot.change(**healthy, executed_rad=moved)
    decisions = robot.steps(3)
    assert decisions[0].command is None
    after = commands(decisions)[0]
    np.testing.assert_allclose(after.position_rad, moved + 0.001, atol=1e-6)
    assert after.chunk_id > before.chunk_id


def test_a_stale_input_stops_commands_until_it_comes_back() -> None:
    robot = Robot(make_weights())
    robot.run()
    robot.blind = True
    robot.steps(2)
    assert commands(robot.steps(3)) == []
    assert robot.session.missing.startswith("joint_states: ")
    robot.blind = False
    decisions = robot.steps(3)
    assert decisions[0].command is None
    assert decisions[1].command is not None
    assert robot.session.missing == ""


def test_an_object_that_nobody_sees_is_named() -> None:
    robot = Robot(make_weights(observation=("joint_position", "commanded_position", "object_position/duck")))
    assert commands(robot.run(3)) == []
    assert robot.session.missing.startswith("objects/duck/pose: no message yet")


def test_a_reset_of_the_simulation_forgets_the_chunk_even_when_the_bridge_follows_at_once() -> None:
    robot = Robot(make_weights())
    robot.run(6)
    moved = HOME - 0.5
    robot.change(executed_rad=moved, requested_rad=moved)
    decision = robot.step()
    assert decision.command is None
    assert "put somewhere else" in robot.session.trouble
    np.testing.assert_allclose(commands(robot.steps(2))[0].position_rad, moved + 0.001, atol=1e-6)
    assert robot.session.counts.restarts == 1


def test_a_bridge_that_holds_by_itself_makes_the_policy_start_afresh() -> None:
    robot = Robot(make_weights())
    robot.run(6)
    robot.change(mode="hold", active_source="none", executed_rad=HOME + 0.05)
    assert robot.step().command is None
    assert "stopped following" in robot.session.trouble
    np.testing.assert_allclose(commands(robot.steps(2))[0].position_rad, HOME + 0.051, atol=1e-6)


def test_a_bridge_that_never_follows_is_told_and_gets_chunks_from_where_it_is() -> None:
    robot = Robot(make_weights())
    robot.follows = False
    sent = commands(robot.run(40))
    assert "does not follow" in robot.session.trouble
    assert np.abs([command.position_rad - HOME for command in sent]).max() < 0.02, "targets do not run away"


def test_a_computation_that_fails_is_told_and_tried_again() -> None:
    robot = Robot(make_weights())
    robot.planner.failure = RuntimeError("broken on purpose")
    assert commands(robot.run(4)) == []
    assert "broken on purpose" in robot.session.trouble
    assert robot.session.counts.failures == 3
    robot.planner.failure = None
    assert commands(robot.steps(3))


def test_a_chunk_that_is_not_finite_is_never_commanded() -> None:
    robot = Robot(make_weights())
    robot.planner.value = math.nan
    assert commands(robot.run(5)) == []
    assert "finite" in robot.session.trouble


def test_a_chunk_that_comes_late_is_aligned_and_one_that_never_comes_is_given_up() -> None:
    robot = Robot(make_weights())
    robot.run(6)
    robot.worker.is_slow = True
    robot.steps(3)
    assert robot.worker.asked is not None
    robot.worker.finish()
    late = commands(robot.steps(1))[0]
    assert late.step_in_chunk > 1
    decisions = robot.steps(20)
    assert decisions[-1].command is None
    assert robot.session.counts.timeouts == 1
    assert "hangs" in robot.session.trouble
    given_up = robot.session.counts.chunks
    robot.worker.finish()
    robot.worker.is_slow = False
    decisions = robot.steps(4)
    shown = [decision.chunk for decision in decisions if decision.chunk is not None]
    assert commands(decisions)
    assert shown[0].chunk_id > given_up, "the answer to the chunk that was given up is not used"


def test_weights_change_at_a_chunk_boundary_and_every_command_says_whose_it_is() -> None:
    robot = Robot(make_weights("a"))
    robot.run(5)
    robot.session.offer(make_weights("b"))
    decisions = robot.steps(8)
    adopted = [index for index, decision in enumerate(decisions) if decision.adopted is not None]
    assert len(adopted) == 1
    hashes = [command.sha256 for command in commands(decisions)]
    boundary = hashes.index("sha-b")
    assert boundary == adopted[0] + 1, "the chunk that follows the boundary is the new weights'"
    assert set(hashes[:boundary]) == {"sha-a"}
    assert set(hashes[boundary:]) == {"sha-b"}
    first = commands(decisions)[boundary]
    assert first.step_in_chunk == 1
    assert len(hashes) == len(decisions), "no tick without a command"


def test_in_hold_weights_change_at_once() -> None:
    robot = Robot(make_weights("a"))
    robot.session.offer(make_weights("b"))
    decision = robot.step()
    assert decision.adopted is robot.session.weights
    assert robot.session.candidate is None


def test_weights_that_look_at_what_nobody_publishes_wait() -> None:
    robot = Robot(make_weights("a"))
    robot.run(5)
    robot.session.offer(make_weights("b", observation=("joint_position", "commanded_position", "object_position/ball")))
    decisions = robot.steps(8)
    assert all(decision.adopted is None for decision in decisions)
    assert {command.sha256 for command in commands(decisions)} == {"sha-a"}


def test_a_run_of_unlikely_chunks_ends_in_hold_with_a_release_and_asks_for_a_person() -> None:
    bounds = LikelihoodThresholds(typical_nats=1.0, unlikely_nats=0.5, far=10.0, windows=100)
    robot = Robot(make_weights(likelihood=bounds))
    robot.run(12)
    assert robot.session.trust is Trust.LIKELY
    robot.planner.nats = -3.0
    seen = []
    decisions = []
    for _ in range(60):
        decisions.append(robot.step())
        seen.append(robot.session.trust)
        if decisions[-1].release:
            break
    assert Trust.WARN in seen
    assert [decision.release for decision in decisions].count(True) == 1
    assert robot.session.mode is Mode.HOLD
    assert robot.session.alarm.startswith("take over: ")
    assert commands(robot.steps(5)) == []
    robot.planner.nats = 1.0
    robot.session.set_mode(Mode.POLICY)
    assert robot.session.alarm == ""
    assert commands(robot.steps(5))


def test_the_monitor_hears_what_was_really_done() -> None:
    robot = Robot(make_weights())
    robot.run(20)
    done = [executed for executed in robot.planner.executed if executed is not None]
    assert done
    assert done[-1].position_rad.shape == (6, len(JOINTS))
    seen = [vector for vector in robot.planner.vectors if vector is done[-1].vector]
    assert seen, "it belongs to an earlier observation"


def test_a_takeover_makes_the_monitor_start_anew() -> None:
    bounds = LikelihoodThresholds(typical_nats=1.0, unlikely_nats=0.5, far=10.0, windows=100)
    robot = Robot(make_weights(likelihood=bounds))
    robot.session.set_mode(Mode.POLICY)
    robot.planner.nats = -3.0
    while robot.session.trust is Trust.LIKELY:
        robot.step()
    robot.change(active_source="teleop")
    robot.step()
    assert robot.session.trust is Trust.LIKELY
