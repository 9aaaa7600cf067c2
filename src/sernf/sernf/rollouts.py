"""`sernf rollouts`: episodes in which the policy acts, recorded and labelled, with the success rate in the end.

In the graph that is already running if there is one, otherwise in one of its own. In simulation, scenes are reset and judged by
the simulation; on a real robot the person at the terminal does both.
"""

from __future__ import annotations

import getpass
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rich.console import Console

from sernf.episode_referees import OperatorReferee, Referee, TerminalLines, measures_of
from sernf.episode_runner import EpisodeOutcome, EpisodeRunner, EpisodeRunnerConfig
from sernf.episode_series import ATTEMPTS, LOG_NAME, PRIVATE_DOMAIN, missing_seeds, recorded_episodes, run_series
from sernf.graph import Graph, spinning_node
from sernf.service_calls import CallError, ServiceCalls
from sernf.terminal import WhichGraph
from sernf_msgs.msg import PolicyVersion
from sernf_msgs.srv import LoadWeights, ResetScene, SetPolicyMode, SetSource
from sernf_policy.checkpoint_files import both_files
from sernf_policy.shipped_weights import ShippedWeightsError, weights_path
from sernf_robot.success_rate import describe_rate, wilson_interval
from sernf_sim.tasks.cube_rotation import measured
from sernf_teleop.episode_files import EpisodeError, write_durably
from sernf_teleop.episodes import EpisodeInfo, messages, typestore_of

DISCOVERY_S = 6.0
"""how long nodes may take to see each other"""
LOAD_TIMEOUT_S = 60.0
OPERATOR_TIMEOUT_S = 3600.0
BUSY = "on its way"
"""in the policy's answer when other weights come first"""
NOTE_FILE = "rollouts.json"
"""in a folder of rollouts: whose they are, so that those of different weights are not counted together"""
LOAD_SERVICE = "policy/load_weights"


@dataclass(frozen=True, kw_only=True)
class RolloutRequest:
    """`out`: folder of an own graph's episodes. `physics`, `out`: only of an own graph; a running one has its own.

    `weights`: file or shipped name, empty for what the policy runs anyway. `explore`: act to learn from it, not as well as
    possible. `cameras`: None as the task needs them. `time_limit_s`: None for the usual one.
    """

    task: str
    episodes: int
    seed: int
    graph: WhichGraph = WhichGraph.auto
    out: Path | None = None
    physics: str | None = None
    weights: str = ""
    explore: bool = False
    cameras: bool | None = None
    time_limit_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class RolloutResult:
    """`outcomes`: labelled episodes, also those of earlier calls that this one went on from. `version`: that ran in the end."""

    request: RolloutRequest
    outcomes: Sequence[EpisodeOutcome]
    version: PolicyVersion
    directory: str
    successes: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "successes", sum(outcome.label == "success" for outcome in self.outcomes))

    @property
    def mean_time_s(self) -> float | None:
        """Of the successes."""
        times = [outcome.seconds for outcome in self.outcomes if outcome.label == "success"]
        return sum(times) / len(times) if times else None

    @property
    def failures(self) -> Counter[str]:
        """How many, by cause."""
        return Counter(outcome.cause or "unknown" for outcome in self.outcomes if outcome.label == "failure")

    @property
    def extra(self) -> dict[str, float]:
        """What the judge measured in all of them, as `sernf eval` reports it; empty for tasks in which he measures nothing."""
        return measured(self.request.task, [outcome.measures for outcome in self.outcomes], self._lost)

    @property
    def _lost(self) -> list[bool]:
        return [outcome.label == "failure" and "timeout" not in outcome.cause for outcome in self.outcomes]

    def __str__(self) -> str:
        parts = [f"succeeded: {describe_rate(self.successes, len(self.outcomes))}"]
        if self.mean_time_s is not None:
            parts.append(f"successes took {self.mean_time_s:.1f} s")
        if self.failures:
            parts.append("failures: " + ", ".join(f"{count} {cause}" for cause, count in self.failures.most_common()))
        if self.extra:
            parts.append(", ".join(f"{name} {value:.3g}" for name, value in self.extra.items()))
        if self.version.version:
            parts.append(f"weights: {self.version.version}")
        return "; ".join(parts)

    def as_json(self) -> str:
        """One line, with the keys of `sernf eval`."""
        trials = len(self.outcomes)
        low, high = wilson_interval(self.successes, trials) if trials else (0.0, 1.0)
        return json.dumps({
            "task": self.request.task, "weights": self.version.file or self.version.version, "sha256": self.version.sha256,
            "stage": self.version.stage, "episodes": trials, "successes": self.successes,
            "rate": self.successes / trials if trials else 0.0, "wilson_low": low, "wilson_high": high,
            "mean_time_s": self.mean_time_s, "failures": dict(self.failures), "seed": self.request.seed,
            "twin": self.request.physics == "twin", "directory": self.directory, "extra": self.extra,
        })  # fmt: skip


