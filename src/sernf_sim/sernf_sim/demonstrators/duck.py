"""Scripted duck demonstrator with human-like variety: it grasps from several headings, hurries or dawdles, takes detours, pauses,
and misplaces hand and duck, so its demonstrations are multimodal. Where that loses the duck it tries again, with more care; what
takes too long or ends out of reach fails.

It acts on measured joints and estimated object poses only. The grasp ignores the duck's yaw: the hand encloses the duck from
above with its palm tilted towards it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from sernf_robot.joints import HAND_JOINTS
from sernf_robot.kinematics import FloatArray, Kinematics
from sernf_sim.demonstrators.demonstrator import ACT_PERIOD_S, Observation
from sernf_sim.demonstrators.motion import HandPose, SmoothMotion
from sernf_sim.demonstrators.scripted_demonstrator import ScriptedDemonstrator
from sernf_sim.tasks.duck import BOWL_RADIUS_M, START_HAND_RAD

DUCK_IN_HAND_M = np.array([-0.0123, 0.0463, 0.2708])
"""Where the duck is in the hand frame when the fingers close around it: in the middle of where the twin's weak hand holds it,
25 mm and more from where it does not."""
GRASP_HEIGHT_M = 0.023
"""Of ducks grasped 11 mm higher than this the twin's hand loses one in five, of those 3 to 9 mm lower none; 16 mm lower the
fingertips come too near to the table to close. Policies grasp about 3 mm lower than they were shown, give or take 5 mm."""
RELEASE_HEIGHT_M = 0.055
SEEN_LIFTED_M = 0.05
TRIES = 3
POSTURE_ARM_RAD = np.array([0.0, 0.2, 0.0, -2.4, 0.0, 3.6, 0.785])

_FINGERS = ("index", "middle", "ring", "pinky")
_CLOSED = START_HAND_RAD | {
    "right_thumb_mcp": 0.429, "right_thumb_abd": -0.579, "right_thumb_pip": 0.243, "right_thumb_dip": 0.608,
    **{f"right_{finger}_mcp": 1.339 for finger in _FINGERS},
    **{f"right_{finger}_pip": 0.917 for finger in _FINGERS},
}  # fmt: skip

OPEN_RAD = np.array([START_HAND_RAD[name] for name in HAND_JOINTS])
"""Hand joints (17,) rad around the duck; also the hand's start pose."""
CLOSED_RAD = np.array([_CLOSED[name] for name in HAND_JOINTS])
"""Hand joints (17,) rad that hold the duck; closing further would eject it."""


@dataclass(frozen=True, kw_only=True)
class Style:
    """How one attempt is made. Durations are divided by `speed`."""

    heading_offset_rad: float
    tilt_rad: float
    speed: float
    approach_height_m: float
    lift_height_m: float
    approach_bend_m: FloatArray
    transit_bend_m: FloatArray
    pause_before_s: float
    pause_above_s: float
    pause_at_bowl_s: float
    grasp_error_m: FloatArray
    place_error_m: FloatArray
    close_share: float
    tremor_m: float


