"""Who sets the scene and says how an episode ended: the simulation's judge, or on a real robot a person at the terminal."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from rclpy.node import Node
from rclpy.qos import QoSProfile

from sernf.service_calls import CallError, ServiceCalls
from sernf_msgs.msg import TaskState
from sernf_msgs.srv import ResetScene

MOST_BYTES = 4096
KEYS = {"s": "success", "f": "failure", "d": "discard"}


@dataclass(frozen=True)
class Judgement:
    """`label`: "success", "failure" or "discard". `cause`: of a failure. `seconds`: on the task's clock, until it was decided.

    `measures`: what tells more than success, by name, if the judge takes any.
    """

    label: str
    cause: str
    seconds: float
    measures: Mapping[str, float] = field(default_factory=dict)


def measures_of(task: Any) -> dict[str, float]:
    """Of a TaskState, received or recorded; those of older recordings have none."""
    return dict(zip(getattr(task, "measure_names", ()), map(float, getattr(task, "measures", ())), strict=True))


class Referee(Protocol):
    """One episode after the other: `new_scene`, then `begin`, then `has_decided` again and again, then `judge`."""

    labelled_by: str
    services: tuple[tuple[type[Any], str], ...]
    """that it needs"""

    def new_scene(self, seed: int) -> None:
        """Set the scene; raises CallError when that cannot be done."""

    def begin(self) -> None:
        """The robot begins to act."""

    def has_decided(self) -> bool:
        """Whether the episode is over for the referee; never waits."""

    def elapsed_s(self) -> float:
        """Time of this episode on the task's clock."""

    def judge(self, stopped_by: str) -> Judgement:
        """How the episode ended; called when nobody acts any more. `stopped_by`: what ended it if not the referee, else empty."""


class SimulationReferee:
    """A new scene from the simulation, judged by it."""

    labelled_by = "judge"
    services: tuple[tuple[type[Any], str], ...] = ((ResetScene, "sim/reset"),)

    def __init__(self, node: Node, calls: ServiceCalls, timeout_s: float) -> None:
        self._calls = calls
        self._timeout_s = timeout_s
        self._seed = -1
        self._task: TaskState | None = None
        self._decision: TaskState | None = None
        node.create_subscription(TaskState, "task_state", self._on_task_state, QoSProfile(depth=50))

    def new_scene(self, seed: int) -> None:
        self._decision = None
        self._calls.call(ResetScene, "sim/reset", ResetScene.Request(seed=seed), timeout_s=self._timeout_s)
        self._seed = seed
        if not self._calls.wait_until(lambda: self._present() is not None, self._timeout_s):
            raise CallError(f"task_state does not speak of scene {seed} after sim/reset; is the bridge's backend the simulation?")

    def begin(self) -> None:
        pass

    def has_decided(self) -> bool:
        task = self._present()
        if self._decision is None and task is not None and task.done:
            self._decision = task
        return self._decision is not None

    def elapsed_s(self) -> float:
        task = self._decision or self._present()
        return 0.0 if task is None else float(task.elapsed_s)

    def judge(self, stopped_by: str) -> Judgement:
        decision = self._decision
        if decision is not None:
            label = "success" if decision.success else "failure"
            return Judgement(label, decision.failure, self.elapsed_s(), measures_of(decision))
        task = self._present()
        cause = stopped_by or "stopped"
        if task is not None and task.stage:
            cause += f" at stage {task.stage}"
        return Judgement("failure", cause, self.elapsed_s(), {} if task is None else measures_of(task))

    def _present(self) -> TaskState | None:
        """The state of this episode's scene."""
        return self._task if self._task is not None and self._task.seed == self._seed else None

    def _on_task_state(self, message: TaskState) -> None:
        self._task = message


class OperatorReferee:
    """A person sets the scene, ends the episode and judges it."""

    services: tuple[tuple[type[Any], str], ...] = ()

    def __init__(
        self, calls: ServiceCalls, read_line: Callable[[], str | None], say: Callable[[str], None], name: str, timeout_s: float
    ) -> None:
        """`read_line`: the next line that was typed, None for none. `timeout_s`: how long a person may take to answer."""
        self.labelled_by = f"operator:{name}"
        self._calls = calls
        self._read_line = read_line
        self._say = say
        self._timeout_s = timeout_s
        self._line: str | None = None
        self._began_s = 0.0
        self._seconds = 0.0

    def new_scene(self, seed: int) -> None:
        self._ask("set up the scene and stand clear, then press Enter: the robot will move")

    def begin(self) -> None:
        self._line = None
        self._began_s = time.monotonic()
        self._say("the robot acts; end the episode with s (success), f (failure), d (discard), then Enter")

    def has_decided(self) -> bool:
        if self._line is None:
            self._line = self._read_line()
            self._seconds = self.elapsed_s()
        return self._line is not None

    def elapsed_s(self) -> float:
        return time.monotonic() - self._began_s

    def judge(self, stopped_by: str) -> Judgement:
        answer = KEYS.get((self._line or "").strip().lower())
        while answer is None:
            why = f" (ended by {stopped_by})" if stopped_by else ""
            answer = KEYS.get(self._ask(f"how did it end{why}? s (success), f (failure), d (discard), then Enter"))
        cause = (stopped_by or "judged by the operator") if answer == "failure" else ""
        return Judgement(answer, cause, self._seconds)

    def _ask(self, question: str) -> str:
        """The answer to a question; raises CallError when nobody answers."""
        answers: list[str] = []

        def answered() -> bool:
            line = self._read_line()
            answers.extend([] if line is None else [line])
            return bool(answers)

        self._say(question)
        if not self._calls.wait_until(answered, self._timeout_s):
            raise CallError(f"nobody answered within {self._timeout_s:g} s; the robot holds")
        return answers[0].strip().lower()


class TerminalLines:
    """Lines typed at standard input, without waiting."""

    def __init__(self) -> None:
        self._typed = b""

    def __call__(self) -> str | None:
        """The next line, None when none has been finished; raises CallError when the terminal is gone."""
        if b"\n" not in self._typed and select.select([sys.stdin], [], [], 0.0)[0]:
            data = os.read(sys.stdin.fileno(), MOST_BYTES)
            if not data:
                raise CallError("the terminal was closed; the robot holds, call the command again in a terminal")
            self._typed += data
        line, newline, rest = self._typed.partition(b"\n")
        if not newline:
            return None
        self._typed = rest
        return line.decode(errors="replace")
