"""Episodes in a loop, for bringup with `demonstrate:=true` or `rollouts:=true`: a newcomer sees the robot at work at once.

Simulation only: its judge labels, and nobody has to set the scene.

Says when the robot moved for the first time, counted from the start of `./sernf` (`SERNF_STARTED_AT`, seconds since the epoch)
without downloads (`SERNF_DOWNLOAD_S`).
"""

from __future__ import annotations

import os
import threading
import traceback

from sernf.episode_runner import EpisodeOutcome, EpisodeRunner, EpisodeRunnerConfig
from sernf.service_calls import CallError, Interrupted
from sernf_node import SernfNode, run_node
from sernf_robot.success_rate import describe_rate

RETRY_S = 3.0
LONGEST_RETRY_S = 60.0


class EpisodeRunnerNode(SernfNode[EpisodeRunnerConfig]):
    """Runs episodes in a worker thread; an episode that cannot run is told and tried again."""

    def __init__(self) -> None:
        super().__init__("episode_runner", EpisodeRunnerConfig)
        self._runner: EpisodeRunner | None = None
        self._thread: threading.Thread | None = None

    def setup(self) -> None:
        self._runner = EpisodeRunner(self, self.config)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="episodes", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._runner is not None:
            self._runner.calls.interrupt()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
            self._thread = None

    def _work(self) -> None:
        assert self._runner is not None
        try:
            self._loop(self._runner)
        except Interrupted:
            pass
        except Exception:  # noqa: BLE001  top of a thread
            self.get_logger().fatal(f"episodes end because of an error:\n{traceback.format_exc()}")

    def _loop(self, runner: EpisodeRunner) -> None:
        done = successes = 0
        retry_s = RETRY_S
        while not self.config.episodes or done < self.config.episodes:
            try:
                runner.wait_for_graph()
                outcome = runner.run(self.config.seed + done)
                if outcome.label == "discard":
                    raise CallError(outcome.cause)
            except CallError as error:
                self.get_logger().error(f"{error}; next try in {retry_s:g} s")
                runner.calls.wait_until(lambda: False, retry_s)
                retry_s = min(2.0 * retry_s, LONGEST_RETRY_S)
                continue
            retry_s = RETRY_S
            done += 1
            successes += outcome.label == "success"
            if done == 1:
                self._tell_time_to_motion(runner)
            self._tell(outcome, done, successes)
            runner.calls.wait_until(lambda: False, self.config.pause_s)

    def _tell(self, outcome: EpisodeOutcome, done: int, successes: int) -> None:
        what = f"{outcome.label} ({outcome.cause})" if outcome.cause else outcome.label
        where = f", {outcome.path}" if outcome.path else ""
        self.get_logger().info(
            f"{self.config.source}, {self.config.task}, scene {outcome.seed}: {what} after {outcome.seconds:.1f} s{where}; "
            f"succeeded: {describe_rate(successes, done)}"
        )

    def _tell_time_to_motion(self, runner: EpisodeRunner) -> None:
        started_at = os.environ.get("SERNF_STARTED_AT")
        if started_at is None or runner.first_motion_s is None:
            return
        total_s = runner.first_motion_s - float(started_at)
        download_s = float(os.environ.get("SERNF_DOWNLOAD_S", "0"))
        self.get_logger().info(
            f"the robot moved {total_s - download_s:.0f} s after the start of ./sernf (and {download_s:.0f} s of downloads)"
        )


def main() -> None:
    """Entry point."""
    run_node(EpisodeRunnerNode)
