"""The commands of learning: train and eval without ROS, finetune and rollouts on the running robot.

Exit status: 0 done, 1 not done (failed, halted, refused), 130 interrupted, and then the same command goes on.
"""

from __future__ import annotations

import json as json_format
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sernf.terminal import Physics, Task, WhichGraph, console, fail
from sernf_learner.training_job import JobError, Stage

INTERRUPTED = 130

StageOption = Annotated[Stage, typer.Option(help="What to train; imitation comes first.")]
StepsOption = Annotated[int, typer.Option(min=0, help="Gradient steps; 0: the stage's default.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override the stage's configuration.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")]


def train(
    stage: StageOption,
    data: Annotated[Path, typer.Option(help="Folder of recorded episodes.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and the jobs' state.")],
    parent: Annotated[
        str, typer.Option(help="Weights to start from: a file or a shipped name. Default: the stage before in OUT.")
    ] = "",
    steps: StepsOption = 0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    settings: SetOption = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the numerical libraries.")] = 1,
    json: JsonOption = False,
) -> None:
    """Train one stage on recorded episodes, here and now, without ROS. Can be interrupted and called again."""
    from sernf.foreground_training import TrainRequest, make_job
    from sernf.foreground_training import train as run
    from sernf_learner.job_process import EndKind, ProcessConfig
    from sernf_learner.job_requests import read_settings

    try:
        job, told = make_job(
            TrainRequest(
                stage=stage, data=data, out=out, parent=parent, steps=steps, seed=seed, overrides=read_settings(settings or ())
            )
        )
    except (JobError, OSError) as error:
        fail(str(error))
    console.print(told, highlight=False, markup=False)
    try:
        result = run(job, console, config=ProcessConfig(nice=0, threads=threads))
    except OSError as error:
        fail(f"training could not be started: {error}")
    if json:
        weights = None if result.weights is None else vars(result.weights)
        typer.echo(json_format.dumps({"state": result.end.kind.value, "message": result.end.message, "weights": weights}))
    again = "call the same command again to go on"
    if result.interrupted and result.end.kind is not EndKind.DONE:
        fail(f"interrupted; {again}", INTERRUPTED)
    if result.end.kind is EndKind.HALTED:
        kept = "no weights were kept" if result.weights is None else f"the last good weights are {result.weights.file}"
        fail(f"training halted itself: {result.end.message}; {kept}")
    if result.end.kind is not EndKind.DONE:
        fail(f"{result.end.message}; {again}" if result.end.kind is EndKind.CRASHED else result.end.message)
    if result.weights is not None:
        console.print(f"done: {result.weights.file}. Try it: ./sernf eval --weights {result.weights.file}", highlight=False)


