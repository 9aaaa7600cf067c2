"""A commander that does everything wrong, a robot that writes down what reaches its motors, and the check of what it wrote."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sernf_hw_bridge.backends.mock import MockBackend, MockConfig, MockFault
from sernf_hw_bridge.backends.protocol import Backend, JointReading
from sernf_hw_bridge.control_config import ControlConfig
from sernf_hw_bridge.control_loop import ControlError, ControlLoop
from sernf_hw_bridge.measurement import MeasurementConfig
from sernf_hw_bridge.pose_guard import PATH_MARGIN_M, PoseCheck
from sernf_hw_bridge.trajectories import Array
from sernf_robot.limits import Limits

PERIOD_S = 0.004
EPOCH_NS = 1_700_000_000_000_000_000
WALL_M = 0.5
CROSSING_RAD = 1.0
SMALL_ARM = ("a1", "a2")
SMALL_HAND = ("h1", "h2")

ATTACKS = (
    "wander", "pursue", "jump", "far", "huge", "limit", "nan", "infinity", "reorder", "replay", "stale", "future", "burst",
    "wrong_name", "missing_name", "double_name", "too_short", "too_long", "empty", "other_source", "takeover", "release",
    "silence", "select", "home", "stop", "arm", "fault", "mended",
)  # fmt: skip
"""What an adversary can do between two ticks."""


class Recorder(MockBackend):
    """A mock that keeps what is written, in segments: each begins at rest at the pose that was measured at an arming."""

    def __init__(self, joint_names: Sequence[str], start_rad: Array, clock: Callable[[], float]) -> None:
        super().__init__(joint_names, start_rad, MockConfig(), clock)
        self.segments: list[list[Array]] = []
        self._just_activated = False

    def activate(self) -> None:
        super().activate()
        self._just_activated = True

    def read(self) -> JointReading:
        reading = super().read()
        if self._just_activated:
            self.segments.append([reading.position_rad])
            self._just_activated = False
        return reading

    def write(self, position_rad: Array) -> None:
        super().write(position_rad)
        self.segments[-1].append(np.array(position_rad))


@dataclass
class Robot:
    """A control loop on recorders with a clock of its own."""

    loop: ControlLoop
    parts: dict[str, Recorder]
    limits: Limits
    now_s: float = 100.0
    stamp_ns: int = EPOCH_NS
    sent: list[dict[str, object]] = field(default_factory=list)

    def tick(self, count: int = 1, late_s: float = 0.0) -> None:
        self.now_s += late_s
        for _ in range(count):
            self.now_s += PERIOD_S
            self.loop.tick(self.now_s)

    def now_ns(self) -> int:
        return EPOCH_NS + round((self.now_s - 100.0) * 1e9)

    def offer(self, **changes: object) -> object:
        """Offer a command that would be accepted but for `changes`."""
        message: dict[str, object] = {
            "source": "policy",
            "stamp_ns": self.now_ns(),
            "joint_names": list(self.loop.joint_names),
            "position_rad": self.loop.measured.position_rad,
            "release": False,
        }
        message.update(changes)
        self.sent.append(message)
        return self.loop.offer(**message, now_s=self.now_s, now_ns=self.now_ns())  # type: ignore[arg-type]

    def arm(self) -> None:
        self.loop.clear_fault(self.now_s)


def small_limits(rng: np.random.Generator) -> Limits:
    """Limits of the small robot: of different sizes, hard and soft."""
    names = (*SMALL_ARM, *SMALL_HAND)
    low = rng.uniform(-3.0, -0.2, 4)
    return Limits(
        names,
        low,
        low + rng.uniform(0.3, 5.0, 4),
        rng.uniform(0.3, 5.0, 4),
        10.0 ** rng.uniform(0.3, 2.0, 4),
        10.0 ** rng.uniform(2.0, 4.0, 4),
    )


def small_pose_check(position_rad: Array, margin_m: float = 0.0) -> Mapping[str, float]:
    """A planar arm with links of half a metre and a wall, and fingers that must not cross."""
    reach = 0.5 * math.cos(position_rad[0]) + 0.5 * math.cos(position_rad[0] + position_rad[1])
    found = {}
    if reach < WALL_M + margin_m:
        found["workspace"] = WALL_M + margin_m - reach
    crossing_m = 0.05 * (position_rad[2] - position_rad[3] - CROSSING_RAD)
    if crossing_m > -margin_m:
        found["self_collision"] = crossing_m + margin_m
    return found


def build_robot(
    parts: Mapping[str, Sequence[str]], limits: Limits, start_rad: Array, home_rad: Array, pose_check: PoseCheck
) -> Robot:
    """Robot of the given parts (name -> joints), armed, at rest at `start_rad`."""
    robot: Robot
    backends: dict[str, Recorder] = {}
    begin = 0
    for name, joints in parts.items():
        end = begin + len(joints)
        backends[name] = Recorder(joints, start_rad[begin:end], lambda: robot.now_s)
        begin = end
    config = ControlConfig(
        home_position_rad=dict(zip(limits.joint_names, home_rad.tolist(), strict=True)),
        measurement=MeasurementConfig(tracking_tolerance_rad=dict.fromkeys(parts, 0.5)),
    )
    bases: dict[str, Backend] = dict(backends)
    robot = Robot(ControlLoop(bases, limits, config, pose_check), backends, limits)
    robot.loop.connect()
    robot.arm()
    robot.loop.select("policy")
    return robot


def attack(robot: Robot, kinds: Sequence[str], rng: np.random.Generator) -> None:
    """Do the attacks one after the other, with some ticks, sometimes late ones, after each."""
    for kind in kinds:
        _attack_once(robot, kind, rng)
        robot.tick(int(rng.integers(1, 6)), late_s=float(rng.choice([0.0, 0.0, 0.0, 0.003, 0.02])))


def _attack_once(robot: Robot, kind: str, rng: np.random.Generator) -> None:
    loop, limits = robot.loop, robot.limits
    joints = len(limits.joint_names)
    low, high = limits.position_min_rad, limits.position_max_rad
    if loop.step is None:
        return
    here = loop.step.state.position_rad
    near = here + rng.normal(0.0, 0.1, joints)
    anywhere = rng.uniform(low - 0.3, high + 0.3)
    one = int(rng.integers(joints))
    names = list(limits.joint_names)
    if kind == "wander":
        robot.offer(position_rad=near)
    elif kind == "jump":
        robot.offer(position_rad=anywhere)
    elif kind == "pursue":
        corner = np.where(rng.random(joints) < 0.5, low, high)
        for _ in range(int(rng.integers(2, 16))):
            robot.offer(position_rad=corner)
            robot.tick(12)
    elif kind == "far":
        robot.offer(position_rad=rng.normal(0.0, 100.0, joints))
    elif kind == "huge":
        robot.offer(position_rad=rng.choice([-1.0, 1.0], joints) * 10.0 ** rng.uniform(3.0, 308.0, joints))
    elif kind == "limit":
        robot.offer(position_rad=np.where(rng.random(joints) < 0.5, low, high))
    elif kind in ("nan", "infinity"):
        near[one] = math.nan if kind == "nan" else rng.choice([-math.inf, math.inf])
        robot.offer(position_rad=near)
    elif kind == "reorder":
        order = rng.permutation(joints)
        robot.offer(position_rad=anywhere[order], joint_names=[names[index] for index in order])
    elif kind == "replay" and robot.sent:
        robot.offer(**robot.sent[int(rng.integers(len(robot.sent)))])
    elif kind in ("stale", "future"):
        shift_ns = int(rng.integers(1, 10_000_000_000)) * (-1 if kind == "stale" else 1)
        robot.offer(position_rad=anywhere, stamp_ns=robot.now_ns() + shift_ns)
    elif kind == "burst":
        for number in range(5):
            robot.offer(position_rad=rng.uniform(low, high), stamp_ns=robot.now_ns() + number)
    elif kind == "wrong_name":
        robot.offer(position_rad=anywhere, joint_names=[*names[:-1], "elbow"])
    elif kind == "missing_name":
        robot.offer(position_rad=anywhere[:-1], joint_names=names[:-1])
    elif kind == "double_name":
        robot.offer(position_rad=anywhere, joint_names=[*names[:-1], names[0]])
    elif kind == "too_short":
        robot.offer(position_rad=anywhere[:-1])
    elif kind == "too_long":
        robot.offer(position_rad=np.append(anywhere, 0.0))
    elif kind == "empty":
        robot.offer(position_rad=np.zeros(0), joint_names=[])
    elif kind == "other_source":
        robot.offer(position_rad=anywhere, source=str(rng.choice(["demonstrator", "home", "", "nobody"])))
    elif kind == "takeover":
        robot.offer(position_rad=anywhere, source="teleop")
    elif kind == "release":
        robot.offer(release=True, source=str(rng.choice(["teleop", "policy"])))
    elif kind == "silence":
        robot.tick(int(rng.integers(1, 100)), late_s=float(rng.choice([0.0, 0.3, 3.0])))
    else:
        _operate(robot, kind, rng)


def _operate(robot: Robot, kind: str, rng: np.random.Generator) -> None:
    loop = robot.loop
    if kind == "select":
        loop.select(str(rng.choice(["policy", "policy", "teleop", "none"])))
    elif kind == "stop":
        loop.stop("test")
    elif kind == "fault":
        part = robot.parts[str(rng.choice(list(robot.parts)))]
        part.fault = list(MockFault)[int(rng.integers(len(MockFault)))]
    elif kind in ("home", "arm", "mended"):
        try:
            if kind == "home":
                loop.home(robot.now_s)
                return
            if kind == "mended":
                for part in robot.parts.values():
                    part.fault = MockFault.NONE
                robot.tick(300)
            loop.clear_fault(robot.now_s)
            loop.select("policy")
        except ControlError:
            pass


def violations(robot: Robot, pose_check: PoseCheck) -> list[str]:
    """Everything in what was written that breaks a limit; empty is what must be."""
    limits, found = robot.limits, []
    begin = 0
    for name, part in robot.parts.items():
        end = begin + len(part.joint_names)
        for number, segment in enumerate(part.segments):
            if len(segment) == 1:
                continue  # measured, but not armed
            found += [f"{name}, segment {number}: {text}" for text in _break_limits(np.array(segment), limits, slice(begin, end))]
        begin = end
    found += _bad_poses(robot, pose_check)
    return found


def _break_limits(written: Array, limits: Limits, joints: slice) -> list[str]:
    seed = written[0]
    if not np.isfinite(written).all():
        return ["a number is not finite"]
    rest = np.concatenate([np.repeat(written[:1], 3, axis=0), written[1:]])
    found = []
    low = np.minimum(limits.position_min_rad[joints], seed) - 1e-8
    high = np.maximum(limits.position_max_rad[joints], seed) + 1e-8
    if (rest < low).any() or (rest > high).any():
        found.append(f"position by {max((low - rest).max(), (rest - high).max()):.2e} rad")
    bounds = (limits.velocity_rad_s, limits.acceleration_rad_s2, limits.jerk_rad_s3)
    for order, (what, bound) in enumerate(zip(("velocity", "acceleration", "jerk"), bounds, strict=True), start=1):
        worst = np.abs(np.diff(rest, order, axis=0)) / PERIOD_S**order / bound[joints]
        if len(worst) and worst.max() > 1.0 + 1e-5:
            found.append(f"{what}: {worst.max():.6f} of the limit")
    return found


def _bad_poses(robot: Robot, pose_check: PoseCheck) -> list[str]:
    """Poses of the whole robot; only where all parts were written at the same ticks, which is whenever none had failed."""
    found = []
    for pieces in itertools.zip_longest(*(part.segments for part in robot.parts.values())):
        if any(piece is None or len(piece) != len(pieces[0]) or len(piece) == 1 for piece in pieces):
            continue
        poses = [np.concatenate(pose) for pose in zip(*pieces, strict=True)]
        seed = pose_check(poses[0])
        for pose in poses:
            for name, depth_m in pose_check(pose).items():
                if depth_m > (seed[name] + PATH_MARGIN_M if name in seed else 0.0):
                    found.append(f"{name} {depth_m:.2e} m deep")
    return found
