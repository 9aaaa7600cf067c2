"""A learner in a process of its own without ROS, to be killed: `python learner_process.py FOLDER ANNOUNCED` until no job is left.

Appends the hash of every announced checkpoint to the file ANNOUNCED.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from dummy_training import COMMAND

from sernf_learner.job_process import ProcessConfig
from sernf_learner.learner import Learner
from sernf_learner.learner_config import LearnerConfig


def make_config(folder: Path) -> LearnerConfig:
    """With the dummy as the training process."""
    process = ProcessConfig(command=COMMAND, nice=0)
    return LearnerConfig(directory=folder, process=process, restart_delay_s=0.0, restarts=50, start_free_mb=0.0)


def main(folder: Path, announced: Path) -> None:
    """Work until no job is left."""
    with Learner(make_config(folder)) as learner, announced.open("a") as file:
        while any(not record.has_ended for record in learner.jobs()):
            for weights in learner.tick().weights:
                file.write(f"{weights.sha256}\n")
                file.flush()
            time.sleep(0.02)
        learner.tick()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
