"""A rollout without ROS and a bag of the same motion are the same episode, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from recordings import CONTROL_MS, HOLD, Recording

from sernf_hw_bridge.safety_filter import SafetyFilter
from sernf_learner.bag_reader import read_bag
from sernf_learner.episode import Ending
from sernf_learner.sim_rollout import SimRollouts
from sernf_policy.chunk_player import PlayerConfig
from sernf_policy.layout import PolicyLayout
from sernf_policy.observation import ObservationBuilder
from sernf_robot.joints import JOINTS
from sernf_sim.demonstrators import Observation
from sernf_sim.filtered_robot import FilteredRobot
from sernf_sim.physics import Physics, load_physics
from sernf_sim.tasks.task import TaskStatus
from sernf_sim.world import SimWorld

DELAY_MS = 1
"""A command is executed after it was decided."""
AFTER = 3
"""periods that the recorder goes on after the end, in which the robot holds"""


class Witness:
    """Writes what the bridge would have published during a rollout: every control tick, in the order in which a tick happens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.recording = Recording(JOINTS)
        self.clipped_ticks = 0
        self._command_ms = -1.0
        self._command: NDArray[np.float64] = np.full(len(JOINTS), np.nan)
        self._clipped: tuple[str, ...] = ()
        self._at_ms = 0.0
        step, filter_step, command = SimWorld.step, SafetyFilter.step, FilteredRobot.command

        def witnessed_command(robot: FilteredRobot, target: ArrayLike) -> tuple[str, ...]:
            self._command_ms, self._command = self._at_ms, np.array(target)
            self.recording.command(self._at_ms, self._command, "demonstrator")
            return command(robot, target)

        def witnessed_filter(guard: SafetyFilter, *reference: NDArray[np.float64]) -> object:
            result = filter_step(guard, *reference)
            self._clipped = result.clipped
            self.clipped_ticks += bool(result.clipped)
            return result

        def witnessed_step(world: SimWorld, target: ArrayLike, duration_s: float) -> None:
            self.observe(world)
            self.bridge(np.asarray(target), active_source="demonstrator", clipped=self._clipped)
            step(world, target, duration_s)
            self._at_ms += CONTROL_MS

        monkeypatch.setattr(FilteredRobot, "command", witnessed_command)
        monkeypatch.setattr(SafetyFilter, "step", witnessed_filter)
        monkeypatch.setattr(SimWorld, "step", witnessed_step)

    def observe(self, world: SimWorld) -> None:
        if self._at_ms == 0.0:
            # Before the first command the bridge holds the pose from which it was seeded.
            self.recording.bridge_state(
                -CONTROL_MS,
                command_ms=None,
                mode=HOLD,
                executed_position_rad=world.joint_position(),
                requested_position_rad=self._command,
            )
        self.recording.joint_states(self._at_ms, world.joint_position())
        for name, (position, quaternion) in world.object_poses().items():
            turn = dict(zip("wxyz", quaternion.tolist()))
            pose = {"position": dict(zip("xyz", position.tolist())), "orientation": turn}
            self.recording.add(
                f"objects/{name}/pose", "geometry_msgs/msg/PoseStamped", self._at_ms, pose=pose, frame_id="fr3_link0"
            )
        self.judge(world.judge(), world.seed)

    def judge(self, status: TaskStatus, seed: int) -> None:
        verdict = {"success": status.success, "done": status.done, "elapsed_s": status.elapsed_s, "stage": status.stage}
        self.recording.task_state(self._at_ms, seed=seed, **verdict)

    def bridge(self, executed: NDArray[np.float64], **values: object) -> None:
        self.recording.bridge_state(
            self._at_ms + DELAY_MS,
            command_ms=self._command_ms,
            executed_position_rad=executed,
            requested_position_rad=self._command,
            **values,
        )

    def go_on(self, world: SimWorld, executed: Sequence[float]) -> None:
        """What is recorded until somebody ends the recording."""
        for period in range(AFTER):
            self.observe(world)
            if period == 0 and world.judge().success:  # the source has not noticed yet
                self._command_ms, self._command = self._at_ms, np.array(executed) + 0.1
                self.recording.command(self._at_ms, self._command, "demonstrator")
                self.bridge(np.asarray(executed), active_source="demonstrator")
            else:
                self.bridge(np.asarray(executed), active_source="none", mode=HOLD)
            self._at_ms += 50


class Reckless:
    """Asks for what the filter cannot allow, then stops."""

    phase = ""

    def __init__(self) -> None:
        self.done = False
        self._steps = 0

    def reset(self, observation: Observation) -> None:
        self._start = observation.joint_position_rad

    def act(self, observation: Observation) -> NDArray[np.float64]:
        self._steps += 1
        self.done = self._steps > 30
        target = self._start.copy()
        target[3] += 0.02 * self._steps
        if 5 <= self._steps < 20:
            target[1] = 1.7  # through the table
        return target


@pytest.mark.parametrize(("script", "seed"), [(None, 4), (Reckless, 3)])
def test_bag_and_rollout_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: type[Reckless] | None, seed: int) -> None:
    rollouts = SimRollouts("duck", load_physics("twin"))
    witness = Witness(monkeypatch)
    outcome = rollouts.run_demonstrator(seed, script() if script else None)
    rolled = outcome.episode
    witness.go_on(rollouts._world, rollouts._robot.executed_position().tolist())
    assert (witness.clipped_ticks > 0) == (script is Reckless)
    assert rolled.ending is (Ending.FAILURE if script else Ending.SUCCESS)
    label = "success" if rolled.ending is Ending.SUCCESS else "failure"
    info = witness.recording.write(tmp_path / "e", label=label, note=rolled.cause, source="demonstrator", seed=str(seed))
    read = read_bag(info, objects=rolled.objects)
    assert len(read) == len(rolled)
    assert (read.ending, read.cause, read.source, read.seed) == (rolled.ending, rolled.cause, rolled.source, rolled.seed)
    for name in ("joint_position_rad", "object_pose", "requested_rad", "taken_over", "stages"):
        np.testing.assert_array_equal(getattr(read, name), getattr(rolled, name), err_msg=name)
    for name in ("action_rad", "commanded_position_rad"):
        np.testing.assert_allclose(getattr(read, name), getattr(rolled, name), atol=1e-12, err_msg=name)


def test_a_policy_sees_in_a_rollout_what_is_learnt_from_it_later() -> None:
    terms = ("commanded_position", "joint_position", "joint_position@3", "object_in_hand/duck@1")
    layout, vectors = PolicyLayout(task="duck", observation=terms), []

    def actor(vector: NDArray[np.float32]) -> NDArray[np.float64]:
        vectors.append(vector)
        return vector[layout.slice_of("commanded_position")].astype(np.float64) + 0.01 * np.ones((layout.horizon, 1))

    player = PlayerConfig(execute_steps=5)
    episode = SimRollouts("duck", load_physics("twin")).run_policy(actor, layout, player, 3).episode
    recorded = episode.observation_vectors(ObservationBuilder(layout))
    assert len(vectors) > 20
    np.testing.assert_array_equal(vectors, recorded[:: player.execute_steps][: len(vectors)])


def test_a_joint_that_does_not_follow_ends_the_rollout_as_it_ends_one_on_the_robot() -> None:
    outcome = SimRollouts("duck", Physics(command_delay_s=1.0)).run_demonstrator(4)
    assert (outcome.episode.ending, outcome.episode.cause) == (Ending.FAILURE, "tracking_error")
    assert outcome.seconds < 5.0
