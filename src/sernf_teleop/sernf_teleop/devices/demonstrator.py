"""The simulation's scripted demonstrator as operator: one attempt per request, from published joints and object poses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sernf_teleop.operator_device import DeviceError, Input, OperatorIntent, QuietDevice, RobotView

if TYPE_CHECKING:
    from sernf_robot.kinematics import Kinematics
    from sernf_sim.demonstrators import Demonstrator

ObjectPose = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Position (3,) m, quaternion (4,) wxyz."""
CreateDemonstrator = Callable[[np.random.Generator], "Demonstrator"]


@dataclass(frozen=True, kw_only=True)
class DemonstratorConfig:
    """`seed`: the same seed in the same scene gives the same attempt. `strays`: with a hand that is not steady, for policies that
    see; bringup sets it where there are cameras.
    """

    seed: int = 0
    strays: bool = False
    start_timeout_s: float = 2.0
    """how long a request may wait for fresh data and a bridge that listens"""
    stale_after_s: float = 0.5
    longest_s: float = 60.0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed: expected 0 or more, got {self.seed}")
        for name in ("start_timeout_s", "stale_after_s", "longest_s"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name}: expected a positive number, got {getattr(self, name)}")


class Progress(Enum):
    """Where a demonstration stands."""

    IDLE = "idle"
    WAITING = "waiting"
    RUNNING = "running"


