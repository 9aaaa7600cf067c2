"""The cube teacher's training on one core and on two: steps of its environment alone, and of the whole of PPO with its updates.

A step is one command of one hand, 50 ms of simulated time, at full weight and fully randomised: the dearest of all stages, with
physics steps of 5 ms. One process; its threads share the physics, and with PPO the gradients too.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console

from sernf.bench.report import Metric, Report
from sernf_teacher.cube_env import CubeEnv, CubeEnvConfig
from sernf_teacher.cube_model import JOINTS
from sernf_teacher.curriculum import STAGES, TOP
from sernf_teacher.grasps import load_grasps

COPIES = 256
ACTION_SCALE = 0.1
"""Of random actions in the environment alone: the cube stays in most hands, as it does in training."""


def measure(seconds: float, console: Console) -> Report:
    """A quarter of the time each for environment and PPO on one core and on two."""
    share = seconds / 4
    counts: dict[str, float] = {}
    one_core_s: list[float] = []
    for cores in (2, 1):
        console.print(f"measuring for {2 * share:g} s on {cores}: environment, then PPO")
        with _cores(cores):
            one_core_s = _env_steps(share, cores)
            counts[f"env_steps_per_s_{cores}"] = COPIES * len(one_core_s) / sum(one_core_s)
            counts[f"ppo_steps_per_s_{cores}"] = _ppo_steps_per_s(share, cores)
    return Report(metrics={"env_step_ms": Metric.of(np.array(one_core_s) * 1e3, "ms")}, counts=dict(sorted(counts.items())))


def _env_steps(seconds: float, threads: int) -> list[float]:
    """Time of each step of all copies together, s."""
    env = CubeEnv(CubeEnvConfig(copies=COPIES, threads=threads), load_grasps(), STAGES[TOP], seed=0)
    rng = np.random.default_rng(0)
    env.reset()
    times: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or not times:
        action = ACTION_SCALE * rng.standard_normal((COPIES, JOINTS))
        began = time.perf_counter()
        env.step(action)
        times.append(time.perf_counter() - began)
    env.batch.close()
    return times


def _ppo_steps_per_s(seconds: float, threads: int) -> float:
    """Steps of all copies a second, with collecting and learning; whole iterations, at least one."""
    import torch

    from sernf_teacher.train import TrainConfig, Training

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with tempfile.TemporaryDirectory() as folder:
            config = TrainConfig(env=CubeEnvConfig(copies=COPIES, threads=threads))
            training = Training(config, Path(folder), level=float(TOP))
            began = time.perf_counter()
            while time.perf_counter() - began < seconds or training.samples == 0:
                training.iterate()
            return training.samples / (time.perf_counter() - began)
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _cores(count: int) -> Iterator[None]:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(cores)[:count]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
