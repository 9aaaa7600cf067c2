"""What online RL adds to distilled students on the twin: `./sernf run python bench/cube/study.py STUDENT... --out runs/cube_rl`.

For each student: test rollouts as it is; exploring, from which its critic is warmed up and offline RL learns; then online RL,
rollout by rollout, until the robot time is used up; test rollouts with the last weights. All in simulation without ROS, through
the same chunk player and safety filter. Robot time of the warm-up counts too. Finished parts are kept in the output folder; the
same command goes on where it was interrupted.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from robot_minutes import WINDOW_S, Rollout, level

from sernf_learner.episode import Ending, Episode
from sernf_learner.evaluation import EvaluationPlan, report
from sernf_learner.learning_config import task_config
from sernf_learner.session import TrainingSession, train_to_file
from sernf_learner.sim_rollout import Outcome, SimRollouts
from sernf_learner.training_job import Stage
from sernf_policy.acting import ActingConfig
from sernf_policy.checkpoint import load_checkpoint
from sernf_policy.engine import Planner
from sernf_policy.observation import Array, Array32
from sernf_policy.runtime import EagerEngine
from sernf_sim.physics import load_physics

TASK, PHYSICS = "cube", "twin"
TEST_SEED, WARMUP_SEED, ONLINE_SEED = 1_000_000, 2_000_000, 3_000_000
"""First scenes of each kind: no scene serves two purposes."""


@dataclass(frozen=True)
class Budget:
    """Test rollouts; minutes of robot time of warm-up and online RL; overrides of settings."""

    test: int
    warmup_min: float
    online_min: float
    overrides: dict[str, Any]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("students", type=Path, nargs="+", help="weights of the stage imitation, one for each seed")
    parser.add_argument("--out", type=Path, default=Path("runs/cube_study"))
    parser.add_argument("--episodes", type=int, default=50, help="test rollouts of each stage")
    parser.add_argument("--warmup-minutes", type=float, default=5.0)
    parser.add_argument("--online-minutes", type=float, default=20.0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override of a setting of learning")
    parser.add_argument("--workers", type=int, default=2, help="seeds at the same time")
    options = parser.parse_args()
    overrides = {key: json.loads(value) for key, _, value in (item.partition("=") for item in options.set)}
    budget = Budget(options.episodes, options.warmup_minutes, options.online_minutes, overrides)
    jobs = [(student, seed, options.out / f"seed{seed}", budget) for seed, student in enumerate(options.students)]
    with ProcessPoolExecutor(options.workers) as pool:
        for folder, seconds in pool.map(_study, jobs):
            sys.stderr.write(f"{folder}: done after {seconds:.0f} s\n")


def _study(job: tuple[Path, int, Path, Budget]) -> tuple[Path, float]:
    began = time.monotonic()
    torch.set_num_threads(1)
    SeedStudy(*job).run()
    return job[2], time.monotonic() - began


class SeedStudy:
    """One student. Parts that are there already are not done again."""

    def __init__(self, student: Path, seed: int, folder: Path, budget: Budget) -> None:
        self.student, self.seed, self.folder, self.budget = student, seed, folder, budget
        self.config = task_config(TASK, budget.overrides)
        self.layout = load_checkpoint(student).info.layout
        self.rollouts = SimRollouts(TASK, load_physics(PHYSICS), step_period_s=self.layout.step_period_s)
        folder.mkdir(parents=True, exist_ok=True)

    def run(self) -> None:
        """All parts in turn."""
        self._test("imitation", self.student, self.config.imitation_acting)
        warmup = self._kept("warmup", self._warm_up)
        episodes = [outcome.episode for outcome in warmup]
        critic, offline = self.folder / "critic_warmup.safetensors", self.folder / "offline_rl.safetensors"
        train_to_file(critic, Stage.CRITIC_WARMUP, self.layout, episodes, self.config, load_checkpoint(self.student), self.seed)
        train_to_file(offline, Stage.OFFLINE_RL, self.layout, episodes, self.config, load_checkpoint(critic), self.seed)
        self._test("offline_rl", offline, self.config.acting)
        self._train_online(episodes, offline)
        self._test("online_rl", self.folder / "online_rl.safetensors", self.config.acting)

    def _warm_up(self) -> list[Outcome]:
        checkpoint, outcomes, used_s = load_checkpoint(self.student), list[Outcome](), 0.0
        engine = EagerEngine(checkpoint.policy, None)
        while used_s < 60.0 * self.budget.warmup_min:
            scene = WARMUP_SEED + 10_000 * self.seed + len(outcomes)
            outcomes.append(self._rollout(engine, self.config.imitation_acting, scene, exploring=True))
            used_s += outcomes[-1].measures["lived_s"]
        return outcomes

    def _train_online(self, episodes: Sequence[Episode], start: Path) -> None:
        path = self.folder / "online_rl.safetensors"
        if path.with_suffix(".json").is_file():
            return
        session = TrainingSession(Stage.ONLINE_RL, self.layout, episodes, self.config, load_checkpoint(start), self.seed)
        rollouts = list[Rollout]()
        used_s, last = 0.0, dict[str, float]()
        while used_s < 60.0 * self.budget.online_min:
            learner = session.learner
            engine = EagerEngine(learner.average, learner.critic_target)
            outcome = self._rollout(engine, self.config.acting, ONLINE_SEED + 10_000 * self.seed + len(rollouts))
            used_s += outcome.measures["lived_s"]
            lost = outcome.episode.ending is Ending.FAILURE
            rollouts.append(Rollout(used_s, outcome.measures["lived_s"], outcome.measures["counted_rad"], lost))
            session.data.add(outcome.episode)
            session.run(
                session.step + self.config.online_steps_for(outcome.episode.seconds), lambda step, metrics: last.update(metrics)
            )
            self._write("online", [dataclasses.asdict(rollout) for rollout in rollouts])
            recent = level([rollout for rollout in rollouts if rollout.end_s > used_s - WINDOW_S])
            sys.stderr.write(f"{self.folder.name}: {used_s / 60:.1f} min, rollout {len(rollouts)}: {recent}  {_shown(last)}\n")
        session.save(path)

    def _rollout(self, engine: EagerEngine, acting: ActingConfig, scene: int, *, exploring: bool = False) -> Outcome:
        planner = Planner(self.layout, acting, engine, has_critic=acting.candidates > 1)
        rng = np.random.default_rng([scene, 1])

        def act(vector: Array32) -> Array:
            return planner.plan(vector, rng, exploring=exploring).position_rad

        return self.rollouts.run_policy(act, self.layout, acting.player, scene)

    def _test(self, stage: str, weights: Path, acting: ActingConfig) -> None:
        if (self.folder / f"{stage}.result.json").is_file():
            return
        scenes = range(TEST_SEED + 10_000 * self.seed, TEST_SEED + 10_000 * self.seed + self.budget.test)
        checkpoint = load_checkpoint(weights)
        engine = EagerEngine(checkpoint.policy, checkpoint.critic if acting.candidates > 1 else None)
        outcomes = [self._rollout(engine, acting, scene) for scene in scenes]
        plan = EvaluationPlan(task=TASK, weights=weights, physics=PHYSICS, acting=acting, seeds=scenes)
        row = report(outcomes, checkpoint, plan, name=stage, seed=scenes[0])
        row["measures"] = [outcome.measures for outcome in outcomes]
        self._write(f"{stage}.result", row)
        sys.stderr.write(f"{self.folder.name}: {stage}: {json.dumps(row['extra'])}\n")

    def _write(self, name: str, content: Any) -> None:
        (self.folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf8")

    def _kept(self, name: str, make: Callable[[], Any]) -> Any:
        """Read, or make. Pickled: only ever read by the study that wrote it."""
        file = self.folder / f"{name}.pkl"
        if not file.is_file():
            temporary = file.with_suffix(".new")
            temporary.write_bytes(pickle.dumps(make()))
            temporary.replace(file)
        return pickle.loads(file.read_bytes())


def _shown(metrics: dict[str, float]) -> str:
    names = ("q_prior", "q_prior_spread", "nll_samples_frozen", "nll_frozen_own")
    return "  ".join(f"{name} {metrics[name]:.3f}" for name in names if name in metrics)


if __name__ == "__main__":
    main()
