"""The commands of `./sernf`: prepares the clone, then becomes the program that does the job."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from sernf_setup.environment import Environment
from sernf_setup.errors import SetupError
from sernf_setup.layout import Layout
from sernf_setup.preparation import clean, prepare
from sernf_setup.progress import Progress

ROOT = Path(__file__).resolve().parents[2]
OF_THE_STACK = ("up", "demos", "rollouts", "bag", "finetune", "train", "eval", "bench", "teleop")
"""Commands that package `sernf` holds."""

USAGE = """\
usage: ./sernf COMMAND [arguments]

A dexterous robot that learns from a few demonstrations. The first call sets everything up (some minutes, nothing outside this
folder); later calls start at once and rebuild only what changed.

the robot
  up [NAME:=VALUE ...]     start the whole stack, in simulation unless told otherwise (all arguments: ./sernf up --show-args)
  demos --task duck ...    record demonstrations as rosbag2
  teleop                   drive the robot by hand
  bag DIR                  look into recorded episodes and name what is broken
  rollouts                 let the policy act, record and label
  bench NAME               measure: control, sim, inference, learner, swap, loop
  each explains itself: ./sernf demos --help

learning
  finetune --stage S ...   ask the running robot's learner for training, and follow it
  train --stage S ...      train here and now, without ROS
  eval --weights W ...     measure a policy in simulation, faster than real time

the environment
  ros2 ...                 the ros2 command:  ./sernf ros2 launch sernf bringup.launch.py
  run COMMAND ...          any command inside the environment
  shell                    an interactive shell inside it
  env                      print it, to be sourced:  source <(./sernf env)

the project
  test [--slow] [...]      run the tests; further arguments go to pytest
  setup                    only set up
  clean                    remove everything that set-up made (.venv, build, install, log, .sernf)

variables
  SERNF_PYTHON             the Python to use (3.10 to 3.13)
  SERNF_TORCH_INDEX        package index to take torch from (remembered); `none` leaves torch out
"""


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status; most commands replace this process instead."""
    started = time.time()
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE, end="")  # noqa: T201
        return 0
    name, rest = arguments[0], list(arguments[1:])
    if name not in (*OF_THE_STACK, "ros2", "run", "shell", "env", "test", "setup", "clean"):
        return _fail(f"sernf: expected a command, got '{name}'; ./sernf --help lists them", 2)
    if name == "run" and not rest:
        return _fail("sernf: expected a command after run, got nothing; for example: ./sernf run python", 2)
    progress = Progress()
    try:
        if name == "clean":
            clean(Layout(root=ROOT))
            return 0
        made = prepare(ROOT, os.environ, progress)
    except SetupError as error:
        return _fail(f"sernf: cannot set up\n  {error}", 1)
    except KeyboardInterrupt:
        return _fail("\nsernf: interrupted; the next run goes on from here", 130)
    if name == "env":
        print(made.as_shell())  # noqa: T201
        return 0
    if name == "setup":
        return 0
    return _become(name, rest, made, started, progress.download_s)


def _become(name: str, rest: list[str], made: Environment, started: float, download_s: float) -> int:
    python = str(Layout(root=ROOT).python)
    if name in OF_THE_STACK:
        command = [python, "-m", "sernf.cli", name, *rest]
    elif name == "test":
        os.chdir(ROOT)
        slow = ["-m", "slow or not slow"] if "--slow" in rest else []
        command = [python, "-m", "pytest", *slow, *(argument for argument in rest if argument != "--slow")]
    elif name == "shell":
        command = [os.environ.get("SHELL", "/bin/bash"), *rest]
    else:
        command = ["ros2", *rest] if name == "ros2" else rest
    environment = made.applied_to(os.environ)
    if name == "test":
        # The tests' matrices are small; where cores are shared, threads that wait for each other made them six times slower.
        environment.setdefault("OMP_NUM_THREADS", "1")
        # A script's shell starts what runs in the background deaf to Ctrl-C, and tests press it.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    environment.setdefault("SERNF_STARTED_AT", f"{started:.3f}")
    environment.setdefault("SERNF_DOWNLOAD_S", f"{download_s:.3f}")
    sys.stdout.flush()
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        return _fail(f"sernf: expected to run `{shlex.join(command)}`, got: {error.strerror}; is it installed?", 127)


def _fail(message: str, status: int) -> int:
    print(message, file=sys.stderr)  # noqa: T201
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