class ScriptedOperator(QuietDevice):
    """Takes over for the length of one attempt, then releases."""

    def __init__(self, config: DemonstratorConfig, objects: Sequence[str], create: CreateDemonstrator) -> None:
        """`objects`: whose poses the demonstrator sees."""
        self._config = config
        self._create = create
        self._names = tuple(objects)
        self._objects: dict[str, ObjectPose] = {}
        self._arrived_s: dict[str, float] = {}
        self._scene_seed = 0
        self._scene_s: float | None = None
        self._demonstrator: Demonstrator | None = None
        self._since_s: float | None = None
        self._engagement = 0
        self._cancelled = False
        self.progress = Progress.IDLE
        self.outcome = ""
        """how the last demonstration ended"""
        self.count = 0
        """demonstrations that ended by themselves"""

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Object poses, and the simulation's word on the scene."""
        poses = [
            Input(topic=f"objects/{name}/pose", type="geometry_msgs/msg/PoseStamped", callback=self._receiver(name))
            for name in self._names
        ]
        return (*poses, Input(topic="task_state", type="sernf_msgs/msg/TaskState", callback=self.receive_task_state))

    @property
    def phase(self) -> str:
        """What the demonstrator is doing, for people."""
        return self._demonstrator.phase if self._demonstrator is not None else self.progress.value

    def request(self) -> str:
        """Ask for one demonstration; returns why not, or ''."""
        if self.progress is not Progress.IDLE:
            return "a demonstration is running already: call teleop/cancel first"
        self.progress, self._since_s, self._cancelled, self.outcome = Progress.WAITING, None, False, ""
        return ""

    def cancel(self) -> bool:
        """End the demonstration at the next poll; False when none is running."""
        self._cancelled = self.progress is not Progress.IDLE
        return self._cancelled

    def receive_object(self, name: str, message: Any, now_s: float) -> None:
        """Take a geometry_msgs/PoseStamped of an object."""
        position, turn = message.pose.position, message.pose.orientation
        self._objects[name] = (np.array([position.x, position.y, position.z]), np.array([turn.w, turn.x, turn.y, turn.z]))
        self._arrived_s[name] = now_s

    def receive_task_state(self, message: Any, now_s: float) -> None:
        """Take a sernf_msgs/TaskState."""
        self._scene_seed, self._scene_s = int(message.seed), now_s

    def close(self) -> None:
        """Forget the demonstration."""
        self._end("teleop was stopped" if self.progress is not Progress.IDLE else self.outcome)

    def poll(self, now_s: float, robot: RobotView) -> OperatorIntent:
        """The demonstrator's next target."""
        if self._since_s is None:
            self._since_s = now_s
        if self._cancelled:
            self._end("cancelled")
        if self.progress is Progress.WAITING:
            return self._wait(now_s, robot, self._since_s)
        if self.progress is Progress.RUNNING and self._demonstrator is not None:
            return self._act(now_s, robot, self._demonstrator)
        return OperatorIntent()

    def _wait(self, now_s: float, robot: RobotView, since_s: float) -> OperatorIntent:
        trouble = robot.obstacle or self._missing(robot, since_s)
        if trouble and now_s - since_s > self._config.start_timeout_s:
            self._end(f"could not begin: {trouble}")
        if trouble or robot.engagement == 0:
            return OperatorIntent(takeover=not trouble)
        self._demonstrator = self._create(np.random.default_rng((self._config.seed, self._scene_seed)))
        self._demonstrator.reset(self._observation(robot))
        self.progress, self._since_s, self._engagement = Progress.RUNNING, now_s, robot.engagement
        return self._act(now_s, robot, self._demonstrator)

    def _act(self, now_s: float, robot: RobotView, demonstrator: Demonstrator) -> OperatorIntent:
        missing = self._missing(robot, now_s - self._config.stale_after_s)
        if robot.engagement != self._engagement:
            self._end(f"interrupted: {robot.obstacle or 'the robot was taken away'}")
        elif missing:
            self._end(f"interrupted: {missing}")
        elif self._since_s is not None and now_s - self._since_s > self._config.longest_s:
            self._end(f"took longer than {self._config.longest_s:g} s")
        else:
            target = demonstrator.act(self._observation(robot))
            if not demonstrator.done:
                return OperatorIntent(takeover=True, joint_target_rad=target)
            self.count += 1
            self._end("done")
        return OperatorIntent()

    def _missing(self, robot: RobotView, since_s: float) -> str:
        """What has not arrived after `since_s`: from then on the data speak of the scene that is meant."""
        missing = [f"objects/{name}/pose" for name in self._names if self._arrived_s.get(name, -np.inf) < since_s]
        if self._scene_s is not None and self._scene_s < since_s:
            missing.append("task_state")
        if not np.isfinite(robot.joint_position_rad).all():
            missing.append("joint_states")
        return f"no fresh {', '.join(missing)}" if missing else ""

    def _observation(self, robot: RobotView) -> Any:
        from sernf_sim.demonstrators import Observation

        return Observation(robot.joint_position_rad, dict(self._objects))

    def _end(self, outcome: str) -> None:
        self.progress, self.outcome = Progress.IDLE, outcome
        self._demonstrator, self._cancelled = None, False

    def _receiver(self, name: str) -> Callable[[Any, float], None]:
        return lambda message, now_s: self.receive_object(name, message, now_s)


def create_scripted_operator(config: DemonstratorConfig, task: str, kinematics: Kinematics, period_s: float) -> ScriptedOperator:
    """The demonstrator of `task`, polled every `period_s`.

    Raises DeviceError when the simulation is not installed, knows no such demonstrator, or acts at another rate.
    """
    try:
        from sernf_sim.demonstrators import make_demonstrator
        from sernf_sim.demonstrators.demonstrator import ACT_PERIOD_S
        from sernf_sim.tasks import make_task
    except ImportError as error:
        raise DeviceError(f"device demonstrator needs the package sernf_sim ({error})") from error
    if abs(period_s - ACT_PERIOD_S) > 1e-6:
        raise DeviceError(f"rate_hz: the demonstrator acts at {1.0 / ACT_PERIOD_S:g} Hz, got {1.0 / period_s:g}; set it to that")
    try:
        objects = make_task(task).objects
        make_demonstrator(task, kinematics, np.random.default_rng(0))
    except ValueError as error:
        raise DeviceError(str(error)) from error
    return ScriptedOperator(config, objects, lambda rng: make_demonstrator(task, kinematics, rng, strays=config.strays))
