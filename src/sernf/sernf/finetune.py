"""`sernf finetune`: asks the running learner for a job by its services, and follows it.

The job belongs to the learner: it goes on when this command ends, and when the learner is restarted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rich.console import Console
from rich.table import Table

from sernf.service_calls import CallError, ServiceCalls
from sernf.training_bar import TrainingBar
from sernf_msgs.msg import PolicyVersion, TrainingProgress
from sernf_msgs.srv import CancelJob, LearnerStatus, Train

FIND_TIMEOUT_S = 10.0
CALL_TIMEOUT_S = 60.0
"""Looking through a data set takes time, and so does saving the state."""
QUIET_S = 5.0
"""Without news for so long the learner is asked."""
LOST_S = 120.0
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
ENDED = ("done", "failed", "cancelled", "halted")
Answer = Literal["detach", "cancel", "go on"]


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """As in sernf_msgs/srv/Train. `dataset`: absolute."""

    stage: str
    dataset: str
    steps: int
    overrides: str


class LearnerClient:
    """The learner as seen from a command; another thread spins `node`."""

    def __init__(self, node: Node) -> None:
        self.calls = ServiceCalls(node)
        self._newest: dict[str, TrainingProgress] = {}
        self._heard_s = time.monotonic()
        self.announced: list[PolicyVersion] = []
        node.create_subscription(TrainingProgress, "training_progress", self._on_progress, LATCHED)
        node.create_subscription(PolicyVersion, "learner/policy_version", self.announced.append, 10)

    def find(self) -> None:
        """Raises CallError when no learner runs in this ROS domain."""
        try:
            self.calls.wait_for_service(Train, "learner/train", FIND_TIMEOUT_S)
        except CallError as error:
            raise CallError(
                f"no learner is running ({error}); start one: ./sernf up, or train without ROS: ./sernf train"
            ) from None

    def submit(self, request: JobRequest) -> Train.Response:
        """Queue a job; raises CallError with the learner's reason when it refuses."""
        message = Train.Request(
            stage=request.stage, dataset=request.dataset, steps=request.steps, overrides=request.overrides
        )  # fmt: skip
        return self.calls.call(Train, "learner/train", message, timeout_s=CALL_TIMEOUT_S)

    def cancel(self, job_id: str) -> str:
        """Cancel a job, the running one if `job_id` is empty; raises CallError."""
        request = CancelJob.Request(job_id=job_id)
        return str(self.calls.call(CancelJob, "learner/cancel", request, timeout_s=CALL_TIMEOUT_S).message)

    def jobs(self) -> Sequence[TrainingProgress]:
        """Running first, then queued, then ended."""
        jobs: Sequence[TrainingProgress] = self.calls.call(LearnerStatus, "learner/status", timeout_s=CALL_TIMEOUT_S).jobs
        return jobs

    def follow(self, job_id: str, bar: TrainingBar) -> TrainingProgress:
        """Show the job until it has ended; returns its last state. Raises CallError when the learner stays lost."""
        self._ask(job_id)
        told = 0
        while True:
            for weights in self.announced[told:]:
                bar.say(f"new weights {weights.version}: {weights.file}")
            told = len(self.announced)
            state = self._newest.get(job_id)
            if state is not None:
                _show(state, bar)
                if state.state in ENDED:
                    return state
            before = self._heard_s
            if not self.calls.wait_until(lambda before=before: self._heard_s != before, QUIET_S):  # type: ignore[misc]
                self._ask(job_id)

    def _ask(self, job_id: str) -> None:
        """A job that waits says nothing, and neither does a learner that was killed: ask how it stands."""
        deadline = time.monotonic() + LOST_S
        while True:
            try:
                jobs = self.jobs()
                break
            except CallError:
                if time.monotonic() > deadline:
                    raise CallError(
                        f"the learner has been gone for {LOST_S:g} s; when it is started again it goes on with {job_id}"
                    ) from None
        known = next((job for job in jobs if job.job_id == job_id), None)
        if known is None:
            raise CallError(f"expected a job of the running learner, got '{job_id}'; see ./sernf finetune --list")
        self._on_progress(known)

    def _on_progress(self, message: TrainingProgress) -> None:
        self._newest[message.job_id] = message
        self._heard_s = time.monotonic()


def follow_until_told(
    client: LearnerClient, job_id: str, name: str, console: Console, ask: Callable[[], Answer]
) -> TrainingProgress | None:
    """Follow a job; at Ctrl-C `ask` what to do. Returns its last state, or None when the person detaches."""
    while True:
        try:
            with TrainingBar(console, name) as bar:
                return client.follow(job_id, bar)
        except KeyboardInterrupt:
            answer = ask()
        if answer == "detach":
            return None
        if answer == "cancel":
            console.print(client.cancel(job_id), highlight=False)


def table_of(jobs: Sequence[TrainingProgress]) -> Table:
    """For people."""
    table = Table("job", "state", "step", "of", "message", box=None)
    for job in jobs:
        table.add_row(job.job_id, job.state, str(job.step), str(job.total_steps or "?"), job.message)
    return table


def as_mapping(job: TrainingProgress) -> dict[str, Any]:
    """For programs."""
    return {
        "job_id": job.job_id, "stage": job.stage, "state": job.state, "step": job.step, "total_steps": job.total_steps,
        "metrics": dict(zip(job.metric_names, job.metric_values)), "message": job.message,
    }  # fmt: skip


def _show(state: TrainingProgress, bar: TrainingBar) -> None:
    waits = "waits for the jobs before it" if state.state == "queued" else state.message
    bar.show(
        step=state.step, total=state.total_steps, eta_s=state.eta_s, metrics=dict(zip(state.metric_names, state.metric_values)),
        message=waits,
    )  # fmt: skip
