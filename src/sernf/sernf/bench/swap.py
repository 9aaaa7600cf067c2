"""Live changes of the policy's weights at 50 Hz while a training job runs, in turn with as long a time without any.

Good weights must run from the next chunk on, bad ones of every kind must be refused, and the control ticks must not notice: each
block of swaps is followed by a block of the same length in which nothing is loaded, under the same load.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rich.console import Console
from rich.progress import Progress

from sernf.bench.random_policies import BadWeights, policy_layout, save_bad_weights, save_random_policy
from sernf.bench.report import Metric, Report
from sernf.bench.running_policy import (
    RunningPolicy,
    Window,
    inside,
    launch_arguments,
    missed_ticks,
    read_ticks,
    tick_errors_ms,
)
from sernf.bench.training_load import training_job
from sernf.episode_series import PRIVATE_DOMAIN
from sernf.graph import Graph, spinning_node
from sernf_msgs.msg import JointCommand
from sernf_policy.checkpoint_files import both_files

RATE_HZ = 50.0
PERIOD_S = 1.0 / RATE_HZ
SWAPS = 200
BLOCKS = 5
GOOD_FILES = 4
SWAPS_PER_BAD_ONE = 5
WARM_UP_S = 3.0
LAST_COMMANDS_S = 1.0
NS_PER_S = 1e9


@dataclass(frozen=True, kw_only=True)
class Swap:
    """One change of weights: asked for, taken over by the policy, and first command of the new ones; wall clock, s."""

    asked_s: float
    adopted_s: float
    runs_s: float
    chunks_between: int
    """of the old weights, from the take-over to the first command of the new ones; 1: the one that was playing"""


class Commands:
    """Hears every command of the policy."""

    def __init__(self, node: Node) -> None:
        self.rows: list[tuple[float, str, int, int]] = []
        """stamp (s), weights, chunk, step"""
        node.create_subscription(JointCommand, "joint_command", self._on_command, QoSProfile(depth=100))

    def _on_command(self, message: JointCommand) -> None:
        self.rows.append((seconds_of(message.header.stamp), message.weights_sha256, message.chunk_id, message.step_in_chunk))

    @property
    def sha256(self) -> str:
        """Whose the last command is."""
        return self.rows[-1][1] if self.rows else ""


def seconds_of(stamp: Time) -> float:
    """Of a message, s."""
    return float(stamp.sec + stamp.nanosec / NS_PER_S)


def measure(seconds: float, console: Console) -> Report:
    """At least SWAPS swaps, and at least half of `seconds` with them. Raises RuntimeError when the graph does not work."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(PRIVATE_DOMAIN))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good = _save_good_weights(folder)
        bad = save_bad_weights(folder, next(iter(good.values())), RATE_HZ)
        first = both_files(next(iter(good.values())))[0]
        with Graph(launch_arguments(folder, first, RATE_HZ), folder / "bringup.log") as graph, spinning_node("bench") as node:
            policy, commands = RunningPolicy(node, graph), Commands(node)
            policy.drive()
            with training_job():
                time.sleep(WARM_UP_S)
                bench = SwapBench(policy, commands, good, bad)
                bench.run(seconds, console)
            time.sleep(LAST_COMMANDS_S)
        return bench.report(folder)


def _save_good_weights(folder: Path) -> dict[str, Path]:
    """Hash -> file."""
    layout = policy_layout(RATE_HZ)
    files = [folder / f"good_{seed}" for seed in range(GOOD_FILES)]
    return {save_random_policy(file, layout, seed=seed).sha256: both_files(file)[0] for seed, file in enumerate(files)}


