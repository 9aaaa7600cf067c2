"""What the learner node can be told; see config/learner.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sernf_learner.job_process import ProcessConfig


@dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """`directory`: holds jobs, their state and the weights they make. `process`: how training is run.

    `restarts`: how often in a row a killed training process is started again without having come a step further;
    `restart_delay_s`: after how long. `history`: ended jobs that are remembered. `longest_queue`: jobs that may wait.
    `start_free_mb`: no job is taken with less free space. `progress_period_s`: between two messages of training_progress.
    `seed`: of jobs that name none.
    """

    directory: Path = Path("runs/learner")
    process: ProcessConfig = field(default_factory=ProcessConfig)
    restarts: int = 3
    restart_delay_s: float = 2.0
    history: int = 200
    longest_queue: int = 20
    start_free_mb: float = 300.0
    progress_period_s: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, lowest in (("restarts", 0), ("history", 1), ("longest_queue", 1), ("start_free_mb", 0), ("seed", 0)):
            if getattr(self, name) < lowest:
                raise ValueError(f"{name}: expected {lowest} or more, got {getattr(self, name)}")
        if self.restart_delay_s < 0 or self.progress_period_s <= 0:
            raise ValueError(
                "restart_delay_s, progress_period_s: expected 0 or more and a positive number of seconds, "
                f"got {self.restart_delay_s} and {self.progress_period_s}"
            )
