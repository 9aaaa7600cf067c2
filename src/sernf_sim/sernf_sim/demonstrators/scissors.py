"""Scripted scissors demonstrator: grasps the handles, lifts, carries the blades over the tape, lowers them, cuts.

It acts on measured joints and estimated poses of both halves and the tape only. How far the scissors are open is what tells it
how hard it holds: while it carries, it keeps them half open. What it misses it tries again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from sernf_robot.joints import HAND_JOINTS
from sernf_robot.kinematics import FloatArray, Kinematics
from sernf_sim.demonstrators.demonstrator import ACT_PERIOD_S, Observation
from sernf_sim.demonstrators.duck import DEFAULT_MAX_SPEED_RAD_S
from sernf_sim.demonstrators.motion import HAND, HandPose, SmoothMotion
from sernf_sim.demonstrators.scissors_view import ScissorsView
from sernf_sim.demonstrators.scripted_demonstrator import ScriptedDemonstrator
from sernf_sim.tasks.scissors import ABOVE_TAPE_M, CUT_ALONG_M, HAND_OPEN_RAD, TAPE_YAW_RAD
from sernf_sim.tasks.scissors_scene import SEATED_HINGE_M

HINGE_IN_HAND_M = np.array([0.0567, 0.0436, 0.2069])
"""In the middle of where the twin's hand takes hold of the scissors: 6 mm to any side still succeed."""
SCISSORS_IN_HAND = np.array([[0.880, -0.153, -0.450], [0.456, 0.002, 0.890], [-0.135, -0.988, 0.071]]).T
"""Columns: along the blades, the opening direction, the hinge's axis, in the hand frame."""
POSTURE_ARM_RAD = np.array([0.75, 0.79, -0.5, -2.07, -1.36, 1.35, -1.06])
RELAXED_RAD, SQUEEZED_RAD, SHUT_RAD = 0.28, 0.18, 0.02
"""Openings between which the scissors are carried, and at which they have cut."""
FIRM_RAD = 0.06
"""To which they are pressed for taking them out: what is held loosely stays in the holder."""
HOLDING, FIRM, MOST = 0.62, 0.9, 1.0
"""Shares of the way from the open to the closed hand."""
CALM = 0.65
"""Of the speed of the other demonstrators: here the forearm turns far, and lags behind its command."""
STILL_S = 0.3
"""How long it looks while nothing moves."""
MOST_TRIES = 3
"""At taking the scissors, and at cutting."""

_CLOSED = {
    "right_wrist": 0.0, "right_thumb_mcp": -0.471, "right_thumb_abd": -0.265, "right_thumb_pip": 0.187, "right_thumb_dip": 0.381,
    **{f"right_{finger}_mcp": 1.56 for finger in ("index", "middle", "ring")},
    **{f"right_{finger}_pip": 1.855 for finger in ("index", "middle", "ring")},
    "right_pinky_mcp": 1.60, "right_pinky_pip": 1.512,
    "right_index_abd": -0.265, "right_middle_abd": 0.071, "right_ring_abd": 0.351, "right_pinky_abd": 0.234,
}  # fmt: skip
CLOSED_RAD = np.array([_CLOSED[name] for name in HAND_JOINTS])


@dataclass(frozen=True, kw_only=True)
class ScissorsStyle:
    """How one attempt is made. Durations are divided by `speed`."""

    speed: float
    back_m: float
    lift_m: float
    pause_before_s: float
    pause_above_s: float
    cut_along_m: float
    grasp_error_m: FloatArray
    place_error_m: FloatArray
    bend_m: FloatArray


