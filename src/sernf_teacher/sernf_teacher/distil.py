"""Distil the cube's teacher into a flow policy that sees what a robot can measure; call it again and it goes on where it was.

    python -m sernf_teacher.distil --teacher runs/cube/teacher.safetensors --out runs/student

In rounds: collect episodes (first the teacher's, then the student's with the teacher taking over), train on all of them. Writes
into OUT: `round_N.pt` and `round_N.safetensors` (what was collected, and the training's state after it), `metrics.jsonl`,
`curves.png`, and `student.safetensors` with its JSON, a policy of the stage imitation.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sernf_learner.curves import draw_curves
from sernf_learner.episode import Ending, Episode
from sernf_learner.learner_state import read_state, write_state
from sernf_learner.learning_config import task_config
from sernf_learner.losses import Metrics
from sernf_learner.metrics_log import MetricsLog
from sernf_learner.session import TrainingSession
from sernf_learner.training_job import Stage
from sernf_policy.checkpoint_files import CheckpointError
from sernf_teacher.cube_env import CubeEnv, CubeEnvConfig
from sernf_teacher.curriculum import STAGES, TOP
from sernf_teacher.distil_rollouts import DistilRollouts, Drive
from sernf_teacher.evaluation import teacher_path
from sernf_teacher.grasps import load_grasps
from sernf_teacher.teacher_weights import Teacher, load_teacher
from sernf_teacher.training_state import load_state, save_state

log = logging.getLogger(__name__)
TASK = "cube"
LIMIT_MARGIN_RAD = 0.04
"""Whoever runs into a limit is braked by the bridge, and then does something else than he wanted. The teacher may, the student,
whose chunks go a little beyond what it was shown (`policy.margin`), would at every other tick."""


@dataclass(frozen=True, kw_only=True)
class DistilConfig:
    """`copies` hands for `ticks` control ticks a round; gradient steps of the first round, and of each that follows."""

    rounds: int = 7
    copies: int = 96
    ticks: int = 400
    first_steps: int = 3000
    more_steps: int = 1500
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rounds", "copies", "ticks", "first_steps", "more_steps", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected 1 or more, got {getattr(self, name)}")

    def steps_after(self, round_: int) -> int:
        """Gradient steps that are done when round `round_` is."""
        return self.first_steps + round_ * self.more_steps


class Distillation:
    """All rounds; those that were finished before are read instead of made again."""

    def __init__(self, config: DistilConfig, teacher: Teacher, out: Path, overrides: dict[str, Any] | None = None) -> None:
        self.config, self._teacher, self._out = config, teacher, out
        self._learning = task_config(TASK, {"threads": config.threads, **(overrides or {})})
        self._layout = self._learning.layout(TASK)
        self._session: TrainingSession | None = None

    def run(self) -> Path:
        """Returns the student's file."""
        config = self.config
        for round_ in range(config.rounds):
            episodes = self._collected(round_)
            if self._session is None:
                self._session = TrainingSession(
                    Stage.IMITATION, self._layout, episodes, self._learning, None, config.seed,
                    steps=config.steps_after(config.rounds - 1),
                )  # fmt: skip
            else:
                for episode in episodes:
                    self._session.data.add(episode)
            self._trained(self._session, round_)
        assert self._session is not None
        student = self._out / "student.safetensors"
        self._session.save(student)
        return student

    def _collected(self, round_: int) -> Sequence[Episode]:
        file = self._out / f"round_{round_}.pt"
        if not file.is_file():
            episodes, drive = self._collect(round_)
            packed = {str(number): _packed(episode) for number, episode in enumerate(episodes)}
            save_state(file, {"drive": vars(drive), "episodes": packed})
        state = load_state(file)
        drive = Drive(**state["drive"])
        kept = [_unpacked(packed) for packed in state["episodes"].values()]
        log.info(
            "round %d: %d ticks in %d episodes; the student alone: %.2f counted turns and %.2f drops a minute",
            round_, sum(map(len, kept)), len(kept), drive.turns_per_minute, drive.drops_per_minute,
        )  # fmt: skip
        return kept

    def _collect(self, round_: int) -> tuple[list[Episode], Drive]:
        config = self.config
        seed = 1000 * config.seed + round_
        env_config = CubeEnvConfig(
            copies=config.copies, threads=config.threads, episode_steps=config.ticks + 1, ring_share=0.0,
            practice_share=0.0, limit_margin_rad=LIMIT_MARGIN_RAD,
        )  # fmt: skip
        stage = STAGES[TOP]
        env = CubeEnv(env_config, load_grasps(), stage, seed)
        env.set_stage(stage, self._teacher.info["level"] / TOP)
        acting = self._learning.imitation_acting
        student = None if self._session is None else self._session.learner.average
        rollouts = DistilRollouts(env, self._teacher, self._layout, acting.player, seed)
        began = time.monotonic()

        def progress(tick: int) -> None:
            if tick % 50 == 0:
                left_s = (time.monotonic() - began) / tick * (config.ticks - tick)
                log.info("round %d: tick %d of %d, %.0f s left", round_, tick, config.ticks, left_s)

        try:
            return rollouts.run(config.ticks, student, acting.temperature, progress)
        finally:
            env.batch.close()

    def _trained(self, session: TrainingSession, round_: int) -> None:
        file = self._out / f"round_{round_}.safetensors"
        if file.is_file():
            session.restore(read_state(file))
            return
        metrics = MetricsLog(self._out, session.step)
        began, before, until = time.monotonic(), session.step, self.config.steps_after(round_)

        def note(step: int, figures: Metrics) -> None:
            metrics.add(figures)
            if step % 100 == 0 or step == until:
                metrics.flush(step)
                left_s = (time.monotonic() - began) / (step - before) * (until - step)
                log.info("round %d: step %d of %d, %.0f s left  %s", round_, step, until, left_s, _shown(metrics.latest))

        session.run(until, note)
        metrics.close()
        write_state(file, session.tensors())
        draw_curves(metrics.file, self._out / "curves.png", title="cube student")


def _shown(figures: Metrics) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in figures.items())


def _packed(episode: Episode) -> dict[str, Any]:
    content = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(episode).items()}
    return {**content, "ending": episode.ending.value}


def _unpacked(content: dict[str, Any]) -> Episode:
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
    values["ending"] = Ending(content["ending"])
    return Episode(**values)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", default="teacher", help="a file, or `teacher` for the shipped one")
    parser.add_argument("--out", type=Path, required=True)
    names = ("rounds", "copies", "ticks", "threads", "seed")
    for name in names:
        parser.add_argument(f"--{name}", type=int, default=getattr(DistilConfig, name))
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        config = DistilConfig(**{name: getattr(arguments, name) for name in names})
        teacher = load_teacher(teacher_path(arguments.teacher))
    except (ValueError, CheckpointError) as error:
        parser.error(str(error))
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    student = Distillation(config, teacher, arguments.out).run()
    log.info("done: %s. Try it: ./sernf eval --task cube --twin --weights %s", student, student)


if __name__ == "__main__":
    main()
