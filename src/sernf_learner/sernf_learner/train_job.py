"""The training process: `python -m sernf_learner.train_job JOBDIR [--attached]` does the job that JOBDIR/job.json describes.

It speaks to whoever started it by one JSON object a line on stdout, and by nothing else there:

    {"event": "progress", "step", "total", "eta_s", "metrics", "message"}        about once a second
    {"event": "checkpoint", "file", "sha256", "version", "stage", "parent_sha256"}    weights are durable
    {"event": "done" | "halted" | "failed" | "stopped", "message"}               the last line

SIGTERM or SIGINT: stop soon with the state saved, `stopped`; the same command goes on from there. Checkpoints and the end are
kept in JOBDIR/events.jsonl and told again by the next process of this JOBDIR, so a listener that died misses none. With
`--attached` the process reads lines from stdin, {"episode": path} each, and stops when stdin closes, because whoever started it
is gone. Only one process at a time works in a JOBDIR; a second one waits for the first to end. Exit status 0 unless it failed.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from sernf_learner.training_job import JobError, TrainingJob, Weights

EVENTS_FILE = "events.jsonl"
LOCK_FILE = ".train_job.lock"
LOCK_TIMEOUT_S = 60.0
ABANDONED_GRACE_S = 15.0
"""how long an abandoned process may take to save its state before it ends hard"""
FINAL = ("done", "halted")
END_EVENTS = (*FINAL, "failed", "stopped")

Event = Mapping[str, Any]
Run = Callable[[TrainingJob, Callable[[Event], None], Callable[[], bool], Callable[[], list[Path]]], None]


def run(
    job: TrainingJob,
    report: Callable[[Event], None],
    should_stop: Callable[[], bool],
    new_episodes: Callable[[], list[Path]],
) -> None:
    """Do the job. Raises whatever goes wrong.

    `report`: takes the events of this module's text. `should_stop`: asked often; then save and return. `new_episodes`: bags that
    have been labelled since the last call, a bag again when its label has changed or this process was started again; never waits.
    """
    from sernf_learner.trainer import run_job

    run_job(job, report, should_stop, new_episodes)


def told_weights(folder: Path) -> list[Weights]:
    """Weights that the processes of the job in `folder` have told of, the oldest first; none where no job has been."""
    events = (json.loads(line) for line in _whole_lines(folder / EVENTS_FILE)[0])
    return [Weights.from_mapping(event) for event in events if event["event"] == "checkpoint"]


class Reporter:
    """Writes events as lines, and keeps those that must not be lost. A mute one only remembers how the job ended."""

    def __init__(self, lines: TextIO | None, journal: Path, on_listener_gone: Callable[[], None]) -> None:
        """`lines`: None for a mute one."""
        self.last = ""
        """the end that was reported, if any"""
        self._lines = lines
        self._journal = journal
        self._on_listener_gone = on_listener_gone
        self._lock = threading.Lock()

    def replay(self) -> None:
        """Tell again what earlier processes of this job have told for good."""
        lines, broken = _whole_lines(self._journal)
        if broken and self._lines is not None:
            # A process that was killed while it wrote left half a line, which nobody has heard of yet.
            os.truncate(self._journal, self._journal.stat().st_size - broken)
        for line in lines:
            self._tell(json.loads(line))

    def __call__(self, event: Event) -> None:
        """Report an event; durable on return if it is a checkpoint or a final end."""
        with self._lock:
            if self._lines is not None and (event["event"] == "checkpoint" or event["event"] in FINAL):
                with self._journal.open("a", encoding="utf8") as journal:
                    journal.write(f"{_as_json(event)}\n")
                    journal.flush()
                    os.fsync(journal.fileno())
            self._tell(event)

    def _tell(self, event: Event) -> None:
        if event["event"] in END_EVENTS:
            self.last = event["event"]
        if self._lines is None:
            return
        try:
            self._lines.write(f"{_as_json(event)}\n")
            self._lines.flush()
        except BrokenPipeError:
            self._on_listener_gone()


class Inbox:
    """Reads stdin in a thread: episodes for an online job, and its end as the sign that whoever started us has gone."""

    def __init__(self, on_closed: Callable[[], None]) -> None:
        self._episodes: list[Path] = []
        self._lock = threading.Lock()
        self._on_closed = on_closed

    def start(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def take(self) -> list[Path]:
        """Bags since the last call."""
        with self._lock:
            episodes, self._episodes = self._episodes, []
        return episodes

    def _read(self) -> None:
        # Not sys.stdin: a thread that waits in it holds a lock that the interpreter wants when it ends.
        with open(0, "rb", buffering=0, closefd=False) as stdin:
            for line in stdin:
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    path = Path(json.loads(line)["episode"])
                    with self._lock:
                        self._episodes.append(path)
        self._on_closed()
        time.sleep(ABANDONED_GRACE_S)
        os._exit(1)


def main(arguments: Sequence[str] | None = None, *, run: Run = run) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sernf_learner.train_job", description="Does one training job.")
    parser.add_argument("folder", type=Path, help="folder with the job's job.json; its state is kept there")
    parser.add_argument("--attached", action="store_true", help="read episodes from stdin, and stop when it closes")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    inbox = Inbox(stop.set)
    if options.attached:
        inbox.start()
    # Of several data-parallel processes one speaks and holds the lock.
    is_first = os.environ.get("RANK", "0") == "0"
    reporter = Reporter(_take_stdout() if is_first else None, options.folder / EVENTS_FILE, stop.set)
    try:
        with _locked(options.folder, stop) if is_first else contextlib.nullcontext():
            return _work(options.folder, run, reporter, stop, inbox)
    except JobError as error:
        reporter({"event": "failed", "message": str(error)})
        return 1


def _work(folder: Path, run: Run, reporter: Reporter, stop: threading.Event, inbox: Inbox) -> int:
    job = TrainingJob.read(folder)
    if not stop.is_set():
        reporter.replay()
        if reporter.last in FINAL:
            return 0
        try:
            run(job, reporter, stop.is_set, inbox.take)
        except Exception as error:  # noqa: BLE001  top of the process
            traceback.print_exc()
            if not reporter.last:
                reporter({"event": "failed", "message": f"{type(error).__name__}: {error}"})
    if not reporter.last:
        reporter({"event": "stopped" if stop.is_set() else "done", "message": ""})
    return 1 if reporter.last == "failed" else 0


def _take_stdout() -> TextIO:
    """Our own way to whoever reads stdout; what others print goes to stderr from now on."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf8")
    sys.stdout.flush()
    os.dup2(2, 1)
    return lines


@contextlib.contextmanager
def _locked(folder: Path, stop: threading.Event) -> Iterator[None]:
    """Be the only process of this folder, or one that has been told to stop. Raises JobError when another one does not end."""
    if not folder.is_dir():
        raise JobError(f"{folder}: expected the folder of a job, with its job.json; it does not exist")
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    with (folder / LOCK_FILE).open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise JobError(f"{folder}: another process still works on this job; stop it first") from None
            if stop.wait(0.1):
                break
        yield


def _whole_lines(file: Path) -> tuple[list[bytes], int]:
    """Finished lines of a file, none if it does not exist, and how many bytes come behind them."""
    text = file.read_bytes() if file.is_file() else b""
    end = text.rfind(b"\n") + 1
    return text[:end].splitlines(), len(text) - end


def _as_json(event: Event) -> str:
    # Metrics come as numbers of whatever library.
    return json.dumps(dict(event), default=float)


if __name__ == "__main__":
    sys.exit(main())