@dataclass(frozen=True, kw_only=True)
class ScissorsVariety:
    """Distributions from which the style of an attempt is drawn."""

    speed: tuple[float, float] = (0.8, 1.25)
    pause_s: float = 0.6
    grasp_error_m: float = 0.0015
    place_error_m: float = 0.002
    second_error_m: float = 0.003

    def draw(self, rng: np.random.Generator) -> ScissorsStyle:
        """One attempt's style."""
        return ScissorsStyle(
            speed=float(np.exp(rng.uniform(*np.log(self.speed)))),
            back_m=float(rng.uniform(0.06, 0.09)),
            lift_m=float(rng.uniform(0.11, 0.14)),
            pause_before_s=float(rng.uniform(0.0, self.pause_s)),
            pause_above_s=float(rng.uniform(0.0, self.pause_s)),
            cut_along_m=CUT_ALONG_M + float(rng.uniform(-0.006, 0.006)),
            grasp_error_m=rng.normal(0.0, self.grasp_error_m, 3),
            place_error_m=rng.normal(0.0, self.place_error_m, 3),
            bend_m=np.array([0.0, 0.0, rng.uniform(0.0, 0.04)]),
        )

    def again(self, style: ScissorsStyle, rng: np.random.Generator) -> ScissorsStyle:
        """After a miss: the same, aimed anew and less surely."""
        return replace(
            style, pause_above_s=0.0, cut_along_m=CUT_ALONG_M + float(rng.uniform(-0.006, 0.006)),
            grasp_error_m=rng.normal(0.0, self.second_error_m, 3), place_error_m=rng.normal(0.0, self.second_error_m, 3),
        )  # fmt: skip


