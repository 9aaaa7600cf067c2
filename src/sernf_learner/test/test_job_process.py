"""Training processes that behave, fail, hang, are killed and go on: what their parent sees. The trainer is a dummy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dummy_training import COMMAND

from sernf_learner.job_process import EndKind, ProcessConfig, ProcessEnd, TrainingProcess
from sernf_learner.training_job import Stage, TrainingJob

WAIT_S = 60.0
Make = Callable[..., TrainingProcess]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    processes: list[TrainingProcess] = []

    def make(*, steps: int = 5, config: dict[str, Any] | None = None, **overrides: Any) -> TrainingProcess:
        """A started process of the one job of this test."""
        folder = write_job(tmp_path, steps, **overrides)
        process = TrainingProcess(folder, ProcessConfig(**{"command": COMMAND, **(config or {})}))
        process.start()
        processes.append(process)
        return process

    yield make
    for process in processes:
        with process:
            pass


def write_job(path: Path, steps: int, **overrides: Any) -> Path:
    job = TrainingJob(
        folder=path / "job", job_id="1-imitation", stage=Stage.IMITATION, dataset=path, out=path / "out", steps=steps,
        overrides=overrides,
    )  # fmt: skip
    job.write()
    return job.folder


def finish(process: TrainingProcess) -> tuple[list[dict[str, Any]], ProcessEnd]:
    events = process.wait(WAIT_S)
    assert process.end is not None, "the process did not end"
    return events, process.end


def until(process: TrainingProcess, step: int) -> list[dict[str, Any]]:
    """Events until it has come to `step`."""
    deadline = time.monotonic() + WAIT_S
    events: list[dict[str, Any]] = []
    while not any(event.get("step", 0) >= step for event in events):
        assert time.monotonic() < deadline, f"step {step} was not reached: {events}"
        assert process.end is None, process.end
        events += process.poll()
        time.sleep(0.01)
    return events


def steps_of(events: list[dict[str, Any]]) -> list[int]:
    return [event["step"] for event in events if event["event"] == "progress"]


def starts(tmp_path: Path) -> int:
    return int(json.loads((tmp_path / "job/state.json").read_text())["starts"])


def test_a_job_tells_its_steps_and_its_weights_and_ends_well(make: Make) -> None:
    events, end = finish(make(weights_every=2))
    assert steps_of(events) == [1, 2, 3, 4, 5]
    assert [event["version"] for event in events if event["event"] == "checkpoint"] == [
        "duck-imitation-0002",
        "duck-imitation-0004",
    ]
    assert end == ProcessEnd(EndKind.DONE, "")


def test_it_has_low_priority_and_few_threads(make: Make, tmp_path: Path) -> None:
    process = make(steps=500, step_s=0.02, config={"nice": 7, "threads": 3})
    until(process, 1)
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 7
    assert b"OMP_NUM_THREADS=3" in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")


def test_an_exception_is_a_failure_with_its_message_and_a_traceback_in_the_log(make: Make, tmp_path: Path) -> None:
    events, end = finish(make(raise_at=3))
    assert steps_of(events) == [1, 2, 3]
    assert end == ProcessEnd(EndKind.FAILED, "RuntimeError: broken on purpose")
    assert "Traceback" in (tmp_path / "job/stderr.log").read_text()


def test_a_process_that_ends_without_a_word_fails_with_its_status_and_last_words(make: Make) -> None:
    _, end = finish(make(exit_at=2))
    assert end.kind is EndKind.FAILED
    assert "status 7" in end.message
    assert "last words" in end.message


def test_a_halt_is_not_a_failure(make: Make) -> None:
    _, end = finish(make(halt_at=2))
    assert end == ProcessEnd(EndKind.HALTED, "divergence on purpose")


def test_a_killed_process_goes_on_from_its_last_state(make: Make, tmp_path: Path) -> None:
    process = make(steps=40, step_s=0.02, weights_every=4)
    before = until(process, 6)
    os.kill(process.pid, signal.SIGKILL)
    more, end = finish(process)
    assert end.kind is EndKind.CRASHED
    assert "SIGKILL" in end.message
    after, end = finish(make(steps=40, step_s=0.0, weights_every=4))
    assert end.kind is EndKind.DONE
    assert steps_of(after)[0] >= 6, "no step is made twice once it is durable"
    assert starts(tmp_path) == 2
    told = [event["sha256"] for event in after if event["event"] == "checkpoint"]
    assert len(set(told)) == 10, "the weights of the first process are told again by the second"
    assert {event["sha256"] for event in before + more if event["event"] == "checkpoint"} <= set(told)


def test_told_to_stop_it_saves_its_state_and_can_go_on(make: Make, tmp_path: Path) -> None:
    process = make(steps=400, step_s=0.02)
    until(process, 2)
    process.stop()
    _, end = finish(process)
    assert end == ProcessEnd(EndKind.STOPPED, "")
    stopped_at = json.loads((tmp_path / "job/state.json").read_text())["step"]
    process = make(steps=400, step_s=0.02)
    assert steps_of(until(process, 3))[0] == stopped_at + 1


def test_stopped_while_it_starts_is_stopped_too(make: Make) -> None:
    process = make(steps=10_000, step_s=0.02)
    process.stop()
    assert finish(process)[1].kind is EndKind.STOPPED


def test_a_process_that_does_not_stop_is_killed(make: Make) -> None:
    process = make(steps=10_000, step_s=0.02, deaf=True, config={"stop_timeout_s": 0.3})
    until(process, 1)
    process.stop()
    _, end = finish(process)
    assert end.kind is EndKind.STOPPED
    assert "did not stop within 0.3 s" in end.message


def test_a_silent_process_is_killed_and_can_go_on(make: Make) -> None:
    # Long enough for a busy machine to start Python: a process that is killed before its second step would hang again.
    _, end = finish(make(hang_at=2, config={"silence_timeout_s": 6.0}))
    assert end.kind is EndKind.CRASHED
    assert "said nothing for 6 s" in end.message
    events, end = finish(make(hang_at=2))
    assert (steps_of(events), end.kind) == ([3, 4, 5], EndKind.DONE)


def test_a_finished_job_says_so_again_without_training(make: Make, tmp_path: Path) -> None:
    finish(make())
    events, end = finish(make())
    assert end.kind is EndKind.DONE
    assert [event["event"] for event in events] == ["checkpoint"]
    assert starts(tmp_path) == 1


def test_half_a_line_that_a_kill_has_left_in_the_journal_is_forgotten(make: Make, tmp_path: Path) -> None:
    process = make(steps=100, step_s=0.02, weights_every=2)
    until(process, 3)
    os.kill(process.pid, signal.SIGKILL)
    finish(process)
    with (tmp_path / "job/events.jsonl").open("a") as journal:
        journal.write('{"event": "checkp')
    for _ in range(2):
        events, end = finish(make(steps=6, weights_every=2))
        assert end.kind is EndKind.DONE
        assert len([event for event in events if event["event"] == "checkpoint"]) == 3


def test_episodes_reach_it(make: Make, tmp_path: Path) -> None:
    process = make(steps=10_000, step_s=0.01)
    for number in range(3):
        process.tell({"episode": f"/episodes/{number}"})
    deadline = time.monotonic() + WAIT_S
    seen = 0.0
    while seen < 3 and time.monotonic() < deadline:
        seen = max([seen, *(event["metrics"]["episodes"] for event in process.poll())])
        time.sleep(0.02)
    assert seen == 3


def test_it_does_not_outlive_a_parent_that_was_killed_and_the_next_one_waits_for_its_end(make: Make, tmp_path: Path) -> None:
    folder = write_job(tmp_path, 100_000, step_s=0.02)
    program = (
        "import sys, time; from pathlib import Path; from sernf_learner.job_process import *\n"
        "p = TrainingProcess(Path(sys.argv[1]), ProcessConfig(command=tuple(sys.argv[2:])))\n"
        "p.start(); print(p.pid, flush=True)\n"
        "while True: p.poll(); time.sleep(0.05)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(folder), *COMMAND], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    deadline = time.monotonic() + WAIT_S
    while not (folder / "state.json").is_file():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    parent.kill()
    parent.wait(WAIT_S)
    process = make(steps=100_000, step_s=0.02)
    first = until(process, 1)[0]
    assert first["metrics"]["starts"] == 2
    assert first["step"] > 1
    assert not Path(f"/proc/{child}").exists() or Path(f"/proc/{child}/stat").read_text().split()[2] == "Z"


def test_a_folder_without_a_job_is_a_failure_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    with TrainingProcess(tmp_path / "job", ProcessConfig(command=COMMAND)) as process:
        process.start()
        _, end = finish(process)
    assert end.kind is EndKind.FAILED
    assert "job.json: expected a job" in end.message


@pytest.mark.parametrize("wrong", [{"nice": 20}, {"threads": 0}, {"silence_timeout_s": 0.0}, {"stop_timeout_s": -1.0}])
def test_a_wrong_configuration_names_its_key(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ProcessConfig(**wrong)
