"""How well a policy does: rollouts in simulation without ROS, with the chunk player and the safety filter of the robot."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sernf_learner.episode import Ending
from sernf_learner.sim_rollout import Outcome, SimRollouts
from sernf_policy.acting import ActingConfig
from sernf_policy.checkpoint import Checkpoint, load_checkpoint
from sernf_policy.runtime import PolicyRuntime
from sernf_policy.shipped_weights import weights_path
from sernf_robot.success_rate import wilson_interval
from sernf_sim.physics import load_physics
from sernf_sim.tasks.cube_rotation import measured
from sernf_sim.tasks.scissors import ScissorsTask

SCISSORS_STAGES = ScissorsTask.stages
GRASPED = ("lifted", "above_bowl", "placed")
"""Stages that a duck reaches only in the hand."""


@dataclass(frozen=True, kw_only=True)
class EvaluationPlan:
    """Rollouts of scenes `seeds` with the checkpoint `weights`, acting as `acting` says."""

    task: str
    weights: Path
    physics: str
    acting: ActingConfig
    seeds: Sequence[int]


def evaluate(
    *, task: str, weights: Path | str, episodes: int, seed: int, physics: str = "nominal",
    temperature: float | None = None, candidates: int | None = None, workers: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:  # fmt: skip
    """Rollouts of scenes `seed`, `seed` + 1, ...; what ../docs/learning.md lists. `workers`: processes, 0 for one a core.

    `temperature`, `candidates`: instead of the checkpoint's own. Raises CheckpointError and ShippedWeightsError.
    """
    path = weights_path(str(weights), task)
    checkpoint = load_checkpoint(path)
    acting = checkpoint.acting
    if temperature is not None:
        acting = dataclasses.replace(acting, temperature=temperature)
    if candidates is not None:
        acting = dataclasses.replace(acting, candidates=candidates)
    plan = EvaluationPlan(task=task, weights=path, physics=physics, acting=acting, seeds=range(seed, seed + episodes))
    outcomes = run_plan(plan, workers, progress)
    return report(outcomes, checkpoint, plan, name=str(weights or checkpoint.info.stage), seed=seed)


def run_plan(
    plan: EvaluationPlan, workers: int = 0, progress: Callable[[int, int], None] = lambda done, total: None
) -> list[Outcome]:
    """All rollouts, in the order of the seeds, whatever the number of processes."""
    count = min(workers or len(os.sched_getaffinity(0)), len(plan.seeds))
    outcomes = []
    # Not forked: what torch and ONNX Runtime have started in this process does not survive a fork.
    with multiprocessing.get_context("spawn").Pool(count, _begin, (plan,)) as pool:
        for outcome in pool.imap(_rollout, plan.seeds):
            outcomes.append(outcome)
            progress(len(outcomes), len(plan.seeds))
    return outcomes


def report(outcomes: Sequence[Outcome], checkpoint: Checkpoint, plan: EvaluationPlan, *, name: str, seed: int) -> dict[str, Any]:
    """The object that `./sernf eval --json` prints."""
    good = [outcome.seconds for outcome in outcomes if outcome.success]
    low, high = wilson_interval(len(good), len(outcomes))
    failures = Counter(f"{outcome.stage}: {outcome.episode.cause}" for outcome in outcomes if not outcome.success)
    return {
        "task": plan.task, "weights": name, "sha256": checkpoint.info.sha256, "stage": checkpoint.info.stage,
        "episodes": len(outcomes), "successes": len(good), "rate": len(good) / len(outcomes),
        "wilson_low": low, "wilson_high": high, "mean_time_s": float(np.mean(good)) if good else None,
        "failures": dict(failures), "seed": seed, "twin": plan.physics == "twin", "temperature": plan.acting.temperature,
        "candidates": plan.acting.candidates,
        "extra": EXTRAS[plan.task](outcomes) if plan.task in EXTRAS else {},
    }  # fmt: skip


def _duck_extra(outcomes: Sequence[Outcome]) -> dict[str, float]:
    return {"grasp_rate": sum(outcome.stage in GRASPED for outcome in outcomes) / len(outcomes)}


def _cube_extra(outcomes: Sequence[Outcome]) -> dict[str, float]:
    lost = [outcome.episode.ending is Ending.FAILURE for outcome in outcomes]
    return measured("cube", [outcome.measures for outcome in outcomes], lost)


def _scissors_extra(outcomes: Sequence[Outcome]) -> dict[str, float]:
    reached = [SCISSORS_STAGES.index(outcome.stage) for outcome in outcomes]
    rates = ("grasp_rate", "retrieve_rate", "align_rate", "cut_rate")
    return {name: sum(stage >= number for stage in reached) / len(reached) for number, name in enumerate(rates, start=1)}


EXTRAS = {"duck": _duck_extra, "cube": _cube_extra, "scissors": _scissors_extra}


def _begin(plan: EvaluationPlan) -> None:
    global _worker
    _worker = _Worker(plan)


def _rollout(seed: int) -> Outcome:
    return _worker.rollout(seed)


class _Worker:
    def __init__(self, plan: EvaluationPlan) -> None:
        import torch

        torch.set_num_threads(1)
        self._plan = plan
        self._runtime = PolicyRuntime(load_checkpoint(plan.weights), acting=plan.acting)
        self._rollouts = SimRollouts(plan.task, load_physics(plan.physics), step_period_s=self._runtime.layout.step_period_s)

    def rollout(self, seed: int) -> Outcome:
        rng = np.random.default_rng([seed, 1])
        return self._rollouts.run_policy(
            lambda vector: self._runtime.plan(vector, rng).position_rad, self._runtime.layout, self._plan.acting.player, seed,
            self._runtime.see,
        )  # fmt: skip


_worker: _Worker