class ScissorsDemonstrator(ScriptedDemonstrator):
    """Makes attempts at the scissors task; see the module's text. One style is drawn per `reset`."""

    def __init__(self, kinematics: Kinematics, rng: np.random.Generator, *, variety: ScissorsVariety | None = None) -> None:
        self._kinematics, self._rng = kinematics, rng
        self._variety = variety or ScissorsVariety()
        motion = SmoothMotion(kinematics, POSTURE_ARM_RAD, CALM * DEFAULT_MAX_SPEED_RAD_S, ACT_PERIOD_S)
        super().__init__(motion, rng)
        self._share = 0.0

    def reset(self, observation: Observation) -> None:
        """Begin an attempt at the robot's present pose."""
        self.style = self._variety.draw(self._rng)
        self._share, self._view = 0.0, ScissorsView(self._kinematics)
        self._begin(self._attempt(self.style), observation)

    def _see(self, observation: Observation) -> None:
        self._view.update(observation)

    def _attempt(self, style: ScissorsStyle) -> Iterator[FloatArray]:
        self.phase = "approach"
        yield from self._motion.hold(STILL_S + style.pause_before_s)
        for _ in range(MOST_TRIES):
            yield from self._take(style)
            if self._view.height_m > SEATED_HINGE_M + 0.5 * style.lift_m:
                break
            self.phase = "approach"
            yield from self._release(0.0, 0.4)
            self._view.look_again()
            yield from self._motion.hold(STILL_S)
            style = self._variety.again(style, self._rng)
        else:
            return
        for _ in range(MOST_TRIES):
            yield from self._cut(style)
            style = self._variety.again(style, self._rng)

    def _take(self, style: ScissorsStyle) -> Iterator[FloatArray]:
        """Out of the holder, if the grasp is good."""
        motion, quick = self._motion, 1.0 / style.speed
        grasp = self._grasp_pose(style)
        back = HandPose(grasp.position_m + style.back_m * self._retreat(grasp), grasp.rotation, HAND_OPEN_RAD)
        yield from self._freely(motion.move(back, 1.2 * quick))
        yield from motion.move(grasp, 0.8 * quick)
        self.phase = "grasp"
        yield from self._squeeze(RELAXED_RAD, HOLDING / (0.8 * quick), 0.8)
        yield from self._squeeze(FIRM_RAD, 1.2 * style.speed, FIRM)
        self.phase = "lift"
        raised = HandPose(motion.pose.position_m + np.array([0.0, 0.0, style.lift_m]), motion.pose.rotation, self._fingers())
        yield from motion.move(raised, 1.0 * quick)

    def _cut(self, style: ScissorsStyle) -> Iterator[FloatArray]:
        """Over the tape, down, shut, open, up again."""
        motion, quick = self._motion, 1.0 / style.speed
        self.phase = "carry"
        over = motion.move(self._over_tape(style, ABOVE_TAPE_M), 1.5 * quick, bend_m=style.bend_m)
        yield from self._freely(self._carried(over))
        yield from self._carried(motion.hold(STILL_S + style.pause_above_s))
        self.phase = "lower"
        yield from self._carried(motion.move(self._over_tape(style, 0.0), 0.9 * quick))
        yield from self._carried(motion.move(self._over_tape(style, 0.0), 0.5 * quick))
        self.phase = "cut"
        yield from self._squeeze(SHUT_RAD, 0.6 * style.speed, MOST)
        yield from motion.hold(0.4)
        self.phase = "open"
        yield from self._release(HOLDING, 0.3)
        self.phase = "raise"
        yield from self._carried(motion.move(self._over_tape(style, ABOVE_TAPE_M), 0.7 * quick))

    def _grasp_pose(self, style: ScissorsStyle) -> HandPose:
        hinge, frame = self._view.seated
        rotation = frame @ SCISSORS_IN_HAND.T
        return HandPose(hinge + style.grasp_error_m - rotation @ HINGE_IN_HAND_M, rotation, HAND_OPEN_RAD)

    @staticmethod
    def _retreat(grasp: HandPose) -> FloatArray:
        """Away from the scissors: against the palm."""
        away: FloatArray = -grasp.rotation[:, 1]
        return away

    def _over_tape(self, style: ScissorsStyle, height_m: float) -> HandPose:
        """Where the hand must be for the blades, as they lie in it now, to straddle the tape, or `height_m` above that."""
        hinge_in_hand, frame_in_hand = self._view.in_hand
        yaw = TAPE_YAW_RAD + np.pi / 2
        down, opening = np.array([0.0, 0.0, -1.0]), np.array([np.cos(yaw), np.sin(yaw), 0.0])
        wanted = np.column_stack([down, opening, np.cross(down, opening)]) @ frame_in_hand.T
        tape = self._view.tape_m + style.place_error_m
        at = tape + np.array([0.0, 0.0, style.cut_along_m + height_m])
        return HandPose(at - wanted @ hinge_in_hand, wanted, self._fingers())

    def _fingers(self) -> FloatArray:
        fingers: FloatArray = HAND_OPEN_RAD + self._share * (CLOSED_RAD - HAND_OPEN_RAD)
        return fingers

    def _with_fingers(self, target: FloatArray) -> FloatArray:
        target[HAND] = self._motion.target_rad[HAND] = self._fingers()
        return target

    def _squeeze(self, until_rad: float, share_per_s: float, most: float) -> Iterator[FloatArray]:
        """Close until the scissors are open no farther than `until_rad`."""
        while self._view.opening_rad > until_rad and self._share < most:
            self._share = min(self._share + share_per_s * ACT_PERIOD_S, most)
            yield self._with_fingers(self._motion.target_rad.copy())

    def _release(self, share: float, duration_s: float) -> Iterator[FloatArray]:
        start = self._share
        for passed in np.linspace(0.0, 1.0, round(duration_s / ACT_PERIOD_S) + 1)[1:]:
            self._share = start + passed * (share - start)
            yield self._with_fingers(self._motion.target_rad.copy())

    def _carried(self, way: Iterator[FloatArray]) -> Iterator[FloatArray]:
        """Along `way`, with the scissors kept half open."""
        for target in way:
            opening = self._view.opening_rad
            self._share += 0.01 * ((opening > RELAXED_RAD) - (opening < SQUEEZED_RAD))
            self._share = float(np.clip(self._share, 0.4, 0.8))
            yield self._with_fingers(target)
