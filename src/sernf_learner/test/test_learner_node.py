"""The learner as a process of its own, over DDS, with a dummy as its training process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
import yaml
from datasets import record_demonstrations, record_episode
from diagnostic_msgs.msg import DiagnosticArray
from dummy_training import COMMAND
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from sernf_msgs.msg import EpisodeEvent, PolicyVersion, TrainingProgress
from sernf_msgs.srv import CancelJob, LearnerStatus, Train

WAIT_S = 40.0
LATCHED = QoSProfile(depth=50, durability=DurabilityPolicy.TRANSIENT_LOCAL)
LEARNER = "from sernf_learner.learner_node import main; main()"


class Client(Node):
    """Calls the learner, and plays recorder and policy to it."""

    def __init__(self) -> None:
        super().__init__("learner_client")
        self.progress: list[TrainingProgress] = []
        self.announced: list[PolicyVersion] = []
        self.diagnostics: list[tuple[int, str]] = []
        self.create_subscription(TrainingProgress, "training_progress", self.progress.append, LATCHED)
        self.create_subscription(PolicyVersion, "learner/policy_version", self.announced.append, LATCHED)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.events = self.create_publisher(EpisodeEvent, "episode_event", LATCHED)
        self.version = self.create_publisher(PolicyVersion, "policy_version", LATCHED)

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        self.diagnostics += [(status.level[0], status.message) for status in array.status if status.name == "learner"]

    def until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, f"did not happen in time; last heard: {self.progress[-3:]} {self.announced[-3:]}"
            rclpy.spin_once(self, timeout_sec=0.05)

    def call(self, kind: Any, name: str, **fields: Any) -> Any:
        client = self.create_client(kind, f"learner/{name}")
        deadline = time.monotonic() + WAIT_S
        answer = None
        # A killed learner's service is seen for a while: what goes there is lost.
        while answer is None:
            assert time.monotonic() < deadline, f"{name} did not answer"
            if client.wait_for_service(1.0):
                future = client.call_async(kind.Request(**fields))
                rclpy.spin_until_future_complete(self, future, timeout_sec=5.0)
                answer = future.result()
        self.destroy_client(client)
        return answer

    def train(self, dataset: Path, stage: str = "imitation", steps: int = 5, **overrides: Any) -> Any:
        return self.call(Train, "train", stage=stage, dataset=str(dataset), steps=steps, overrides=yaml.safe_dump(overrides))

    def heard(self, job_id: str, state: str) -> list[TrainingProgress]:
        return [message for message in self.progress if (message.job_id, message.state) == (job_id, state)]

    def jobs(self) -> dict[str, TrainingProgress]:
        return {job.job_id: job for job in self.call(LearnerStatus, "status").jobs}


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    rclpy.init()
    node = Client()
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_demonstrations(tmp_path_factory.mktemp("demos"))


Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts the learner, always in the same directory."""
    processes: list[subprocess.Popen[bytes]] = []
    folder = tmp_path_factory.mktemp("learner")
    config = folder / "learner.yaml"
    values = {"directory": str(folder), "start_free_mb": 0.0, "restart_delay_s": 0.1, "progress_period_s": 0.2}
    config.write_text(yaml.safe_dump({**values, "process": {"command": list(COMMAND), "nice": 0}}))

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", LEARNER, "--ros-args", "-p", f"config_file:={config}"])
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(WAIT_S)


@pytest.fixture(scope="module")
def learner(start: Start) -> subprocess.Popen[bytes]:
    """Discovery takes seconds: the tests share a learner."""
    return start()


@pytest.fixture(autouse=True)
def _idle(client: Client, learner: subprocess.Popen[bytes]) -> Iterator[None]:
    client.progress.clear()
    client.announced.clear()
    client.diagnostics.clear()
    yield
    for job in client.call(LearnerStatus, "status").jobs:
        if job.state in ("queued", "running"):
            client.call(CancelJob, "cancel", job_id=job.job_id)
            client.until(lambda job=job: client.heard(job.job_id, "cancelled"))  # type: ignore[misc]


def test_a_job_from_request_to_announced_weights(client: Client, demos: Path) -> None:
    answer = client.train(demos, steps=60, step_s=0.02, weights_every=30)
    assert answer.success, answer.message
    assert answer.job_id == "0001-imitation"
    assert answer.message == "duck: 2 successes, 1 failures; starts from nothing"
    client.until(lambda: client.heard(answer.job_id, "done"))
    running = client.heard(answer.job_id, "running")
    steps = [message.step for message in running]
    assert len(set(steps)) > 2
    assert steps == sorted(steps)
    told = next(message for message in reversed(running) if message.step)
    assert (told.stage, told.total_steps) == ("imitation", 60)
    assert dict(zip(told.metric_names, told.metric_values, strict=True))["loss"] > 0
    assert max(message.eta_s for message in running) > 0
    client.until(lambda: len(client.announced) >= 2)
    assert [version.version for version in client.announced] == ["duck-imitation-0030", "duck-imitation-0060"]
    assert all(Path(version.file).is_file() and version.sha256 and version.stage == "imitation" for version in client.announced)
    client.until(lambda: (0, "idle") in client.diagnostics)