def run_rollouts(request: RolloutRequest, console: Console) -> RolloutResult:
    """Run the episodes that are missing. Raises GraphError or CallError when something does not work."""
    if request.graph is not WhichGraph.own:
        with spinning_node("rollouts") as node:
            if _is_up(ServiceCalls(node)):
                return _in_running_graph(node, request, console)
        if request.graph is WhichGraph.running:
            raise CallError(
                f"expected a running graph with a policy in ROS domain {os.environ.get('ROS_DOMAIN_ID', '0')}, found none within "
                f"{DISCOVERY_S:g} s; start one (./sernf up rollouts:=false), or use --graph own"
            )
    return _in_own_graph(request, console)


def _in_running_graph(node: Node, request: RolloutRequest, console: Console) -> RolloutResult:
    """Exactly `episodes` more, recorded where the graph's recorder records."""
    given = [name for name in ("out", "physics") if getattr(request, name) is not None]
    if given:
        raise CallError(
            f"{', '.join(f'--{name}' for name in given)}: a graph is running in this ROS domain, and it has its own; "
            "leave that out, or use --graph own"
        )
    if "episode_runner" in node.get_node_names():
        raise CallError("the running graph already runs episodes in a loop; start it with rollouts:=false demonstrate:=false")
    calls = ServiceCalls(node)
    file = _file_of(request)
    simulated = calls.wait_until(_probe(calls, ResetScene, "sim/reset"), DISCOVERY_S)
    console.print(f"in the running graph, on {'the simulated' if simulated else 'a real'} robot", highlight=False)
    seeds = list(range(request.seed, request.seed + request.episodes)) if simulated else [0] * request.episodes
    make_referee = None if simulated else _operator(console)
    _load(calls, file)
    runner = EpisodeRunner(node, _config(request), make_referee=make_referee)
    outcomes = run_series(runner, seeds, console, total=request.episodes, attempts=ATTEMPTS if simulated else None)
    directory = str(Path(outcomes[-1].path).parent) if outcomes else ""
    return RolloutResult(request=request, outcomes=outcomes, version=runner.weights, directory=directory)


