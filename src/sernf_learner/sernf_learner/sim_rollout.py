"""Rollouts in the simulation without ROS, faster than real time, with the chunk player and the safety filter of the robot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sernf_learner.episode import Ending, Episode
from sernf_learner.sim_cameras import SimCameras
from sernf_policy.chunk_player import ChunkPlayer, PlayerConfig
from sernf_policy.layout import CameraView, PolicyLayout
from sernf_policy.observation import Array32, Memory, ObservationBuilder, Snapshot
from sernf_policy.pictures import Picture
from sernf_robot.joints import JOINTS
from sernf_robot.kinematics import Kinematics
from sernf_sim.demonstrators import Demonstrator, Observation, make_demonstrator
from sernf_sim.filtered_robot import FilteredRobot, MotionConfig
from sernf_sim.physics import Physics
from sernf_sim.world import SimWorld

Array = NDArray[np.float64]
Eyes = Callable[[Mapping[str, Picture]], Mapping[str, Array32]]
"""Camera -> picture, to camera -> features."""


class Actor(Protocol):
    """Computes a chunk (H, A) rad, in the layout's joint order, from an observation vector."""

    def __call__(self, vector: Array32) -> Array: ...


@dataclass(frozen=True)
class Outcome:
    """A finished rollout: its episode, the furthest stage, the simulated seconds until the judge decided, and its measures."""

    episode: Episode
    stage: str
    seconds: float
    measures: dict[str, float]

    @property
    def success(self) -> bool:
        """Whether the judge saw success."""
        return self.episode.ending is Ending.SUCCESS


class SimRollouts:
    """One task in one set of physics; every rollout is a new scene drawn from its seed."""

    def __init__(self, task: str, physics: Physics, *, step_period_s: float = 0.05) -> None:
        self.task = task
        self._period_s = step_period_s
        self._world = SimWorld(task, physics, 0)
        self._robot = FilteredRobot(self._world, MotionConfig(command_rate_hz=1.0 / step_period_s))
        self._kinematics = Kinematics()
        self._views: tuple[CameraView, ...] = ()
        self._cameras = SimCameras(task, (), step_period_s)
        self._pictures: Mapping[str, Picture] = {}
        self._is_new = False

    def run_policy(
        self, actor: Actor, layout: PolicyLayout, player: PlayerConfig, seed: int, eyes: Eyes | None = None
    ) -> Outcome:
        """One rollout of a policy in scene `seed`, ended by the judge or the task's time limit. `eyes`: of one with cameras."""
        player.check_horizon(layout.horizon)
        layout.check_joints(JOINTS)
        to_layout = np.array([JOINTS.index(name) for name in layout.joint_names])
        to_robot = np.argsort(to_layout)
        builder = ObservationBuilder(layout, self._kinematics)
        chunks, memory = ChunkPlayer(player), Memory(layout.memory)
        self._use_cameras(layout.cameras)
        features: Mapping[str, Array32] = {}

        def decide(tick: int, joints: Array, commanded: Array) -> Array | None:
            nonlocal features
            if eyes is not None and self._is_new:
                features = eyes(self._pictures)
            snapshot = memory.with_earlier(
                Snapshot(
                    joint_position_rad=joints[to_layout],
                    commanded_position_rad=commanded[to_layout],
                    object_poses=self._world.object_poses(),
                    features=features,
                )
            )
            if chunks.wants_chunk(tick):
                chunks.offer(actor(builder.vector(snapshot)), tick, tick)
            played = chunks.step(tick)
            return commanded if played is None else played.position_rad[to_robot]

        return self._run(decide, "policy", seed)

    def run_demonstrator(
        self, seed: int, demonstrator: Demonstrator | None = None, cameras: Sequence[CameraView] = ()
    ) -> Outcome:
        """One attempt of the scripted demonstrator, whose style is drawn from `seed` too; for `cameras` it strays."""
        self._use_cameras(cameras)
        self._world.reset(seed)
        script = demonstrator or make_demonstrator(self.task, self._kinematics, np.random.default_rng(seed), strays=bool(cameras))

        def decide(tick: int, joints: Array, commanded: Array) -> Array | None:
            if tick == 0:
                script.reset(Observation(joints, self._world.object_poses()))
            target = script.act(Observation(joints, self._world.object_poses()))
            return None if script.done else target

        return self._run(decide, "demonstrator", seed)

    def _use_cameras(self, views: Sequence[CameraView]) -> None:
        if tuple(views) != self._views:
            self._cameras.close()
            self._views = tuple(views)
            self._cameras = SimCameras(self.task, self._views, self._period_s)

    def _run(self, decide: Callable[[int, Array, Array], Array | None], source: str, seed: int) -> Outcome:
        world, robot = self._world, self._robot
        world.reset(seed)
        robot.reset()
        objects = world.task.objects
        limit = round(world.task.time_limit_s / self._period_s)
        commanded = world.joint_position()
        rows: list[tuple[Array, Array, Array, Array, Array]] = []
        seen: list[Mapping[str, Picture]] = []
        stages: list[int] = []
        self._cameras.start(seed)
        status = world.judge()
        ran_out = False
        for tick in range(limit):
            joints = world.joint_position()
            poses = world.object_poses()
            self._pictures, self._is_new = self._cameras.look(tick, world.full_state)
            target = decide(tick, joints, commanded)
            if target is None:
                break
            pose = np.stack([np.concatenate(poses[name]) for name in objects])
            clipped = robot.command(target)
            executed = robot.executed_position() if clipped else target
            rows.append((joints, commanded, executed, target, pose))
            seen.append(self._pictures)
            commanded = executed
            stage, status = status.stage, world.judge()
            stages.append((stages[-1] if stages else 0) + (status.stage != stage))
            if status.done or robot.fault:
                break
        else:
            ran_out = True
        ending = Ending.SUCCESS if status.success else Ending.TIMEOUT if ran_out else Ending.FAILURE
        failure = robot.fault.name if robot.fault else status.failure
        joints_, commanded_, action, requested, pose_ = (np.array(column) for column in zip(*rows))
        episode = Episode(
            episode_id=f"{source}-{seed}", task=self.task, source=source, seed=seed, ending=ending,
            cause="" if status.success else "timeout" if ran_out else failure or f"stopped at stage {status.stage}",
            step_period_s=self._period_s, joint_names=JOINTS, objects=objects, joint_position_rad=joints_,
            commanded_position_rad=commanded_, action_rad=action, requested_rad=requested, object_pose=pose_,
            taken_over=np.zeros(len(rows), dtype=bool),
            stages=np.array(stages, dtype=np.int64),
            images={view.name: np.stack([pictures[view.name] for pictures in seen]) for view in self._views},
        )  # fmt: skip
        return Outcome(episode, status.stage, status.elapsed_s, world.task.measures())