def evaluate(
    task: Annotated[Task, typer.Option(help="What to attempt.")] = Task.duck,
    weights: Annotated[str, typer.Option(help="File, or shipped name. Default: what bringup runs.")] = "",
    episodes: Annotated[int, typer.Option(min=1)] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Scene of the first episode; the others count up.")] = 10_000,
    twin: Annotated[bool, typer.Option("--twin", help="In the physics that stand in for the real robot.")] = False,
    candidates: Annotated[
        int | None, typer.Option(min=1, help="Chunks to choose from, by the critic. Default: the weights'.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0.0, help="Spread of the base distribution. Default: the weights'.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0: one a core.")] = 0,
    json: JsonOption = False,
) -> None:
    """Measure a policy in simulation, faster than real time, through the same chunk player and safety filter as on the robot."""
    try:
        from sernf_learner.evaluation import evaluate as measure
        from sernf_teacher.evaluation import evaluate_teacher, is_teacher
    except ImportError as error:
        fail(f"{error}; if torch was left out of this clone, set SERNF_TORCH_INDEX to a package index and run ./sernf setup")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    physics = "twin" if twin else "nominal"
    try:
        teacher = task is Task.cube and is_teacher(weights)
        if teacher and not (candidates is None and temperature is None):
            fail("expected neither --candidates nor --temperature for a teacher: it has one action for what it sees", 2)
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task(f"{task.value}, {physics}", total=episodes)

            def advance(done: int, total: int) -> None:
                progress.update(bar, completed=done, total=total)

            workers = workers or len(os.sched_getaffinity(0))
            if teacher:
                result = evaluate_teacher(
                    weights=weights or "teacher", episodes=episodes, seed=seed, twin=twin, threads=workers, progress=advance
                )
            else:
                result = measure(
                    task=task.value, weights=weights, episodes=episodes, seed=seed, physics=physics, temperature=temperature,
                    candidates=candidates, workers=workers, progress=advance,
                )  # fmt: skip
    except (RuntimeError, ValueError, OSError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted", INTERRUPTED)
    _print_evaluation(result)
    if json:
        typer.echo(json_format.dumps(result))


def _print_evaluation(result: dict[str, Any]) -> None:
    from sernf_robot.success_rate import describe_rate

    text = f"{result['weights']}: succeeded: {describe_rate(result['successes'], result['episodes'])}"
    if result["mean_time_s"] is not None:
        text += f"; successes took {result['mean_time_s']:.1f} s"
    if result["failures"]:
        text += "; failures: " + ", ".join(f"{count} {cause}" for cause, count in result["failures"].items())
    if "rpm" in result["extra"]:
        text += "; " + ", ".join(f"{name} {figure:.2f}" for name, figure in result["extra"].items())
    console.print(text, highlight=False, markup=False)


def rollouts(
    episodes: Annotated[int, typer.Option(min=1, help="How many.")] = 15,
    out: Annotated[
        Path | None, typer.Option(help="Folder of an own graph's episodes; filled up to --episodes. Default: runs/rollouts")
    ] = None,
    task: Annotated[Task, typer.Option(help="What to attempt.")] = Task.duck,
    seed: Annotated[int, typer.Option(min=0, help="Scene of the first episode; the others count up.")] = 1000,
    physics: Annotated[Physics | None, typer.Option(help="Of an own graph. Default: nominal")] = None,
    weights: Annotated[str, typer.Option(help="File or shipped name to load. Default: what the policy runs.")] = "",
    explore: Annotated[
        bool, typer.Option(help="Try things out, to be learnt from, instead of acting as well as it can.")
    ] = False,
    graph: Annotated[
        WhichGraph, typer.Option(help="The graph that runs in this ROS domain, one of its own, or what there is.")
    ] = WhichGraph.auto,
    cameras: Annotated[
        bool | None, typer.Option(help="Render and record the two cameras of an own graph. Default: where the task needs them")
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option(min=1.0, help="Seconds until an attempt counts as failed. Default: the task's")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Let the policy act, record and label. In simulation scenes are reset and judged; on a real robot you are asked."""
    from sernf.graph import GraphError
    from sernf.rollouts import RolloutRequest, run_rollouts
    from sernf.service_calls import CallError

    request = RolloutRequest(
        task=task.value, episodes=episodes, seed=seed, graph=graph, out=out,
        physics=None if physics is None else physics.value, weights=weights, explore=explore,
        cameras=cameras, time_limit_s=time_limit,
    )  # fmt: skip
    try:
        result = run_rollouts(request, console)
    except (GraphError, CallError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted; the last episode is discarded, the others are kept", INTERRUPTED)
    console.print(f"{result}; recorded in {result.directory}", highlight=False, markup=False)
    if json:
        typer.echo(result.as_json())


def finetune(
    stage: Annotated[Stage | None, typer.Option(help="What to train.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of recorded episodes.")] = None,
    steps: StepsOption = 0,
    settings: SetOption = None,
    parent: Annotated[str, typer.Option(help="Weights to start from. Default: see docs/learning.md.")] = "",
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    wait: Annotated[bool, typer.Option(help="Follow the job to its end.")] = True,
    follow: Annotated[str, typer.Option(metavar="JOB", help="Follow a job that was asked for before.")] = "",
    cancel: Annotated[str, typer.Option(metavar="JOB", help="Cancel a job; 'running' for the one at work.")] = "",
    listing: Annotated[bool, typer.Option("--list", help="Show all jobs.")] = False,
    json: JsonOption = False,
) -> None:
    """Ask the running learner for a stage of training and follow it. It goes on when you detach (Ctrl-C)."""
    from sernf.service_calls import CallError

    wanted = [stage is not None, bool(follow), bool(cancel), listing]
    if sum(wanted) != 1 or (stage is None) != (data is None):
        fail("expected --stage with --data, or one of --follow, --cancel and --list; see ./sernf finetune --help", 2)
    try:
        overrides = _overrides(settings or (), parent, seed)
        _finetune(stage, data, steps, overrides, wait=wait, follow=follow, cancel=cancel, json=json)
    except (CallError, JobError) as error:
        fail(str(error))


def _finetune(
    stage: Stage | None, data: Path | None, steps: int, overrides: str, *, wait: bool, follow: str, cancel: str, json: bool
) -> None:
    from sernf.finetune import JobRequest, LearnerClient, as_mapping, follow_until_told, table_of
    from sernf.graph import spinning_node

    with spinning_node("finetune") as node:
        client = LearnerClient(node)
        client.find()
        if cancel:
            console.print(client.cancel("" if cancel == "running" else cancel), highlight=False, markup=False)
            return
        if stage is None and not follow:
            jobs = client.jobs()
            console.print(table_of(jobs))
            if json:
                typer.echo(json_format.dumps([as_mapping(job) for job in jobs]))
            return
        job_id = follow
        if stage is not None and data is not None:
            dataset = str(data.expanduser().absolute())
            answer = client.submit(JobRequest(stage=stage.value, dataset=dataset, steps=steps, overrides=overrides))
            job_id = answer.job_id
            console.print(f"{job_id}: {answer.message}", highlight=False, markup=False)
            if stage is Stage.ONLINE_RL:
                console.print("it learns from what the policy does: ./sernf rollouts --graph running, in a second terminal")
        state = follow_until_told(client, job_id, job_id, console, _ask) if wait else None
        if json:
            typer.echo(json_format.dumps({"job_id": job_id} if state is None else as_mapping(state)))
        if state is None:
            console.print(f"it goes on; come back with ./sernf finetune --follow {job_id}", highlight=False)
        elif state.state == "done":
            console.print(f"{job_id}: done", highlight=False)
        else:
            fail(f"{job_id}: {state.state}: {state.message}")


def _overrides(settings: Sequence[str], parent: str, seed: int | None) -> str:
    from sernf_learner.job_requests import read_settings

    overrides = read_settings(settings)
    if parent:
        is_file = Path(parent).expanduser().is_file()
        overrides["parent"] = str(Path(parent).expanduser().absolute()) if is_file else parent
    if seed is not None:
        overrides["seed"] = seed
    return yaml.safe_dump(overrides) if overrides else ""


def _ask() -> Any:
    """At Ctrl-C: what to do with the job."""
    if not sys.stdin.isatty():
        return "detach"
    try:
        answer = console.input("[bold]d[/]etach, [bold]c[/]ancel the job, or Enter to go on watching? ")
    except (EOFError, KeyboardInterrupt):
        return "detach"
    return {"d": "detach", "c": "cancel"}.get(answer.strip().lower()[:1], "go on")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, command in (("train", train), ("eval", evaluate), ("finetune", finetune), ("rollouts", rollouts)):
        app.command(name)(command)
