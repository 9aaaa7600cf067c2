"""The cube teacher's training on one core and on two: steps of its environment alone, and of the whole of PPO with its updates.

A step is one command of one hand, 50 ms of simulated time, at full weight and fully randomised: the dearest of all stages, with
physics steps of 5 ms. As in training there is one process for each core, all of the same 256 copies together. The floor is what
MuJoCo alone needs for the same steps.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

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
FLOOR_STEPS = 20
STARTUP_S = 300.0


def measure(seconds: float, console: Console) -> Report:
    """A quarter of the time each for environment and PPO on one core and on two. Raises RuntimeError when a process fails."""
    share_s = seconds / 4
    counts: dict[str, float] = {}
    seen: dict[str, Any] = {}
    for cores in (2, 1):
        console.print(f"measuring for {2 * share_s:g} s on {cores}: environment, then PPO")
        seen = _measured(share_s, cores)
        for name in ("env", "ppo"):
            counts[f"{name}_steps_per_s_{cores}"] = seen[f"{name}_steps_per_s"]
    return Report(
        metrics={"env_step_ms": Metric.of(seen["env_step_ms"], "ms")},
        counts=dict(sorted(counts.items())),
        floor={"env_step_ms": seen["physics_ms"]},
    )


def _measured(share_s: float, cores: int) -> dict[str, Any]:
    """What that many processes measured together."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(cores)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "measured.json"
        limit_s = STARTUP_S + 10.0 * share_s
        try:
            done = subprocess.run(
                [*start, "-m", "sernf.bench.cube", str(share_s), str(out)],
                env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=limit_s,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"expected {cores} processes to measure within {limit_s:.0f} s; is the machine busy?") from error
        if done.returncode != 0:
            raise RuntimeError(f"expected {cores} processes to measure, got an error:\n{done.stderr[-2000:]}")
        measured: dict[str, Any] = json.loads(out.read_text(encoding="utf8"))
    return measured


def main() -> None:
    """One of the processes; the first writes what all of them did."""
    import torch

    from sernf_learner.processes import joined, mean_metrics, process_number

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", type=float, help="for the environment, and for PPO")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    cores, processes = sorted(os.sched_getaffinity(0)), int(os.environ.get("WORLD_SIZE", "1"))
    os.sched_setaffinity(0, {cores[process_number() % len(cores)]})
    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    config = CubeEnvConfig(copies=COPIES // processes)
    with joined(cpu):
        times_s, physics_s = _env_steps(config, arguments.seconds)
        rates = {"env_steps_per_s": config.copies * len(times_s) / sum(times_s)}
        rates["ppo_steps_per_s"] = _ppo_steps_per_s(config, arguments.seconds)
        total = {name: processes * rate for name, rate in mean_metrics(rates, cpu).items()}
    if process_number() == 0:
        content = {**total, "env_step_ms": [1e3 * time_s for time_s in times_s], "physics_ms": 1e3 * physics_s}
        arguments.out.write_text(json.dumps(content), encoding="utf8")


def _env_steps(config: CubeEnvConfig, seconds: float) -> tuple[list[float], float]:
    """Time of each step of all copies together, and the mean of what physics alone take of it, s."""
    env = CubeEnv(config, load_grasps(), STAGES[TOP], seed=0)
    rng = np.random.default_rng(0)
    env.reset()
    times_s: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or not times_s:
        action = ACTION_SCALE * rng.standard_normal((config.copies, JOINTS))
        began = time.perf_counter()
        env.step(action)
        times_s.append(time.perf_counter() - began)
    state, held = env.physics_state(), np.repeat(env.truth().target_rad[:, None], env.batch.substeps, axis=1)
    began = time.perf_counter()
    for _ in range(FLOOR_STEPS):
        state = env.batch.advance(state, held).state
    physics_s = (time.perf_counter() - began) / FLOOR_STEPS
    env.batch.close()
    return times_s, physics_s


def _ppo_steps_per_s(config: CubeEnvConfig, seconds: float) -> float:
    """Steps of this process's copies a second, with collecting and learning; whole iterations, at least one."""
    from sernf_learner.processes import agreed
    from sernf_teacher.train import TrainConfig, Training

    with tempfile.TemporaryDirectory() as folder:
        training = Training(TrainConfig(env=config), Path(folder), level=float(TOP))
        began = time.perf_counter()
        iterations = 0
        while agreed(time.perf_counter() - began < seconds) or iterations == 0:
            training.iterate()
            iterations += 1
        return iterations * training.ppo.config.steps * config.copies / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