def test_jobs_wait_are_listed_and_can_be_cancelled(client: Client, demos: Path) -> None:
    first, second, third = (client.train(demos, steps=10_000, step_s=0.01).job_id for _ in range(3))
    client.until(lambda: client.heard(first, "running"))
    assert [(job.job_id, job.state) for job in client.call(LearnerStatus, "status").jobs][:3] == [
        (first, "running"),
        (second, "queued"),
        (third, "queued"),
    ]
    assert client.call(CancelJob, "cancel", job_id=second).success
    assert client.call(CancelJob, "cancel").success
    client.until(
        lambda: client.heard(first, "cancelled") and client.heard(second, "cancelled") and client.heard(third, "running")
    )
    again = client.call(CancelJob, "cancel", job_id=first)
    assert not again.success
    assert f"got '{first}', which is cancelled" in again.message


def test_requests_that_cannot_be_met_are_refused_with_the_reason(client: Client, demos: Path) -> None:
    before = client.jobs().keys()
    for fields, reason in (
        ({"stage": "sleeping"}, "stage: expected one of imitation"),
        ({"dataset": Path("/no/such")}, "does not exist on the learner's machine"),
        ({"stage": "offline_rl"}, "offline_rl: expected weights of stage critic_warmup"),
        ({"parent": "/no/such"}, "parent: /no/such: expected a weights file"),
    ):
        answer = client.train(**{"dataset": demos, **fields})
        assert not answer.success
        assert reason in answer.message
    cancel = client.call(CancelJob, "cancel", job_id="7")
    assert (cancel.success, "got '7'; known: " in cancel.message) == (False, True)
    assert client.jobs().keys() == before


def test_a_failed_job_is_told_with_its_reason_and_in_diagnostics(client: Client, demos: Path) -> None:
    job = client.train(demos, exit_at=2).job_id
    client.until(lambda: client.heard(job, "failed"))
    assert "last words" in client.heard(job, "failed")[0].message
    client.until(lambda: any(level == 1 and "last words" in message for level, message in client.diagnostics))


def test_rl_starts_from_what_the_policy_runs_and_takes_in_finished_episodes(client: Client, demos: Path, tmp_path: Path) -> None:
    weights = tmp_path / "running.safetensors"
    weights.touch()
    client.version.publish(PolicyVersion(version="duck-offline_rl-0007", file=str(weights), sha256="a", stage="offline_rl"))
    client.until(lambda: client.version.get_subscription_count() and client.events.get_subscription_count())
    answers = []

    def accepted() -> bool:
        answers.append(client.train(demos, stage="online_rl", steps=10_000, step_s=0.01))
        return bool(answers[-1].success)

    client.until(accepted)
    assert "starts from duck-offline_rl-0007" in answers[-1].message
    job = answers[-1].job_id
    episodes = [record_episode(tmp_path / "rollouts", label, source="policy") for label in ("success", "failure")]
    ignored = record_episode(tmp_path / "rollouts", "success", source="teleop")
    for path, event in zip([*episodes, ignored], (EpisodeEvent.SUCCESS, EpisodeEvent.FAILURE, EpisodeEvent.SUCCESS)):
        client.events.publish(EpisodeEvent(event=event, episode_id=path.name, path=str(path)))
    client.until(lambda: any(metrics_of(message).get("episodes") == 2 for message in client.heard(job, "running")))
    client.call(CancelJob, "cancel")
    client.until(lambda: client.heard(job, "cancelled"))
    assert max(metrics_of(message).get("episodes", 0) for message in client.progress) == 2


def test_kill_9_of_the_learner_and_the_job_goes_on(
    client: Client, learner: subprocess.Popen[bytes], start: Start, demos: Path
) -> None:
    # Slow steps: the client needs a moment to find the learner that comes back, and weights announced before that are not heard.
    job = client.train(demos, steps=150, step_s=0.05, weights_every=50).job_id
    waiting = client.train(demos).job_id
    client.until(lambda: any(message.step > 60 for message in client.heard(job, "running")))
    training = int(client.heard(job, "running")[-1].message.split()[1])
    learner.kill()
    learner.wait(WAIT_S)
    client.until(lambda: not is_alive(training))
    again = start()
    client.until(lambda: client.heard(job, "done") and client.heard(waiting, "done"))
    jobs = client.jobs()
    assert (jobs[job].state, jobs[job].step, jobs[waiting].state) == ("done", 150, "done")
    metrics = dict(zip(jobs[job].metric_names, jobs[job].metric_values, strict=True))
    assert metrics["starts"] == 2
    versions = {version.version for version in client.announced if version.file.rpartition("/")[2].startswith(job)}
    assert versions == {f"duck-imitation-{step:04d}" for step in (50, 100, 150)}
    stopped = client.train(demos, steps=10_000, step_s=0.01).job_id
    client.until(lambda: client.heard(stopped, "running"))
    again.send_signal(signal.SIGINT)
    assert again.wait(WAIT_S) == 0, "a stopped learner lets training save its state and ends well"
    start()


def metrics_of(message: TrainingProgress) -> dict[str, float]:
    return dict(zip(message.metric_names, message.metric_values, strict=True))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"
