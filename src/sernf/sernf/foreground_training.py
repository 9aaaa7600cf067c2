"""`sernf train`: one stage in the foreground, without ROS. The same job that the learner node runs; interrupted, it goes on.

The job's state lies in OUT/STAGE.job, its checkpoints in OUT. Ctrl-C lets it save its state; a second one kills it, and then it
goes on from the last saved state.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from sernf.training_bar import TrainingBar
from sernf_learner.job_process import EndKind, ProcessConfig, ProcessEnd, TrainingProcess
from sernf_learner.job_requests import check_dataset, named_parent
from sernf_learner.train_job import told_weights
from sernf_learner.training_job import JOB_FILE, PARENT_STAGES, JobError, Stage, TrainingJob, Weights

POLL_S = 0.1


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """`parent`: file or shipped name; empty: the newest weights of the stage before in `out`. The rest as in TrainingJob."""

    stage: Stage
    data: Path
    out: Path
    parent: str
    steps: int
    seed: int
    overrides: Mapping[str, Any]


@dataclass(frozen=True)
class TrainResult:
    """`weights`: newest that the job has made, if any. `interrupted`: by the person at the terminal."""

    end: ProcessEnd
    weights: Weights | None
    interrupted: bool


def make_job(request: TrainRequest) -> tuple[TrainingJob, str]:
    """The job, written down, and what it learns from. Raises JobError when it cannot be, or when its folder holds another one."""
    summary = check_dataset(request.data)
    out = request.out.expanduser().absolute()
    job = TrainingJob(
        folder=out / f"{request.stage.value}.job", job_id=request.stage.value, stage=request.stage,
        dataset=request.data.expanduser().absolute(), out=out, parent=_parent(request, out, summary.task), steps=request.steps,
        overrides=dict(request.overrides), seed=request.seed,
    )  # fmt: skip
    if (job.folder / JOB_FILE).exists():
        before, now = TrainingJob.read(job.folder).to_mapping(), job.to_mapping()
        changed = [f"{key} {before[key]!r}, now {now[key]!r}" for key in now if before[key] != now[key]]
        if changed:
            raise JobError(
                f"{job.folder} holds a job that was asked for with {'; '.join(changed)}; ask for the same to go on, choose "
                "another --out, or remove that folder"
            )
    else:
        job.write()
    origin = Path(job.parent).name if job.parent else "nothing"
    return job, f"{summary.task}: {summary}; starts from {origin}"


def train(job: TrainingJob, console: Console, *, config: ProcessConfig) -> TrainResult:
    """Run the job to its end, or until Ctrl-C."""
    weights: list[Weights] = []
    interrupted = False
    with TrainingProcess(job.folder, config) as process, TrainingBar(console, job.stage.value) as bar:
        process.start()
        while process.end is None:
            try:
                for event in process.poll():
                    _show(event, bar, weights)
                time.sleep(POLL_S)
            except KeyboardInterrupt:
                if interrupted:
                    return TrainResult(ProcessEnd(EndKind.STOPPED, "killed"), weights[-1] if weights else None, True)
                interrupted = True
                bar.say("saving the state; Ctrl-C again kills")
                process.stop()
        return TrainResult(process.end, weights[-1] if weights else None, interrupted)


def _show(event: Mapping[str, Any], bar: TrainingBar, weights: list[Weights]) -> None:
    if event["event"] == "checkpoint":
        weights.append(Weights.from_mapping(event))
        bar.say(f"weights {weights[-1].version}: {weights[-1].file}")
        return
    bar.show(
        step=int(event.get("step", 0)), total=int(event.get("total", 0)), eta_s=float(event.get("eta_s", -1.0)),
        metrics=dict(event.get("metrics") or {}), message=str(event.get("message", "")),
    )  # fmt: skip


def _parent(request: TrainRequest, out: Path, task: str) -> str:
    """File of the weights to start from; empty for none."""
    if request.parent:
        return named_parent(request.parent, task)
    stages = PARENT_STAGES[request.stage]
    if not stages:
        return ""
    for stage in stages:
        made = told_weights(out / f"{stage.value}.job") if stage is not request.stage else []
        if made:
            return made[-1].file
    raise JobError(
        f"{request.stage.value}: expected weights of stage {stages[0].value} to start from, found none in {out}; train "
        f"{stages[0].value} into the same --out first, or name a file or a shipped stage with --parent"
    )
