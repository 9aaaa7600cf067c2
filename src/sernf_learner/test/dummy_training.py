"""A training process with a dummy in the place of the trainer: it counts, and keeps its state as the real one must.

Overrides of its job: `step_s`, seconds a step; `weights_every`, steps between checkpoints; and at which step it is to `raise_at`,
`hang_at`, `kill_at` (once in a job's life), `exit_at`, `halt_at`; `deaf`: it does not stop when asked.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sernf_learner.train_job import Event, main
from sernf_learner.training_job import TrainingJob
from sernf_teleop.episode_files import write_durably


def count(
    job: TrainingJob, report: Callable[[Event], None], should_stop: Callable[[], bool], new_episodes: Callable[[], list[Path]]
) -> None:
    """The dummy stage."""
    sys.stdout.write("a library that prints\n")
    orders = job.overrides
    state_file = job.folder / "state.json"
    state = json.loads(state_file.read_text()) if state_file.is_file() else {"step": 0, "starts": 0, "episodes": []}
    state["starts"] += 1
    total = job.steps or 5
    while state["step"] < total:
        if should_stop() and not orders.get("deaf"):
            write_durably(state_file, json.dumps(state))
            return
        state["episodes"] += [str(path) for path in new_episodes() if str(path) not in state["episodes"]]
        time.sleep(orders.get("step_s", 0.0))
        state["step"] += 1
        if state["step"] % orders.get("weights_every", total) == 0:
            report(_checkpoint(job, state["step"]))
        write_durably(state_file, json.dumps(state))
        metrics = {"loss": 1.0 / state["step"], "starts": state["starts"], "episodes": len(state["episodes"])}
        left_s = (total - state["step"]) * orders.get("step_s", 0.0)
        progress = {"step": state["step"], "total": total, "eta_s": left_s, "metrics": metrics, "message": f"pid {os.getpid()}"}
        report({"event": "progress", **progress})
        _misbehave(job, report, state["step"], state["starts"])
        if state["step"] == orders.get("halt_at"):
            report({"event": "halted", "message": "divergence on purpose"})
            return


def _misbehave(job: TrainingJob, report: Callable[[Event], None], step: int, starts: int) -> None:
    orders = job.overrides
    if step == orders.get("raise_at"):
        raise RuntimeError("broken on purpose")
    if step == orders.get("hang_at") and starts == 1:
        time.sleep(600)
    if step == orders.get("kill_at") and starts == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if step == orders.get("exit_at"):
        os.write(2, b"last words\n")
        os._exit(7)


def _checkpoint(job: TrainingJob, step: int) -> Event:
    content = f"{job.stage.value} {job.seed} {step}".encode()
    file = job.out / f"{job.job_id}-{step}.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    version = f"duck-{job.stage.value}-{step:04d}"
    return {"event": "checkpoint", "file": str(file), "sha256": sha256, "version": version, "stage": job.stage.value}


COMMAND = (sys.executable, __file__)

if __name__ == "__main__":
    sys.exit(main(run=count))
