"""The teacher's environment: many hands turning cubes at once, at 20 Hz, as fast as the machine allows.

An action moves the joints' targets; a copy whose episode ends begins anew within the same step. The same seed and actions give
the same episodes, whatever the number of threads; `state` and `restore` go on exactly where a killed process was.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sernf_sim.filtered_robot import MotionConfig
from sernf_sim.tasks.cube_rotation import MIN_FINGERTIPS, dropped
from sernf_sim.tasks.cube_scene import CENTER_M, CUBE_MASS_KG, CUBE_SIDE_M
from sernf_teacher.cube_batch import ON_STAND, Advanced, CubeBatch
from sernf_teacher.cube_geometry import cube_quaternion, cube_rotation, nearest_on_box
from sernf_teacher.cube_model import CONTROL_PERIOD_S, JOINTS, TIPS
from sernf_teacher.cube_observation import SIZE, observation
from sernf_teacher.cube_rewards import Moment, RewardWeights, reward_terms
from sernf_teacher.curriculum import Stage
from sernf_teacher.grasps import TOUCH_N, Grasps
from sernf_teacher.randomisation import Draw, Randomisation
from sernf_teacher.starts import Start, Starts

SMOOTHING_DELAY_S = MotionConfig.smoothing_s / 2
"""A moving average over targets, as the bridge's, delays by half its length."""
LARGEST_SPEED_RAD_S = 3.8
"""Of a finger's joint: what the bridge goes up to, MotionConfig.speed_fraction of config/limits.yaml."""
Floats = NDArray[np.float64]
Array32 = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class CubeEnvConfig:
    """`action_rad`: by how much an action of 1 moves a target in one step; `reach_rad`: how far targets may be from the joints.
    `ring_share`: of starts that come from running episodes. `ring_steps`: so long an episode must live on to prove a start.
    `open_share`: of the other starts, with open fingers; the cube stands until three fingertips press, or for `stand_steps`.
    `practice_share`: of copies that begin anew from a grasp every `practice_steps`: what is dropped is dropped at the start.
    `limit_margin_rad`: how far targets keep away from the ends of the joints' ranges.
    """

    copies: int = 256
    threads: int = 1
    episode_steps: int = 200
    action_rad: float = 0.1
    reach_rad: float = 0.5
    limit_margin_rad: float = 0.0
    ring_share: float = 0.25
    ring_steps: int = 40
    open_share: float = 0.25
    stand_steps: int = 20
    practice_share: float = 0.4
    practice_steps: int = 60
    rewards: RewardWeights = field(default_factory=RewardWeights)
    randomisation: Randomisation = field(default_factory=Randomisation)

    def __post_init__(self) -> None:
        if not 0.0 <= self.practice_share < 1.0:
            raise ValueError(f"practice_share: expected 0 or more and less than 1, got {self.practice_share}")


@dataclass(frozen=True)
class Step:
    """After a step, n copies: `reward` (n,), `lost` (n,) dropped, `timed_out` (n,), `last_observation` (n, SIZE) before those two
    began anew, and of this step `turned_rad`, `counted_rad` (with enough fingertips), `gated_rad` (as rewarded), `fingertips` and
    `force_n` (mean over the tips that touch) (n,), `target_rad` (n, 16) that the action has set, `terms`: mean of each weighted
    reward term.
    """

    observation: Array32
    reward: Floats
    lost: Flags
    timed_out: Flags
    last_observation: Array32
    turned_rad: Floats
    counted_rad: Floats
    gated_rad: Floats
    fingertips: Floats
    force_n: Floats
    target_rad: Floats
    terms: dict[str, float]


@dataclass(frozen=True)
class Truth:
    """n copies: `joint_position_rad`, `target_rad` (n, 16); pose of the cube in `fr3_link0`: (n, 3) m, unit (n, 4) wxyz."""

    joint_position_rad: Floats
    target_rad: Floats
    cube_position_m: Floats
    cube_quaternion: Floats


