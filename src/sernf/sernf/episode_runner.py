"""Runs episodes over ROS: new scene, arm, choose who acts, record, let them act, label.

Two things differ from one episode to another: who acts (`Actor`: the demonstrator or the policy), and who sets the scene and
judges (`Referee`: the simulation or a person). `EpisodeRunner` is used from a worker thread while another thread spins its node.
A bridge fault, a silent judge or an actor that does not finish ends the episode as a failure with its cause; a missing node
raises `CallError`. However an episode ends, control is taken away from the actor and the recording is closed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger

from sernf.episode_referees import Judgement, Referee, SimulationReferee
from sernf.service_calls import CallError, Interrupted, ServiceCalls
from sernf_msgs.msg import BridgeState, JointCommand, PolicyVersion
from sernf_msgs.srv import EndEpisode, SetPolicyMode, SetSource, StartEpisode
from sernf_sim.tasks import make_task

LATCHED_MODES = (BridgeState.MODE_UNARMED, BridgeState.MODE_FAULT, BridgeState.MODE_STOPPED)
NEWEST = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
MOVING_RAD_S = 0.02
SLOWEST = 2.0
"""A simulation that runs slower than real time by this factor, or not at all, ends an episode by the wall clock."""


@dataclass(frozen=True)
class Call:
    """A service call."""

    service_type: type[Any]
    name: str
    request: Any = None


@dataclass(frozen=True)
class Actor:
    """Who moves the robot in an episode: `source` of its commands, and how it is told to begin and to end."""

    source: str
    begin: Call
    end: Call


ACTORS = {
    "demonstrator": Actor(JointCommand.SOURCE_DEMONSTRATOR, Call(Trigger, "teleop/demonstrate"), Call(Trigger, "teleop/cancel")),
    "policy": Actor(
        JointCommand.SOURCE_POLICY,
        Call(SetPolicyMode, "policy/set_mode", SetPolicyMode.Request(mode="policy")),
        Call(SetPolicyMode, "policy/set_mode", SetPolicyMode.Request(mode="hold")),
    ),
}
EXPLORE = Call(SetPolicyMode, "policy/set_mode", SetPolicyMode.Request(mode="explore"))
"""How a policy is told to begin that is to learn from what it does."""


@dataclass(frozen=True, kw_only=True)
class EpisodeRunnerConfig:
    """`source`: who acts; with `explore` a policy does so to learn from it. `record`: as bags, under `operator_name`, which is
    the source unless given.

    `seed`: of the first scene; the next episodes count up. `episodes`: 0 runs until told to stop. `longest_demonstration_s`,
    `longest_rollout_s` (0: as the task says): on the task's clock; what takes longer is a failure by timeout. `settle_s`: how
    long after the end of the commands the judge may take.
    """

    task: str = "duck"
    source: Literal["demonstrator", "policy"] = "demonstrator"
    explore: bool = False
    record: bool = False
    operator_name: str = ""
    seed: int = 1
    episodes: int = 0
    pause_s: float = 1.0
    longest_demonstration_s: float = 40.0
    longest_rollout_s: float = 0.0
    settle_s: float = 2.0
    service_timeout_s: float = 15.0
    startup_timeout_s: float = 60.0

    def __post_init__(self) -> None:
        if self.seed < 0 or self.episodes < 0:
            raise ValueError(f"seed and episodes: expected 0 or more, got {self.seed} and {self.episodes}")
        for name in ("longest_demonstration_s", "settle_s", "service_timeout_s", "startup_timeout_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: expected a positive number of seconds, got {getattr(self, name)}")
        for name in ("pause_s", "longest_rollout_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected 0 or more, got {getattr(self, name)}")

    @property
    def longest_episode_s(self) -> float:
        """For the configured source."""
        if self.source == "policy":
            return self.longest_rollout_s or make_task(self.task).time_limit_s
        return self.longest_demonstration_s


@dataclass(frozen=True, kw_only=True)
class EpisodeOutcome:
    """How one episode ended.

    `label`: "success", "failure" or "discard" (did not take place, or a person wants it forgotten). `cause`: of a failure.
    `seconds`: on the task's clock, until it was decided. `measures`: see Judgement. The rest is empty or 0 when the episode was
    not recorded.
    """

    seed: int
    label: str
    cause: str
    seconds: float
    measures: Mapping[str, float] = field(default_factory=dict)
    episode_id: str = ""
    path: str = ""
    messages: int = 0
    dropped: int = 0


class EpisodeRunner:
    """Episodes one after the other."""

    def __init__(
        self,
        node: Node,
        config: EpisodeRunnerConfig,
        check: Callable[[], None] = lambda: None,
        make_referee: Callable[[ServiceCalls], Referee] | None = None,
    ) -> None:
        """`check` is called while waiting and raises when going on makes no sense, for instance because the graph has died.

        `make_referee`: the simulation's judge unless given.
        """
        self.calls = ServiceCalls(node, check)
        self._config = config
        actor = ACTORS[config.source]
        self._actor = replace(actor, begin=EXPLORE) if config.explore and config.source == "policy" else actor
        self._referee: Referee
        if make_referee is None:
            self._referee = SimulationReferee(node, self.calls, config.service_timeout_s)
        else:
            self._referee = make_referee(self.calls)
        self._bridge: BridgeState | None = None
        self._released = False
        self.first_motion_s: float | None = None
        """`time.time()` when the robot was first seen moving"""
        self.weights = PolicyVersion()
        """that the policy runs; empty until it runs some, and where no policy acts"""
        reliable = QoSProfile(depth=50)
        node.create_subscription(BridgeState, "bridge_state", self._on_bridge_state, reliable)
        node.create_subscription(JointCommand, "joint_command", self._on_joint_command, reliable)
        if config.source == "policy":
            node.create_subscription(PolicyVersion, "policy_version", self._on_weights, NEWEST)

    def wait_for_graph(self) -> None:
        """Wait for the nodes that an episode needs; raises CallError that names what is missing."""
        timeout_s = self._config.startup_timeout_s
        needed: list[tuple[type, str]] = [
            (Trigger, "hw_bridge/clear_fault"),
            (SetSource, "hw_bridge/set_source"),
            *self._referee.services,
            (self._actor.begin.service_type, self._actor.begin.name),
        ]
        if self._config.record:
            needed.append((StartEpisode, "recorder/start_episode"))
        for service_type, name in needed:
            self.calls.wait_for_service(service_type, name, timeout_s)
        if not self.calls.wait_until(lambda: self._bridge is not None, timeout_s):
            raise CallError(f"no message on bridge_state within {timeout_s:g} s; look at the log of hw_bridge")
        if self._config.source == "policy" and not self.calls.wait_until(lambda: bool(self.weights.sha256), timeout_s):
            raise CallError(
                f"the policy runs no weights within {timeout_s:g} s; its log says why, and policy/load_weights loads others"
            )

    def run(self, seed: int) -> EpisodeOutcome:
        """One episode of the scene `seed`. Raises CallError when it could not begin."""
        self._prepare(seed)
        self._start_recording(seed)
        try:
            judgement = self._act()
        except BaseException:
            self._give_back()
            with contextlib.suppress(CallError, Interrupted):
                self._end_recording(Judgement("discard", "interrupted", 0.0))
            raise
        recorded = self._end_recording(judgement)
        outcome = EpisodeOutcome(
            seed=seed, label=judgement.label, cause=judgement.cause, seconds=judgement.seconds, measures=judgement.measures
        )
        if recorded is None:
            return outcome
        return replace(
            outcome, episode_id=recorded.episode_id, path=recorded.path, messages=recorded.messages, dropped=recorded.dropped
        )

    def _prepare(self, seed: int) -> None:
        with contextlib.suppress(CallError):
            self._call(self._actor.end)
        self._set_source("none")
        self._referee.new_scene(seed)
        if self._bridge is None or self._bridge.mode in LATCHED_MODES:
            self._call(Call(Trigger, "hw_bridge/clear_fault"))
        self._released = False
        self._set_source(self._actor.source)

    def _act(self) -> Judgement:
        """From the first command to the judgement; nobody commands any more when this returns."""
        self._referee.begin()
        try:
            self._call(self._actor.begin)
        except CallError as error:
            self._give_back()
            return Judgement("discard", str(error), 0.0)
        stopped_by = self._wait_for_the_end()
        self._give_back()
        return self._referee.judge(stopped_by)

    def _wait_for_the_end(self) -> str:
        """What ended the episode; empty for the referee, and for an actor that has finished."""
        longest_s = self._config.longest_episode_s

        def over() -> bool:
            late = self._referee.elapsed_s() >= longest_s
            return self._referee.has_decided() or self._released or self._faulted() or late

        self.calls.wait_until(over, SLOWEST * longest_s)
        if self._released:
            self.calls.wait_until(lambda: self._referee.has_decided() or self._faulted(), self._config.settle_s)
        if self._referee.has_decided():
            return ""
        if self._faulted() and self._bridge is not None:
            return f"bridge: {self._bridge.fault}"
        return "" if self._released else "timeout"

    def _start_recording(self, seed: int) -> None:
        if not self._config.record:
            return
        request = StartEpisode.Request(
            task=self._config.task, operator_name=self._config.operator_name or self._config.source, source=self._actor.source,
            seed=seed,
        )  # fmt: skip
        self._call(Call(StartEpisode, "recorder/start_episode", request))

    def _end_recording(self, judgement: Judgement) -> EndEpisode.Response | None:
        if not self._config.record:
            return None
        request = EndEpisode.Request(label=judgement.label, labelled_by=self._referee.labelled_by, note=judgement.cause)
        return self._call(Call(EndEpisode, "recorder/end_episode", request))

    def _set_source(self, source: str) -> None:
        self._call(Call(SetSource, "hw_bridge/set_source", SetSource.Request(source=source)))

    def _call(self, call: Call) -> Any:
        return self.calls.call(call.service_type, call.name, call.request, timeout_s=self._config.service_timeout_s)

    def _faulted(self) -> bool:
        return self._bridge is not None and self._bridge.mode in LATCHED_MODES

    def _give_back(self) -> None:
        """Nobody commands any more, whatever happened; failures here are not news."""
        for call in (self._actor.end, Call(SetSource, "hw_bridge/set_source", SetSource.Request(source="none"))):
            with contextlib.suppress(CallError, Interrupted):
                self._call(call)

    def _on_bridge_state(self, message: BridgeState) -> None:
        self._bridge = message
        if self.first_motion_s is None and any(abs(speed) > MOVING_RAD_S for speed in message.executed_velocity_rad_s):
            self.first_motion_s = time.time()

    def _on_weights(self, message: PolicyVersion) -> None:
        self.weights = message

    def _on_joint_command(self, message: JointCommand) -> None:
        if message.release and message.source == self._actor.source:
            self._released = True
