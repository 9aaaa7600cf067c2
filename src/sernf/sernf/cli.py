"""The `sernf` command: start the robot, record demonstrations, look at data, measure.

Every command says what it expects, what came and what to do when something is wrong, and ends with a non-zero status.
"""

from __future__ import annotations

import importlib
import os
import time
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from sernf import learning_commands
from sernf.terminal import Demonstrated, Physics, console, fail

app = typer.Typer(
    name="sernf",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="A dexterous robot that learns from a few demonstrations and improves its own policy. Start with: [bold]./sernf up[/]",
)

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


class Speed(str, Enum):
    """How fast the simulated robot runs."""

    real = "real"


class Device(str, Enum):
    """Operator devices."""

    keyboard = "keyboard"
    gamepad = "gamepad"
    pose_topic = "pose_topic"


class Bench(str, Enum):
    """Benches."""

    control = "control"
    sim = "sim"
    inference = "inference"
    learner = "learner"
    swap = "swap"
    loop = "loop"
    cube = "cube"
    vision = "vision"


@app.command(context_settings=PASS_ON)
def up(context: typer.Context) -> None:
    """Start the whole stack; launch arguments follow as NAME:=VALUE. [dim]Explained by: ./sernf up --show-args[/]

    Without arguments: the simulated robot, with its demonstrator putting ducks into the bowl until Ctrl-C.
    """
    arguments = [
        argument if ":=" in argument or argument.startswith("-") else _not_an_argument(argument) for argument in context.args
    ]
    from sernf.graph import launch_file

    os.execvp("ros2", ["ros2", "launch", str(launch_file()), *arguments])


def _not_an_argument(argument: str) -> str:
    raise typer.BadParameter(f"expected launch arguments as NAME:=VALUE, got '{argument}'; see ./sernf up --show-args")


@app.command()
def demos(
    out: Annotated[Path, typer.Option(help="Folder for the episodes; one that holds some already is filled up to --episodes.")],
    task: Annotated[Demonstrated, typer.Option(help="What to demonstrate.")] = Demonstrated.duck,
    episodes: Annotated[int, typer.Option(min=1, help="Labelled episodes to have in the end.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Scene of the first episode; the others count up.")] = 1,
    physics: Annotated[Physics, typer.Option(help="The twin stands in for a real robot.")] = Physics.nominal,
    cameras: Annotated[
        bool | None, typer.Option(help="Render and record the two cameras. Default: where policies of the task see through them")
    ] = None,
    speed: Annotated[Speed, typer.Option(help="The graph runs in real time, as on the robot.")] = Speed.real,
) -> None:
    """Record labelled demonstrations of the simulated robot through ROS, headless. Can be interrupted and called again."""
    from sernf.demos import record_demonstrations
    from sernf.graph import GraphError
    from sernf.service_calls import CallError

    try:
        outcomes = record_demonstrations(
            task=task.value, episodes=episodes, directory=out, seed=seed, physics=physics.value, cameras=cameras, console=console
        )
    except (GraphError, CallError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail(f"interrupted; call the same command again to go on in {out}")
    successes = sum(outcome.label == "success" for outcome in outcomes)
    dropped = sum(outcome.dropped for outcome in outcomes)
    console.print(
        f"{len(outcomes)} episodes recorded, {successes} successes, {dropped} messages dropped. Look at them: ./sernf bag {out}"
    )


@app.command()
def bag(
    directory: Annotated[Path, typer.Argument(help="Folder of episodes, or one episode.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")] = False,
    plot: Annotated[bool, typer.Option(help="Write joint_traces.png into the folder.")] = True,
) -> None:
    """Inspect recorded episodes: labels, durations, rates, gaps, dropped messages, value ranges, and what is broken."""
    from sernf import bag_report

    if not directory.is_dir():
        fail(
            f"expected a folder of episodes, got {directory}, which does not exist; record some: ./sernf demos --out {directory}"
        )
    report = bag_report.report(directory)
    bag_report.print_report(report, console)
    png = directory / "joint_traces.png"
    if plot and report.episodes and bag_report.plot_joint_traces(directory, png):
        console.print(f"joint traces: {png}")
    if json:
        typer.echo(bag_report.as_json(report))


@app.command()
def bench(
    name: Annotated[Bench, typer.Argument(help="What to measure.")],
    seconds: Annotated[float, typer.Option(min=1.0, help="How long to measure.")] = 60.0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")] = False,
) -> None:
    """Measure a hot path: percentiles, compared in the same run with what the bare machine can do."""
    from sernf.bench.report import as_json, machine, print_report

    where = machine()
    started = time.monotonic()
    try:
        report = importlib.import_module(f"sernf.bench.{name.value}").measure(seconds, console)
    except RuntimeError as error:
        fail(str(error))
    print_report(name.value, report, console)
    if json:
        typer.echo(as_json(name.value, time.monotonic() - started, where, report))


@app.command(context_settings=PASS_ON)
def teleop(
    context: typer.Context,
    device: Annotated[Device, typer.Option(help="What is in your hand.")] = Device.keyboard,
) -> None:
    """Move the running robot by hand, in this terminal; works over ssh. Start the robot first: ./sernf up operator:=none"""
    from ament_index_python.packages import get_package_share_directory

    from sernf_teleop.teleop_node import run_in_terminal

    config = Path(get_package_share_directory("sernf")) / "config" / "teleop.yaml"
    run_in_terminal(device.value, config, context.args)


learning_commands.register(app)


def main() -> None:
    """Entry point."""
    app(prog_name="./sernf" if "SERNF_STARTED_AT" in os.environ else None)


if __name__ == "__main__":
    main()