class SwapBench:
    """Swaps and pauses, and what came of them."""

    def __init__(self, policy: RunningPolicy, commands: Commands, good: dict[str, Path], bad: list[BadWeights]) -> None:
        self._policy, self._commands, self._good, self._bad = policy, commands, good, bad
        self._swaps: list[Swap] = []
        self._offered = self._refused = self._left_alone = 0
        self._swapping: list[Window] = []
        self._pausing: list[Window] = []

    def run(self, seconds: float, console: Console) -> None:
        """Blocks of swaps, each followed by a pause of the same length."""
        with Progress(console=console) as progress:
            bar = progress.add_task(f"{SWAPS} swaps at {RATE_HZ:g} Hz beside a training job", total=SWAPS)
            for block in range(BLOCKS):
                begin_s = time.monotonic()
                wanted = SWAPS * (block + 1) // BLOCKS
                while len(self._swaps) < wanted or time.monotonic() - begin_s < seconds / (2 * BLOCKS):
                    self._swap()
                    if len(self._swaps) % SWAPS_PER_BAD_ONE == 0:
                        self._offer_bad()
                    progress.update(bar, completed=len(self._swaps))
                end_s = time.monotonic()
                self._swapping.append((begin_s, end_s))
                time.sleep(end_s - begin_s)
                self._pausing.append((end_s, time.monotonic()))

    def _swap(self) -> None:
        hashes = list(self._good)
        sha256 = hashes[(len(self._swaps) + 1) % len(hashes)]
        asked_s = time.time()
        heard = len(self._commands.rows)
        refused = self._policy.load(self._good[sha256], sha256)
        if refused:
            raise RuntimeError(f"good weights were refused: {refused}")
        policy = self._policy
        if not policy.calls.wait_until(lambda: self._commands.sha256 == sha256 == policy.running_sha256, 5.0):
            raise RuntimeError("no command of the new weights within 5 s after their swap")
        assert policy.version is not None
        adopted_s = seconds_of(policy.version.header.stamp)
        rows = self._commands.rows[heard:]
        runs_s = next(row[0] for row in rows if row[1] == sha256)
        old_chunks = {row[2] for row in rows if adopted_s < row[0] < runs_s}
        self._swaps.append(Swap(asked_s=asked_s, adopted_s=adopted_s, runs_s=runs_s, chunks_between=len(old_chunks)))

    def _offer_bad(self) -> None:
        bad = self._bad[self._offered % len(self._bad)]
        before = self._commands.sha256
        self._offered += 1
        self._refused += bool(self._policy.load(bad.file, bad.sha256))
        self._left_alone += self._commands.sha256 == before and self._policy.is_driving

    def report(self, folder: Path) -> Report:
        """Raises RuntimeError when the policy left no timings."""
        ticks = read_ticks(folder)
        swapping, pausing = inside(ticks, self._swapping), inside(ticks, self._pausing)
        errors_ms, baseline_ms = (
            np.concatenate([tick_errors_ms(window, PERIOD_S) for window in windows]) for windows in (swapping, pausing)
        )
        return Report(
            metrics={
                "swap_ms": Metric.of([(swap.runs_s - swap.asked_s) * 1e3 for swap in self._swaps], "ms"),
                "takeover_ms": Metric.of([(swap.runs_s - swap.adopted_s) * 1e3 for swap in self._swaps], "ms"),
                "tick_error_ms": Metric.of(errors_ms, "ms"),
                "baseline_tick_error_ms": Metric.of(baseline_ms, "ms"),
            },
            counts={
                "swaps": len(self._swaps),
                "swaps_at_chunk_boundary": self._at_boundary(),
                "ticks": sum(map(len, swapping)),
                "missed_ticks": sum(missed_ticks(window, PERIOD_S) for window in swapping),
                "baseline_ticks": sum(map(len, pausing)),
                "baseline_missed_ticks": sum(missed_ticks(window, PERIOD_S) for window in pausing),
                "bad_kinds": len(self._bad),
                "bad_offered": self._offered,
                "bad_refused": self._refused,
                "bad_left_the_old_running": self._left_alone,
            },
        )

    def _at_boundary(self) -> int:
        """Swaps whose first command begins the chunk next after the one that played when the weights were taken over."""
        changes = [(old, new) for old, new in itertools.pairwise(self._commands.rows) if old[1] != new[1]]
        clean = {new[0] for old, new in changes if new[2] != old[2]}
        return sum(swap.runs_s in clean and swap.chunks_between <= 1 for swap in self._swaps)
