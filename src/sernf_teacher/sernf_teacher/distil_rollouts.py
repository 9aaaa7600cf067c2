"""Episodes to distil from: the student drives, the teacher takes over for a while, and what it does then is to be imitated.

DAgger (arXiv 1011.0686) with chunks as labels: these cannot be had by asking what the teacher would do, only by letting it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from sernf_learner.episode import Ending, Episode
from sernf_policy.chunk_player import ChunkPlayer, PlayerConfig
from sernf_policy.layout import PolicyLayout
from sernf_policy.observation import Memory, ObservationBuilder, Snapshot
from sernf_policy.policy import ChunkPolicy
from sernf_robot.joints import JOINTS
from sernf_sim.tasks.cube_scene import CUBE
from sernf_teacher.cube_env import CubeEnv
from sernf_teacher.student_view import HELD, StudentNoise, StudentView, all_joints
from sernf_teacher.teacher_weights import Teacher

Floats = NDArray[np.float64]
SOURCE = "teacher"
STUDENT_TICKS, EXTRA_TEACHER_TICKS = (10, 100), (0, 40)
"""How long one of them drives before the other does; the teacher at least for a chunk."""


@dataclass(frozen=True)
class Drive:
    """How the student drove: counted turns and drops a minute of its own driving."""

    turns_per_minute: float
    drops_per_minute: float


@dataclass
class _Rows:
    """Of one copy's running episode."""

    joints: list[Floats] = field(default_factory=list)
    commanded: list[Floats] = field(default_factory=list)
    action: list[Floats] = field(default_factory=list)
    pose: list[Floats] = field(default_factory=list)
    taught: list[bool] = field(default_factory=list)

    def episode(self, number: int, seed: int, ending: Ending, has_student: bool) -> Episode:
        steps = len(self.action)
        action = np.array(self.action)
        return Episode(
            episode_id=f"{SOURCE}-{seed}-{number}", task="cube", source=SOURCE, seed=seed, ending=ending,
            cause="dropped" if ending is Ending.FAILURE else "timeout", step_period_s=0.05, joint_names=JOINTS, objects=(CUBE,),
            joint_position_rad=np.array(self.joints), commanded_position_rad=np.array(self.commanded), action_rad=action,
            requested_rad=action, object_pose=np.array(self.pose)[:, None],
            taken_over=np.array(self.taught) if has_student else np.zeros(steps, dtype=np.bool_),
        )  # fmt: skip


class DistilRollouts:
    """Runs all copies of `env` at once; the student's chunks are played as on the robot, a tick after they were asked for."""

    def __init__(self, env: CubeEnv, teacher: Teacher, layout: PolicyLayout, player: PlayerConfig, seed: int) -> None:
        self._env, self._teacher, self._layout, self._seed = env, teacher, layout, seed
        self._players = [ChunkPlayer(player) for _ in range(env.count)]
        self._every = player.execute_steps
        self._rng = np.random.default_rng([seed, 2])
        self._view = StudentView(env.count, StudentNoise(), self._rng)
        self._builder = ObservationBuilder(layout)

    def run(
        self, ticks: int, student: ChunkPolicy | None, temperature: float, progress: Callable[[int], None] = lambda tick: None
    ) -> tuple[list[Episode], Drive]:
        """All episodes of `ticks` control ticks; those that are under way at the end count as cut off. Without a student the
        teacher drives alone; with one it begins every episode, so that none is without something to imitate.
        """
        env, count = self._env, self._env.count
        seen = env.reset(spread=False)
        memories = [Memory(self._layout.memory) for _ in range(count)]
        running, episodes = [_Rows() for _ in range(count)], list[Episode]()
        first_ticks = self._layout.horizon + self._every
        taught, left = np.ones(count, dtype=bool), np.full(count, first_ticks)
        turned_rad = lost = driven = 0.0
        for tick in range(ticks):
            truth = env.truth()
            joints, pose = self._view.measure(truth)
            commanded = all_joints(truth.target_rad)
            snapshots = [
                memories[row].with_earlier(Snapshot(
                    joint_position_rad=joints[row], commanded_position_rad=commanded[row],
                    object_poses={CUBE: (pose[row, :3], pose[row, 3:])},
                ))
                for row in range(count)
            ]  # fmt: skip
            wanted = truth.target_rad.copy()
            if student is not None:
                if tick % self._every == 0:
                    self._take_turns(taught, left)
                drives = np.flatnonzero(~taught)
                self._plan(student, tick, drives, snapshots, temperature)
                for row in drives.tolist():
                    played = self._players[row].step(tick)
                    if played is not None:
                        wanted[row] = played.position_rad[HELD:]
            result = env.step(self._teacher.act(seen), wanted, ~taught)
            seen = result.observation
            after = all_joints(result.target_rad)
            turned_rad += float(result.counted_rad[~taught].sum())
            lost += float(result.lost[~taught].sum())
            driven += float((~taught).sum())
            for row, rows in enumerate(running):
                rows.joints.append(joints[row])
                rows.commanded.append(commanded[row])
                rows.action.append(after[row])
                rows.pose.append(pose[row])
                rows.taught.append(bool(taught[row]))
            ended = np.flatnonzero(result.lost | result.timed_out)
            for row in ended.tolist():
                ending = Ending.FAILURE if result.lost[row] else Ending.TIMEOUT
                episodes.append(running[row].episode(len(episodes), self._seed, ending, student is not None))
                running[row] = _Rows()
                memories[row].forget()
                self._players[row].reset()
            self._view.begin(ended)
            left[ended], taught[ended] = first_ticks, True
            progress(tick + 1)
        episodes += [
            rows.episode(len(episodes) + number, self._seed, Ending.TIMEOUT, student is not None)
            for number, rows in enumerate(running)
            if rows.action
        ]
        minutes = max(driven * self._layout.step_period_s / 60.0, 1e-9)
        return episodes, Drive(turned_rad / (2 * np.pi) / minutes, lost / minutes)

    def _take_turns(self, taught: NDArray[np.bool_], left: NDArray[np.intp]) -> None:
        """Whoever has driven for as long as was drawn gives the wheel to the other."""
        left -= self._every
        over = left <= 0
        taught[over] = ~taught[over]
        for row in np.flatnonzero(over & ~taught):
            self._players[row].reset()
        for_student = self._rng.integers(*STUDENT_TICKS, size=len(left))
        for_teacher = self._layout.horizon + self._every + self._rng.integers(*EXTRA_TEACHER_TICKS, size=len(left))
        left[over] = np.where(taught, for_teacher, for_student)[over]

    @torch.no_grad()
    def _plan(
        self, student: ChunkPolicy, tick: int, drives: NDArray[np.intp], snapshots: list[Snapshot], temperature: float
    ) -> None:
        """Give those players a chunk that want one."""
        rows = [row for row in drives.tolist() if self._players[row].wants_chunk(tick)]
        if not rows:
            return
        vectors = torch.from_numpy(np.stack([self._builder.vector(snapshots[row]) for row in rows]))
        generator = torch.Generator().manual_seed(int(self._rng.integers(2**31)))
        chunks = student.sample({"vector": vectors}, 1, temperature, generator).chunk[:, 0].double().numpy()
        for row, chunk in zip(rows, chunks, strict=True):
            self._players[row].offer(chunk, tick, tick)