class CubeEnv:
    """`config.copies` hands; `set_stage` before `reset`."""

    def __init__(self, config: CubeEnvConfig, grasps: Grasps, stage: Stage, seed: int) -> None:
        count = config.copies
        self.config = config
        self.batch = CubeBatch(count, threads=config.threads, step_s=stage.step_s)
        self._cube = self.batch.cube
        self._starts = Starts(grasps, share=config.ring_share, open_share=config.open_share)
        self._rng = np.random.default_rng(seed)
        self._draw = config.randomisation.draw(self._rng, count, 0.0)
        self._state = np.zeros((count, self._cube.state_size))
        self._target, self._reference, self._before, self._action = np.zeros((4, count, JOINTS))
        self._azimuth = np.zeros((count, TIPS))
        self._age = np.zeros(count, dtype=int)
        self._stand_left = np.zeros(count, dtype=int)
        self._grasp = np.full(count, -1)
        self._longest = np.full(count, config.episode_steps)
        self.practises = np.arange(count) >= round((1.0 - config.practice_share) * count)
        """which copies do (n,)"""
        self._longest[self.practises] = min(config.practice_steps, config.episode_steps)
        self._steps = 0
        self._observation = np.zeros((count, SIZE), dtype=np.float32)
        self._candidate = Start(*(np.zeros((count, size)) for size in (self._cube.model.nq, self._cube.model.nv, JOINTS)))
        self._candidate_good = np.zeros(count, dtype=bool)
        self.set_stage(stage, 0.0)

    @property
    def count(self) -> int:
        """Of copies."""
        return self.config.copies

    def set_stage(self, stage: Stage, level_share: float) -> None:
        """New conditions; randomisation of a copy changes when its episode begins anew. `level_share`: 0 to 1, for the policy."""
        self.stage, self._level_share = stage, level_share
        if self.batch.step_s != stage.step_s:
            self.batch.set_step(stage.step_s)
        self._help()

    def reset(self, *, spread: bool = True) -> Array32:
        """Begin all episodes anew; with `spread` they end at different times. Returns observations (n, SIZE)."""
        rows = np.arange(self.count)
        self._begin(rows)
        if spread:
            self._age = self._rng.integers(0, self._longest)
        self._observation = self._look(self._first_look())[0]
        return self._observation

    def step(self, action: Floats, target_rad: Floats | None = None, driven: Flags | None = None) -> Step:
        """Actions (n, 16), clipped to +-1. Copies `driven` (n,) go to `target_rad` (n, 16) instead, however far that is."""
        config, rng = self.config, self._rng
        action = np.clip(action, -1.0, 1.0)
        position = self._state[:, self._cube.qpos][:, :JOINTS]
        wanted = self._target + config.action_rad * action
        reachable = np.clip(wanted, position - config.reach_rad, position + config.reach_rad)
        if target_rad is not None and driven is not None:
            action = np.where(driven[:, None], self.action_towards(target_rad), action)
            reachable = np.where(driven[:, None], target_rad, reachable)
        margin = config.limit_margin_rad
        self._target = np.clip(reachable, self._cube.lower_rad + margin, self._cube.upper_rad - margin)
        self._push(rng)
        yaw_before = self._yaw()
        seen = self.batch.advance(self._state, self._commands())
        self._state = seen.state
        turned = self._yaw() - yaw_before
        previous_azimuth, previous_action, self._action = self._azimuth, self._action, action
        view, moment = self._look(seen, turned / CONTROL_PERIOD_S, previous_azimuth, previous_action)
        stage = self.stage
        terms = reward_terms(
            moment, nearness=stage.nearness, speed_rad_s=stage.speed_rad_s, gentleness=stage.gentleness, caution=stage.caution,
            touch_n=TOUCH_N,
        )  # fmt: skip
        weighted = {name: getattr(config.rewards, name) * value for name, value in terms.items()}
        reward = np.sum(list(weighted.values()), axis=0)
        self._age += 1
        lost = moment.dropped | seen.broken
        timed_out = (self._age >= self._longest) & ~lost
        touching = moment.touching(TOUCH_N)
        fingertips = touching.sum(-1).astype(float)
        force = (moment.force_n * touching).sum(-1) / np.maximum(fingertips, 1.0)
        self._let_go(fingertips)
        self._judge_starts(lost)
        target = self._target.copy()
        self._remember(moment, fingertips, lost)
        ended = np.flatnonzero(lost | timed_out)
        self._observation = view
        if len(ended):
            self._begin(ended)
            fresh = self._look(self._first_look(ended), rows=ended)[0]
            self._observation = view.copy()
            self._observation[ended] = fresh
        return Step(
            observation=self._observation, reward=reward, lost=lost, timed_out=timed_out, last_observation=view,
            turned_rad=turned, counted_rad=np.where(fingertips >= MIN_FINGERTIPS, turned, 0.0),
            gated_rad=CONTROL_PERIOD_S * terms["spin"], fingertips=fingertips, force_n=force, target_rad=target,
            terms={name: float(value.mean()) for name, value in weighted.items()},
        )  # fmt: skip

    def physics_state(self) -> Floats:
        """Full physics state (n, s), for pictures and analysis."""
        return self._state.copy()

    def truth(self) -> Truth:
        """Where everything really is now."""
        qpos = self._state[:, self._cube.qpos]
        return Truth(
            joint_position_rad=qpos[:, :JOINTS].copy(), target_rad=self._target.copy(),
            cube_position_m=np.array(CENTER_M) + qpos[:, JOINTS : JOINTS + 3],
            cube_quaternion=cube_quaternion(qpos[:, JOINTS + 3], qpos[:, JOINTS + 4 :]),
        )  # fmt: skip

    def action_towards(self, target_rad: Floats) -> Floats:
        """The action (n, 16) that brings the targets as near to `target_rad` (n, 16) as one step may."""
        action: Floats = np.clip((target_rad - self._target) / self.config.action_rad, -1.0, 1.0)
        return action

    def state(self) -> dict[str, Any]:
        """All that the future depends on, besides the stage."""
        return copy.deepcopy({
            "state": self._state, "target": self._target, "reference": self._reference, "before": self._before,
            "action": self._action,
            "azimuth": self._azimuth, "age": self._age, "stand_left": self._stand_left,
            "grasp": self._grasp, "failing": self._starts.failing,
            "candidate": vars(self._candidate), "candidate_good": self._candidate_good, "ring": vars(self._starts.ring),
            "kept": self._starts.kept, "draw": vars(self._draw), "steps": self._steps, "observation": self._observation,
            "rng": self._rng.bit_generator.state,
        })  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> Array32:
        """Go on from `state`; call it after `set_stage`. Returns the observations of that moment."""
        self._state, self._target = np.array(state["state"]), np.array(state["target"])
        self._reference, self._before = np.array(state["reference"]), np.array(state["before"])
        self._action = np.array(state["action"])
        self._azimuth, self._age = np.array(state["azimuth"]), np.array(state["age"])
        self._stand_left = np.array(state["stand_left"])
        self._grasp, self._starts.failing = np.array(state["grasp"]), np.array(state["failing"])
        self._help()
        self._candidate = Start(**{name: np.array(value) for name, value in state["candidate"].items()})
        self._candidate_good = np.array(state["candidate_good"])
        self._starts.ring = Start(**{name: np.array(value) for name, value in state["ring"].items()})
        self._starts.kept = int(state["kept"])
        self._draw = Draw(**{name: np.array(value) for name, value in state["draw"].items()})
        self._rng.bit_generator.state = state["rng"]
        self._steps = int(state["steps"])
        self.batch.set_physics(np.arange(self.count), self._draw)
        self._observation = np.array(state["observation"])
        return self._observation

    def _yaw(self) -> Floats:
        yaw: Floats = self._state[:, self._cube.qpos][:, JOINTS + 3].copy()
        return yaw

    def _begin(self, rows: NDArray[np.intp]) -> None:
        start, opened, self._grasp[rows] = self._starts.draw(self._rng, ~self.practises[rows])
        self._state[rows] = 0.0
        self._state[rows, self._cube.qpos] = start.qpos
        self._state[rows, self._cube.qvel] = start.qvel
        self._target[rows] = self._reference[rows] = self._before[rows] = start.target_rad
        self._action[rows], self._age[rows] = 0.0, 0
        self._candidate_good[rows] = False
        self._stand_left[rows] = self.config.stand_steps * opened
        self._help(rows)
        drawn = self.config.randomisation.draw(self._rng, len(rows), self.stage.randomisation)
        for name, values in vars(drawn).items():
            getattr(self._draw, name)[rows] = values
        self.batch.set_physics(rows, drawn)

    def _help(self, rows: NDArray[np.intp] | None = None) -> None:
        """What the stage gives to all, and a stand for those that begin on one; it would only hinder what hangs on springs."""
        rows = np.arange(self.count) if rows is None else rows
        self.batch.set_help(self.stage.help, rows)
        if self.stage.help.gravity > 0.0:
            self.batch.set_help(ON_STAND, rows[self._stand_left[rows] > 0])

    def _let_go(self, fingertips: Floats) -> None:
        """Take stands away that have served."""
        stood = self._stand_left > 0
        self._stand_left = np.where(stood & (fingertips < MIN_FINGERTIPS), self._stand_left - 1, 0)
        self._help(np.flatnonzero(stood & (self._stand_left == 0)))

    def _judge_starts(self, lost: Flags) -> None:
        """Tell which grasps were good to start from, as soon as it shows."""
        decided = np.flatnonzero(lost | (self._age >= self.config.ring_steps))
        self._starts.judge(self._grasp[decided], lost[decided])
        self._grasp[decided] = -1

    def _first_look(self, rows: NDArray[np.intp] | None = None) -> Advanced:
        """What can be seen before anything has moved: contact forces are not known yet."""
        rows = np.arange(self.count) if rows is None else rows
        start, end = self.batch.tips_at(self._state[rows])
        nothing = np.zeros(len(rows))
        return Advanced(self._state[rows], np.zeros((len(rows), TIPS)), nothing, nothing, start, end, nothing > 0)

    def _commands(self) -> Floats:
        """Positions (n, steps, 16) as the bridge writes them: along a line to the targets, smoothed, late; the line takes longer
        than a period when a joint would be too fast.
        """
        before, start = self._before, self._reference
        stretch = np.abs(self._target - start).max(-1, keepdims=True) / (LARGEST_SPEED_RAD_S * CONTROL_PERIOD_S)
        slowed = start + (self._target - start) / np.maximum(stretch, 1.0)
        self._before, self._reference = start, np.where(stretch > 1.0, slowed, self._target)
        times_s = self.batch.step_s * np.arange(1, self.batch.substeps + 1)
        late_s = self._draw.delay_s + SMOOTHING_DELAY_S
        share = np.clip((times_s - late_s[:, None]) / CONTROL_PERIOD_S, -1.0, 1.0)[..., None]
        ahead, behind = np.maximum(share, 0.0), np.minimum(share, 0.0)
        return start[:, None] + ahead * (self._reference - start)[:, None] + behind * (start - before)[:, None]

    def _push(self, rng: np.random.Generator) -> None:
        table, strength = self.config.randomisation, self.stage.randomisation
        pushed = rng.random(self.count) < table.push_hz * CONTROL_PERIOD_S
        impulse = rng.standard_normal((self.count, 3)) * (strength * table.push_n_s * pushed)[:, None]
        velocity = self._state[:, self._cube.qvel]
        velocity[:, JOINTS : JOINTS + 3] += impulse / (CUBE_MASS_KG * self._draw.mass_scale)[:, None]

    def _remember(self, moment: Moment, fingertips: Floats, lost: Flags) -> None:
        """Every `ring_steps`: what was noted the last time and is still alive goes into the ring, what is good now is noted."""
        self._candidate_good &= ~lost
        self._steps += 1
        if self._steps % self.config.ring_steps:
            return
        rows = np.flatnonzero(self._candidate_good)
        noted = self._candidate
        self._starts.keep(Start(noted.qpos[rows], noted.qvel[rows], noted.target_rad[rows]))
        good = (fingertips >= MIN_FINGERTIPS) & (np.linalg.norm(moment.offset_m, axis=-1) < 0.012) & (moment.tilt_rad < 0.3)
        self._candidate_good = good & ~lost
        self._candidate = Start(
            self._state[:, self._cube.qpos].copy(), self._state[:, self._cube.qvel].copy(), self._target.copy()
        )

    def _look(
        self, seen: Advanced, spin_rad_s: Floats | None = None, azimuth: Floats | None = None, last_action: Floats | None = None,
        rows: NDArray[np.intp] | None = None,
    ) -> tuple[Array32, Moment]:  # fmt: skip
        rows = np.arange(self.count) if rows is None else rows
        draw, rng, strength, table = self._draw, self._rng, self.stage.randomisation, self.config.randomisation
        qpos, qvel = seen.state[:, self._cube.qpos], seen.state[:, self._cube.qvel]
        position, offset, yaw, tilts = qpos[:, :JOINTS], qpos[:, JOINTS : JOINTS + 3], qpos[:, JOINTS + 3], qpos[:, JOINTS + 4 :]
        rotation = cube_rotation(yaw, tilts)
        upright = rotation[..., 2]
        tilt = np.arccos(np.clip(upright[:, 2], -1.0, 1.0))
        center = (np.array(CENTER_M) + offset)[:, None]
        start, end = (seen.start_m - center) @ rotation, (seen.end_m - center) @ rotation
        half = CUBE_SIDE_M / 2 * draw.size_scale[rows]
        near = nearest_on_box(start, end, self._cube.tip_radius_m, half)
        to_surface = near.vector_m @ np.swapaxes(rotation, -1, -2)
        tips = seen.end_m - center
        angle = np.arctan2(tips[..., 1], tips[..., 0])
        winding = np.zeros_like(angle)
        if azimuth is not None:
            winding = ((angle - azimuth + np.pi) % (2 * np.pi) - np.pi) / CONTROL_PERIOD_S
        self._azimuth = self._azimuth.copy()
        self._azimuth[rows] = angle
        target = self._target[rows]
        strongest = self._cube.largest_torque_nm
        torque = np.clip(self._cube.stiffness_nm_rad * (target - position), -strongest, strongest)
        nothing = np.zeros(len(rows))
        moment = Moment(
            spin_rad_s=nothing if spin_rad_s is None else spin_rad_s, offset_m=offset, velocity_m_s=qvel[:, JOINTS : JOINTS + 3],
            tilt_rad=tilt, distance_m=near.distance_m, force_n=seen.force_n, on_side=near.on_side, winding_rad_s=winding,
            other_n=seen.other_n, torque_nm=torque, joint_velocity_rad_s=qvel[:, :JOINTS], action=self._action[rows],
            last_action=self._action[rows] if last_action is None else last_action, dropped=dropped(offset, tilt),
        )  # fmt: skip
        joint_error = draw.joint_bias_rad[rows] + strength * table.joint_noise_rad * rng.standard_normal(position.shape)
        cube_error = draw.cube_bias_m[rows] + strength * table.cube_position_noise_m * rng.standard_normal(offset.shape)
        turn_error = strength * table.cube_rotation_noise_rad * rng.standard_normal((len(rows), 3))
        seen_yaw = 4.0 * (yaw + turn_error[:, 2])
        view = observation(
            joint_position_rad=position + joint_error, target_minus_position_rad=target - position - joint_error,
            joint_velocity_rad_s=qvel[:, :JOINTS], cube_offset_m=offset + cube_error,
            cube_upright=upright[:, :2] + turn_error[:, :2],
            cube_yaw_of_4=np.stack([np.cos(seen_yaw), np.sin(seen_yaw)], -1), cube_velocity_m_s=moment.velocity_m_s,
            cube_angular_velocity_rad_s=qvel[:, JOINTS + 3 :],
            tips_from_cube_m=(tips - cube_error[:, None]).reshape(len(rows), -1),
            tips_to_surface_m=to_surface.reshape(len(rows), -1), tip_distance_m=near.distance_m,
            tip_log_force=np.log1p(seen.force_n), last_action=self._action[rows],
            physics=np.stack([draw.mass_scale, draw.size_scale, draw.friction_scale, draw.stiffness_scale, draw.damping_scale,
                              50.0 * draw.delay_s], -1)[rows],
            level=np.full((len(rows), 1), self._level_share),
        )  # fmt: skip
        return view, moment