def _in_own_graph(request: RolloutRequest, console: Console) -> RolloutResult:
    """Until the folder holds `episodes`, so that an interrupted call can be made again."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(PRIVATE_DOMAIN))
    file = _file_of(request)
    directory = (request.out or Path("runs/rollouts")).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    config = _config(request)
    recorded = recorded_episodes(directory, source=config.source)
    seeds = missing_seeds(recorded, request.episodes, request.seed)
    scenes = range(request.seed, request.seed + request.episodes)
    earlier = [outcome_of(item) for item in recorded if item.seed in scenes]
    physics = request.physics or "nominal"
    if earlier:
        console.print(f"{directory} already holds {len(earlier)} of {request.episodes} episodes; going on", highlight=False)
    cameras = "auto" if request.cameras is None else request.cameras
    arguments = {
        "robot": "sim", "task": request.task, "physics": physics, "seed": request.seed, "operator": "none", "demonstrate": False,
        "rollouts": False, "policy": True, "learner": False, "teleop": False, "recorder": True, "cameras": cameras,
        "headless": True, "episodes": directory, "weights": file,
    }  # fmt: skip
    with Graph(arguments, directory / LOG_NAME) as graph, spinning_node("rollouts") as node:
        runner = EpisodeRunner(node, config, check=graph.check)
        runner.calls.wait_for_service(LoadWeights, LOAD_SERVICE, config.startup_timeout_s)
        _load(runner.calls, file)
        runner.wait_for_graph()
        _check_same(directory, {"sha256": runner.weights.sha256, "version": runner.weights.version, "physics": physics}, earlier)
        outcomes = run_series(runner, seeds, console, total=request.episodes)
    return RolloutResult(request=request, outcomes=[*earlier, *outcomes], version=runner.weights, directory=str(directory))


def _config(request: RolloutRequest) -> EpisodeRunnerConfig:
    return EpisodeRunnerConfig(
        task=request.task, source="policy", explore=request.explore, record=True, seed=request.seed, episodes=request.episodes,
        longest_rollout_s=request.time_limit_s or 0.0,
    )  # fmt: skip


def _is_up(calls: ServiceCalls) -> bool:
    return calls.wait_until(_probe(calls, SetSource, "hw_bridge/set_source"), DISCOVERY_S) and calls.wait_until(
        _probe(calls, SetPolicyMode, "policy/set_mode"), DISCOVERY_S
    )


def _probe(calls: ServiceCalls, service_type: type[Any], name: str) -> Callable[[], bool]:
    return lambda: calls.is_ready(service_type, name)


def _operator(console: Console) -> Callable[[ServiceCalls], Referee]:
    if not sys.stdin.isatty():
        raise CallError("expected a terminal: on a real robot a person sets the scene and says how the episode ended")
    lines = TerminalLines()
    return lambda calls: OperatorReferee(calls, lines, console.print, getpass.getuser(), OPERATOR_TIMEOUT_S)


def _file_of(request: RolloutRequest) -> str:
    """The weights file that is asked for; empty if none is. Raises CallError."""
    if not request.weights:
        return ""
    try:
        return str(weights_path(request.weights, request.task))
    except ShippedWeightsError as error:
        raise CallError(f"--weights: {error}") from error


def _load(calls: ServiceCalls, file: str) -> None:
    """Have the policy run `file`; others that it is loading come first. Raises CallError with its reason when it refuses."""
    if not file:
        return
    wanted = LoadWeights.Request(file=file, sha256=_sha256_of(file))
    deadline = time.monotonic() + LOAD_TIMEOUT_S
    while True:
        try:
            calls.call(LoadWeights, LOAD_SERVICE, wanted, timeout_s=LOAD_TIMEOUT_S)
        except CallError as error:
            if BUSY not in str(error) or time.monotonic() > deadline:
                raise
            calls.wait_until(lambda: False, 0.5)
        else:
            return


def _sha256_of(file: str) -> str:
    """As the JSON beside the weights says, so that what runs already is not loaded again; empty when it cannot be read."""
    try:
        return str(json.loads(both_files(Path(file))[1].read_text(encoding="utf8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _check_same(directory: Path, now: dict[str, str], earlier: Sequence[EpisodeOutcome]) -> None:
    """Raises CallError when the folder holds rollouts of other weights or another world; otherwise it is noted what it holds."""
    file = directory / NOTE_FILE
    try:
        before = json.loads(file.read_text(encoding="utf8")) if earlier else now
    except (OSError, ValueError):
        before = {}
    if before != now:
        told = {key: before.get(key, "unknown") for key in ("version", "physics")}
        raise CallError(
            f"{directory} holds rollouts of weights {told['version']} in physics {told['physics']}, these would be of "
            f"{now['version']} in {now['physics']}; choose another folder with --out"
        )
    write_durably(file, json.dumps(now))


def outcome_of(episode: EpisodeInfo) -> EpisodeOutcome:
    """A recorded episode as its outcome."""
    seconds, measures = _judged(episode)
    return EpisodeOutcome(
        seed=episode.seed, label=episode.label, cause=episode.note if episode.label == "failure" else "",
        seconds=seconds, measures=measures, episode_id=episode.episode_id, path=str(episode.path), messages=episode.messages,
    )  # fmt: skip


def _judged(episode: EpisodeInfo) -> tuple[float, dict[str, float]]:
    """When the judge decided, on the task's clock, and what he measured; the recording's length where there is no judge."""
    topic = episode.topic("task_state")
    seconds, measures = episode.seconds, dict[str, float]()
    if topic is None or not topic.messages:
        return seconds, measures
    try:
        types = typestore_of(episode)
        for message in messages(episode, [topic.name]):
            state: Any = types.deserialize_cdr(message.data, message.msgtype)
            seconds, measures = float(state.elapsed_s), measures_of(state)
            if state.done:
                break
    except EpisodeError:
        return episode.seconds, {}
    return seconds, measures
