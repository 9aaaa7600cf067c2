"""How much each stage adds, over several draws of demonstrations: `./sernf run python bench/learning/study.py --out runs/study`.

For each seed: 30 demonstrations on the twin, imitation, critic warm-up, offline RL, 15 online rollouts, and after each stage
rollouts in scenes that nothing was trained or chosen on. All in simulation without ROS, through the same chunk player and safety
filter. Imitation's temperature is swept first, on other scenes, so that RL is compared with imitation at its best.
Every finished part is kept in the output folder; the same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pickle
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from variants import ACTING, VARIANTS

from sernf_learner.evaluation import EvaluationPlan, report
from sernf_learner.learning_config import task_config
from sernf_learner.session import TrainingSession, train_to_file
from sernf_learner.sim_rollout import Outcome, SimRollouts
from sernf_learner.training_job import Stage
from sernf_policy.acting import ActingConfig
from sernf_policy.checkpoint import load_checkpoint
from sernf_policy.engine import Planner
from sernf_policy.runtime import EagerEngine
from sernf_sim.physics import load_physics

PHYSICS = "twin"
DEMONSTRATIONS, ROLLOUTS = {"duck": 30, "scissors": 40}, {"duck": 15, "scissors": 50}
TEST_SEED, TUNING_SEED, ONLINE_SEED, DEMO_SEED = 1_000_000, 2_000_000, 3_000_000, 4_000_000
"""First scenes of each kind: no scene serves two purposes."""
TEMPERATURES = (0.3, 0.5, 0.7)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/study"))
    parser.add_argument("--task", choices=sorted(DEMONSTRATIONS), default="duck")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--episodes", type=int, default=100, help="test rollouts of each stage")
    parser.add_argument("--tuning-episodes", type=int, default=8, help="rollouts for each temperature; 0: the configured one")
    parser.add_argument("--variants", nargs="+", choices=sorted(VARIANTS), default=["sernf"])
    parser.add_argument("--offline-episodes", type=int, default=40, help="test rollouts after offline RL, on the way")
    parser.add_argument("--acting-episodes", type=int, default=0, help="test rollouts of each other way of acting")
    parser.add_argument("--workers", type=int, default=2, help="seeds at the same time")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    counts = Counts(options.episodes, options.tuning_episodes, options.offline_episodes, options.acting_episodes)
    with ProcessPoolExecutor(options.workers) as pool:
        for borrowed in (False, True):  # those that start from another's imitation come after it
            names = [name for name in options.variants if bool(VARIANTS[name].imitation_of) == borrowed]
            jobs = [(options.task, name, seed, options.out, counts) for seed in options.seeds for name in names]
            for name, seed, seconds in pool.map(_study_seed, jobs):
                sys.stderr.write(f"{name}, seed {seed}: done after {seconds:.0f} s\n")


@dataclasses.dataclass(frozen=True)
class Counts:
    """Rollouts: of the tests of imitation and of online RL, of each temperature in the sweep, of the test of offline RL, and of
    each way of acting in ACTING.
    """

    test: int
    tuning: int
    offline: int
    acting: int


def _study_seed(job: tuple[str, str, int, Path, Counts]) -> tuple[str, int, float]:
    task, variant, seed, out, counts = job
    began = time.monotonic()
    torch.set_num_threads(1)
    SeedStudy(task, variant, seed, out, counts).run()
    return variant, seed, time.monotonic() - began


class SeedStudy:
    """One variant on one draw of demonstrations. Parts that are there already are not done again."""

    def __init__(self, task: str, variant: str, seed: int, out: Path, counts: Counts) -> None:
        self.task, self.variant, self.seed, self.counts = task, variant, seed, counts
        self.config = task_config(task, VARIANTS[variant].overrides)
        self.layout = self.config.layout(task)
        self.folder = out / variant / f"seed{seed}"
        self.imitation_folder = out / (VARIANTS[variant].imitation_of or variant) / f"seed{seed}"
        # Pictures are recorded as the policy sees them.
        self.demos_folder = out / ("demonstrations_seen" if self.layout.cameras else "demonstrations")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.demos_folder.mkdir(parents=True, exist_ok=True)
        self.rollouts = SimRollouts(task, load_physics(PHYSICS), step_period_s=self.layout.step_period_s)

    def run(self) -> None:
        """All stages in turn."""
        demos = self._kept(self.demos_folder / f"seed{self.seed}.pkl", self._demonstrate)
        episodes = [outcome.episode for outcome in demos]
        if self.imitation_folder == self.folder:
            self._train(Stage.IMITATION, "", episodes)
            self._test("imitation", self._tuned_acting())
        self._train(Stage.CRITIC_WARMUP, "imitation", episodes)
        self._train(Stage.OFFLINE_RL, "critic_warmup", episodes)
        if self.counts.offline:
            self._test("offline_rl", self.config.acting, self.counts.offline)
        self._train_online(episodes)
        self._test("online_rl", self.config.acting)
        if self.variant == "sernf" and self.counts.acting:
            for name, overrides in ACTING.items():
                changed = task_config(self.task, {f"acting.{key}": value for key, value in overrides.items()})
                self._test("online_rl", changed.acting, self.counts.acting, suffix=f".{name}")

    def _demonstrate(self) -> list[Outcome]:
        first = DEMO_SEED + 1000 * self.seed
        return [
            self.rollouts.run_demonstrator(scene, cameras=self.layout.cameras)
            for scene in range(first, first + DEMONSTRATIONS[self.task])
        ]

    def _train(self, stage: Stage, parent: str, episodes: Sequence[Any]) -> None:
        path, start = self.folder / f"{stage.value}.safetensors", load_checkpoint(self._weights(parent)) if parent else None
        train_to_file(path, stage, self.layout, episodes, self.config, start, self.seed)

    def _train_online(self, episodes: Sequence[Any]) -> None:
        path = self.folder / "online_rl.safetensors"
        if path.with_suffix(".json").is_file():
            return
        start = load_checkpoint(self.folder / "offline_rl.safetensors")
        session = TrainingSession(Stage.ONLINE_RL, self.layout, episodes, self.config, start, self.seed)
        results = []
        for number in range(ROLLOUTS[self.task]):
            learner = session.learner
            engine = EagerEngine(learner.average, learner.critic_target)
            outcome = self._rollout(engine, self.config.acting, ONLINE_SEED + 1000 * self.seed + number)
            results.append({"success": outcome.success, "seconds": outcome.seconds, "stage": outcome.stage})
            session.data.add(outcome.episode)
            session.run(session.step + self.config.online_steps_per_episode)
        session.save(path)
        self._write("online_rollouts", results)

    def _weights(self, stage: str) -> Path:
        folder = self.imitation_folder if stage == Stage.IMITATION.value else self.folder
        return folder / f"{stage}.safetensors"

    def _rollout(self, engine: EagerEngine, acting: ActingConfig, scene: int) -> Outcome:
        planner = Planner(self.layout, acting, engine, has_critic=acting.candidates > 1)
        rng = np.random.default_rng([scene, 1])
        return self.rollouts.run_policy(
            lambda vector: planner.plan(vector, rng).position_rad, self.layout, acting.player, scene, planner.see
        )

    def _tuned_acting(self) -> ActingConfig:
        """Imitation's best temperature on scenes of their own; the configured one where nothing is tuned."""
        if not self.counts.tuning:
            return self.config.imitation_acting
        table = self._kept(self.folder / "imitation_sweep.pkl", self._sweep)
        best = max(table, key=lambda row: (row["successes"], -(row["mean_time_s"] or 99.0)))
        return dataclasses.replace(self.config.imitation_acting, temperature=best["temperature"])

    def _sweep(self) -> list[dict[str, Any]]:
        acting, scenes = self.config.imitation_acting, TUNING_SEED + 1000 * self.seed
        rows = [
            self._evaluate("imitation", dataclasses.replace(acting, temperature=value), scenes, self.counts.tuning)
            for value in TEMPERATURES
        ]
        self._write("imitation_sweep", rows)
        return rows

    def _test(self, stage: str, acting: ActingConfig, episodes: int = 0, suffix: str = "") -> None:
        name = f"{stage}{suffix}.result"
        if not (self.folder / f"{name}.json").is_file():
            first = TEST_SEED + 1000 * self.seed
            self._write(name, self._evaluate(stage, acting, first, episodes or self.counts.test))

    def _evaluate(self, stage: str, acting: ActingConfig, first_scene: int, count: int) -> dict[str, Any]:
        path = self._weights(stage)
        scenes = range(first_scene, first_scene + count)
        plan = EvaluationPlan(task=self.task, weights=path, physics=PHYSICS, acting=acting, seeds=scenes)
        checkpoint = load_checkpoint(path)
        engine = EagerEngine(checkpoint.policy, checkpoint.critic if acting.candidates > 1 else None)
        outcomes = [self._rollout(engine, acting, scene) for scene in scenes]
        row = report(outcomes, checkpoint, plan, name=stage, seed=first_scene)
        row["seconds_by_scene"] = [outcome.seconds if outcome.success else None for outcome in outcomes]
        return row

    def _write(self, name: str, content: Any) -> None:
        (self.folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf8")

    @staticmethod
    def _kept(file: Path, make: Callable[[], Any]) -> Any:
        """Read `file`, or make it. Pickled: only ever read by the study that wrote it."""
        if not file.is_file():
            temporary = file.with_suffix(".new")
            temporary.write_bytes(pickle.dumps(make()))
            temporary.replace(file)
        return pickle.loads(file.read_bytes())


if __name__ == "__main__":
    main()