@dataclass(frozen=True, kw_only=True)
class Variety:
    """Distributions from which the style of an attempt is drawn: by default that of a beginner, who hesitates.

    `pause_s`: range of a pause before the grasp; one at the bowl is half as long.
    """

    heading_modes_rad: tuple[float, ...] = (-0.2, 0.2)
    heading_spread_rad: float = 0.05
    tilt_rad: float = 0.764
    tilt_spread_rad: float = 0.04
    detour_probability: float = 0.2
    pause_probability: float = 0.9
    pause_s: tuple[float, float] = (0.5, 2.2)
    speed: tuple[float, float] = (0.75, 1.4)
    careless_probability: float = 0.0
    grasp_error_m: float = 0.005
    careless_grasp_error_m: float = 0.024
    place_error_m: float = 0.012
    careless_place_error_m: float = 0.025

    def draw(self, rng: np.random.Generator) -> Style:
        """One attempt's style."""

        def pause() -> float:
            return float(rng.uniform(*self.pause_s)) if rng.random() < self.pause_probability else 0.0

        def bend(reach_m: float) -> FloatArray:
            if rng.random() >= self.detour_probability:
                return np.zeros(3)
            return (
                np.array([rng.uniform(-0.5, 0.2), rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.0), rng.uniform(0.1, 0.8)])
                * reach_m
            )

        def error(usual_m: float, careless_m: float) -> FloatArray:
            return _error(rng, careless_m if rng.random() < self.careless_probability else usual_m)

        return Style(
            heading_offset_rad=float(rng.choice(self.heading_modes_rad) + rng.normal(0.0, self.heading_spread_rad)),
            tilt_rad=float(self.tilt_rad + rng.normal(0.0, self.tilt_spread_rad)),
            speed=float(np.exp(rng.uniform(*np.log(self.speed)))),
            approach_height_m=float(rng.uniform(0.07, 0.10)),
            lift_height_m=float(rng.uniform(0.11, 0.15)),
            approach_bend_m=bend(0.07),
            transit_bend_m=bend(0.06),
            pause_before_s=float(rng.uniform(0.0, 0.3)) + pause(),
            pause_above_s=pause(),
            pause_at_bowl_s=0.5 * pause(),
            grasp_error_m=error(self.grasp_error_m, self.careless_grasp_error_m),
            place_error_m=error(self.place_error_m, self.careless_place_error_m),
            close_share=float(rng.uniform(0.97, 1.01)),
            tremor_m=float(rng.uniform(0.0, 0.0015)),
        )

    def careful(self, style: Style, rng: np.random.Generator) -> Style:
        """The style of a further try: without carelessness, pauses and detours."""
        return replace(
            style, grasp_error_m=_error(rng, self.grasp_error_m), place_error_m=_error(rng, self.place_error_m),
            approach_bend_m=np.zeros(3), transit_bend_m=np.zeros(3), pause_above_s=0.0, pause_at_bowl_s=0.0,
        )  # fmt: skip


def _error(rng: np.random.Generator, spread_m: float) -> FloatArray:
    return np.array([*rng.normal(0.0, spread_m, 2), 0.0])


