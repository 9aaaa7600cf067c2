"""The inference thread: one request at a time, answers when asked, errors as answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from sernf_policy.inference_worker import Answer, InferenceWorker

TIMEOUT_S = 10.0


@pytest.fixture
def worker() -> Iterator[InferenceWorker[int]]:
    worker: InferenceWorker[int] = InferenceWorker()
    worker.open()
    yield worker
    worker.close()


def wait_for(worker: InferenceWorker[int]) -> Answer[int]:
    deadline_s = time.monotonic() + TIMEOUT_S
    while (answer := worker.poll()) is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.001)
    return answer


def test_an_answer_carries_its_number_and_frees_the_worker(worker: InferenceWorker[int]) -> None:
    assert worker.poll() is None
    worker.submit(7, lambda: 42)
    assert worker.is_busy
    assert wait_for(worker) == Answer(7, 42)
    assert not worker.is_busy


def test_what_the_computation_raises_is_the_answer(worker: InferenceWorker[int]) -> None:
    def fail() -> int:
        raise ValueError("broken on purpose")

    worker.submit(1, fail)
    answer = wait_for(worker)
    assert answer.result is None
    assert "broken on purpose" in str(answer.error)
    worker.submit(2, lambda: 3)
    assert wait_for(worker).result == 3


def test_a_computation_that_hangs_keeps_nobody_waiting_and_nothing_is_queued_behind_it(worker: InferenceWorker[int]) -> None:
    go_on = threading.Event()

    def hang() -> int:
        go_on.wait(TIMEOUT_S)
        return 1

    worker.submit(1, hang)
    assert worker.poll() is None
    with pytest.raises(RuntimeError, match="still computing"):
        worker.submit(2, lambda: 2)
    go_on.set()
    assert wait_for(worker).number == 1


def test_after_closing_it_can_be_opened_again_and_knows_nothing_of_before(worker: InferenceWorker[int]) -> None:
    worker.submit(1, lambda: 1)
    worker.close()
    worker.open()
    assert worker.poll() is None
    worker.submit(2, lambda: 2)
    assert wait_for(worker).number == 2
