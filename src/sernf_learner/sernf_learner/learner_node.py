"""Trains on recorded episodes beside the running robot: takes jobs by service, tells how they go, announces their weights.

Training runs in a process of its own at low priority, so whatever happens to it, policy and control go on. Jobs, their state and
their weights are on disk; a learner that was killed goes on where it was.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile

from sernf_learner.jobs import JobRecord, JobState
from sernf_learner.learner import Learner, Request
from sernf_learner.learner_config import LearnerConfig
from sernf_learner.training_job import JobError, Weights
from sernf_msgs.msg import EpisodeEvent, PolicyVersion, TrainingProgress
from sernf_msgs.srv import CancelJob, LearnerStatus, Train
from sernf_node import DiagnosticLevel, Diagnostics, SernfNode, run_node

TICK_S = 0.1
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
NEWEST = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
LABELLED = (EpisodeEvent.SUCCESS, EpisodeEvent.FAILURE, EpisodeEvent.DISCARD)


class LearnerNode(SernfNode[LearnerConfig]):
    """Services and topics around a Learner."""

    def __init__(self) -> None:
        super().__init__("learner", LearnerConfig)
        self._learner: Learner | None = None
        self._running_weights: Weights | None = None
        self._progress_due_s = 0.0
        self._undo: list[Callable[[], object]] = []

    def setup(self) -> None:
        self._progress: Publisher[TrainingProgress] = self.create_publisher(TrainingProgress, "training_progress", LATCHED)
        self._announce: Publisher[PolicyVersion] = self.create_publisher(PolicyVersion, "learner/policy_version", NEWEST)
        self._undo += [functools.partial(self.destroy_publisher, item) for item in (self._progress, self._announce)]
        for message, topic, heard, qos in (
            (EpisodeEvent, "episode_event", self._on_episode, LATCHED),
            (PolicyVersion, "policy_version", self._on_policy_version, NEWEST),
        ):
            subscription = self.create_subscription(message, topic, heard, qos)
            self._undo.append(functools.partial(self.destroy_subscription, subscription))
        for kind, name, answer in (
            (Train, "learner/train", self._train),
            (CancelJob, "learner/cancel", self._cancel),
            (LearnerStatus, "learner/status", self._status),
        ):
            service = self.create_service(kind, name, answer)
            self._undo.append(functools.partial(self.destroy_service, service))
        self._undo.append(Diagnostics(self, self._report).destroy)
        timer = self.create_timer(TICK_S, self._tick)
        self._undo.append(functools.partial(self.destroy_timer, timer))

    def start(self) -> None:
        learner = Learner(self.config)
        learner.open()
        self._learner = learner

    def stop(self) -> None:
        if self._learner is not None:
            learner, self._learner = self._learner, None
            learner.close()

    def teardown(self) -> None:
        self.stop()
        while self._undo:
            self._undo.pop()()

    def _tick(self) -> None:
        learner = self._learner
        if learner is None:
            return
        news = learner.tick()
        for weights in news.weights:
            self._announce.publish(self._to_version(weights))
            self.get_logger().info(f"new weights {weights.version} of stage {weights.stage}: {weights.file}")
        for record in news.jobs:
            self._progress.publish(self._to_progress(record))
            self._tell(record)
        now_s = time.monotonic()
        if learner.running is not None and now_s >= self._progress_due_s:
            self._progress.publish(self._to_progress(learner.running))
            self._progress_due_s = now_s + self.config.progress_period_s

    def _tell(self, record: JobRecord) -> None:
        text = f"{record.job.job_id}: {record.state.value}" + (f", {record.message}" if record.message else "")
        if record.state in (JobState.FAILED, JobState.HALTED):
            self.get_logger().error(text)
        else:
            self.get_logger().info(text)

    def _train(self, request: Train.Request, response: Train.Response) -> Train.Response:
        wanted = Request(request.stage, request.dataset, request.steps, request.overrides)
        try:
            record, told = self._active().submit(wanted, self._running_weights)
        except (JobError, OSError) as error:
            response.message = str(error)
            self.get_logger().warning(f"job refused: {error}")
            return response
        response.success = True
        response.job_id = record.job.job_id
        response.message = told
        return response

    def _cancel(self, request: CancelJob.Request, response: CancelJob.Response) -> CancelJob.Response:
        try:
            record = self._active().cancel(request.job_id)
        except JobError as error:
            response.message = str(error)
            return response
        response.success = True
        response.message = f"{record.job.job_id}: {record.message}"
        return response

    def _status(self, _request: LearnerStatus.Request, response: LearnerStatus.Response) -> LearnerStatus.Response:
        if self._learner is not None:
            response.jobs = [self._to_progress(record) for record in self._learner.jobs()]
        return response

    def _on_episode(self, event: EpisodeEvent) -> None:
        if self._learner is not None and event.event in LABELLED and self._learner.episode_finished(Path(event.path)):
            self.get_logger().info(f"{event.episode_id} is taken in")

    def _on_policy_version(self, message: PolicyVersion) -> None:
        self._running_weights = Weights(
            file=message.file, sha256=message.sha256, version=message.version, stage=message.stage,
            parent_sha256=message.parent_sha256,
        )  # fmt: skip

    def _active(self) -> Learner:
        if self._learner is None:
            raise JobError("the learner is not active; activate it: ros2 lifecycle set /learner activate")
        return self._learner

    def _to_version(self, weights: Weights) -> PolicyVersion:
        message = PolicyVersion(
            version=weights.version, sha256=weights.sha256, file=weights.file, stage=weights.stage,
            parent_sha256=weights.parent_sha256,
        )  # fmt: skip
        message.header.stamp = self.get_clock().now().to_msg()
        return message

    def _to_progress(self, record: JobRecord) -> TrainingProgress:
        message = TrainingProgress(
            job_id=record.job.job_id, stage=record.job.stage.value, state=record.state.value, step=record.step,
            total_steps=record.total_steps, eta_s=record.eta_s, metric_names=list(record.metrics),
            metric_values=list(record.metrics.values()), message=record.message,
        )  # fmt: skip
        message.header.stamp = self.get_clock().now().to_msg()
        return message

    def _report(self) -> tuple[DiagnosticLevel, str, Mapping[str, object]]:
        learner = self._learner
        if learner is None:
            return DiagnosticLevel.OK, "not active", {}
        values: dict[str, object] = {"directory": self.config.directory, "waiting": learner.waiting}
        running = learner.running
        if running is not None:
            values |= {"job": running.job.job_id, "step": running.step, "total_steps": running.total_steps}
            values |= {"eta_s": round(running.eta_s), "process": learner.pid or "none", "restarts": running.restarts}
        if learner.problem:
            return DiagnosticLevel.WARN, learner.problem, values
        return DiagnosticLevel.OK, "idle" if running is None else f"{running.job.job_id}: {running.message}", values


def main() -> None:
    """Entry point."""
    run_node(LearnerNode)


if __name__ == "__main__":
    main()