class DuckDemonstrator(ScriptedDemonstrator):
    """Makes attempts at the duck task; see the module's text. One style is drawn per `reset`."""

    def __init__(
        self,
        kinematics: Kinematics,
        rng: np.random.Generator,
        *,
        variety: Variety | None = None,
        max_speed_rad_s: FloatArray | None = None,
    ) -> None:
        self._kinematics = kinematics
        self._rng = rng
        self._variety = variety or Variety()
        speed = DEFAULT_MAX_SPEED_RAD_S if max_speed_rad_s is None else max_speed_rad_s
        motion = SmoothMotion(kinematics, POSTURE_ARM_RAD, speed, ACT_PERIOD_S)
        super().__init__(motion, rng)

    def reset(self, observation: Observation) -> None:
        """Begin an attempt at the robot's present pose."""
        self.style = self._variety.draw(self._rng)
        self._begin(self._attempt(self.style), observation)

    def _see(self, observation: Observation) -> None:
        self._observation = observation

    def _attempt(self, style: Style) -> Iterator[FloatArray]:
        """Grasp and place; again, with more care, when the duck was lost on the way."""
        motion = self._motion
        self.phase = "wait"
        yield from motion.hold(style.pause_before_s)
        for _ in range(TRIES):
            yield from self._grasp(style)
            if self._is_lifted():
                yield from self._place(style)
                if self._is_in_bowl():
                    return
            else:
                yield from self._let_go(style)
            style = self._variety.careful(style, self._rng)

    def _grasp(self, style: Style) -> Iterator[FloatArray]:
        motion, quick = self._motion, 1.0 / style.speed
        self.phase = "approach"
        above = self._grasp_pose(style, style.approach_height_m, OPEN_RAD)
        yield from self._freely(motion.move(above, 1.7 * quick, bend_m=style.approach_bend_m))
        yield from self._freely(motion.hold(style.pause_above_s))
        self.phase = "descend"
        yield from motion.move(self._grasp_pose(style, 0.0, OPEN_RAD), 1.0 * quick)
        yield from motion.hold(0.1)
        self.phase = "close"
        closed = self._closed(style)
        yield from motion.fingers(closed, 0.8 * quick)
        yield from motion.hold(0.2)
        self.phase = "lift"
        yield from motion.move(self._lifted(style, closed), 1.0 * quick)

    def _place(self, style: Style) -> Iterator[FloatArray]:
        motion, quick = self._motion, 1.0 / style.speed
        self.phase = "carry"
        held_m, closed = self._held_offset(), self._closed(style)
        over_bowl = self._place_pose(style, held_m, style.lift_height_m, closed)
        yield from self._freely(motion.move(over_bowl, 1.7 * quick, bend_m=style.transit_bend_m))
        yield from self._freely(motion.hold(style.pause_at_bowl_s + 0.1))
        self.phase = "lower"
        lowered = self._place_pose(style, held_m, RELEASE_HEIGHT_M, closed)
        yield from motion.move(lowered, 0.7 * quick)
        self.phase = "release"
        yield from motion.fingers(OPEN_RAD, 0.6 * quick)
        self.phase = "retreat"
        yield from motion.move(self._place_pose(style, held_m, 0.14, OPEN_RAD), 0.8 * quick)
        yield from motion.hold(0.4)

    def _let_go(self, style: Style) -> Iterator[FloatArray]:
        """Open the hand before the next try."""
        self.phase = "let go"
        yield from self._motion.fingers(OPEN_RAD, 0.6 / style.speed)

    @staticmethod
    def _closed(style: Style) -> FloatArray:
        closed: FloatArray = OPEN_RAD + style.close_share * (CLOSED_RAD - OPEN_RAD)
        return closed

    def _is_lifted(self) -> bool:
        return bool(self._observation.object_poses["duck"][0][2] > SEEN_LIFTED_M)

    def _is_in_bowl(self) -> bool:
        offset_m = self._observation.object_poses["duck"][0][:2] - self._observation.object_poses["bowl"][0][:2]
        return bool(np.hypot(*offset_m) < BOWL_RADIUS_M)

    def _grasp_pose(self, style: Style, height_m: float, fingers_rad: FloatArray) -> HandPose:
        duck = self._observation.object_poses["duck"][0]
        rotation = self._palm_rotation(style, duck, height_m)
        center = np.array([duck[0], duck[1], GRASP_HEIGHT_M + height_m]) + style.grasp_error_m
        return HandPose(center - rotation @ DUCK_IN_HAND_M, rotation, fingers_rad)

    def _lifted(self, style: Style, fingers_rad: FloatArray) -> HandPose:
        """Above where the hand has just closed."""
        grasp = self._motion.pose
        center = grasp.position_m + grasp.rotation @ DUCK_IN_HAND_M
        rotation = self._palm_rotation(style, center, style.lift_height_m)
        raised = center + np.array([0.0, 0.0, style.lift_height_m])
        return HandPose(raised - rotation @ DUCK_IN_HAND_M, rotation, fingers_rad)

    @staticmethod
    def _palm_rotation(style: Style, object_m: FloatArray, height_m: float) -> FloatArray:
        # Far out and higher up the fingers point further forwards: else the wrist would pass its singularity on the way.
        reach_m = float(np.hypot(object_m[0], object_m[1]))
        tilt_rad = style.tilt_rad + height_m * float(np.clip(8.0 * (reach_m - 0.52), 0.0, 1.6))
        return palm_rotation(float(np.arctan2(object_m[1], object_m[0])) + style.heading_offset_rad, tilt_rad)

    def _held_offset(self) -> FloatArray:
        """Where the duck really is in the hand frame, (3,) m; where it should be if it does not seem to be in the hand."""
        position, rotation = self._kinematics.hand_pose(self._observation.joint_position_rad)
        offset: FloatArray = rotation.T @ (self._observation.object_poses["duck"][0] - position)
        return offset if np.linalg.norm(offset - DUCK_IN_HAND_M) < 0.06 else DUCK_IN_HAND_M

    def _place_pose(self, style: Style, held_m: FloatArray, height_m: float, fingers_rad: FloatArray) -> HandPose:
        bowl = self._observation.object_poses["bowl"][0]
        rotation = self._palm_rotation(style, bowl, height_m)
        center = np.array([bowl[0], bowl[1], height_m]) + style.place_error_m
        return HandPose(center - rotation @ held_m, rotation, fingers_rad)


def palm_rotation(heading_rad: float, tilt_rad: float) -> FloatArray:
    """Hand frame (3, 3) whose fingers point along `heading_rad` and downwards, `tilt_rad` away from the vertical."""
    forward = np.array([np.cos(heading_rad), np.sin(heading_rad), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    along_fingers = np.sin(tilt_rad) * forward - np.cos(tilt_rad) * up
    out_of_palm = -np.cos(tilt_rad) * forward - np.sin(tilt_rad) * up
    return np.column_stack([np.cross(out_of_palm, along_fingers), out_of_palm, along_fingers])


DEFAULT_MAX_SPEED_RAD_S = np.array([0.9, 0.9, 0.8, 1.1, 1.6, 1.5, 1.6, 1.5, *np.full(16, 3.0)])
"""Joint speeds (24,) of targets: well below the limits in config/limits.yaml, so that every stop is short."""
