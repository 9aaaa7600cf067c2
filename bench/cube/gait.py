"""The cube's honest baseline: a periodic gait, tuned by search: `./sernf run python bench/cube/gait.py --out runs/gait`.

Every joint's target swings about a grasp's as a sinusoid with an offset, an amplitude and a phase of its own and one period for
all, without looking at anything. The cross-entropy method tunes them for counted turns less a penalty for drops, at full weight
and fully randomised. Then episodes of a minute as `./sernf eval --task cube` has them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sernf_sim.tasks.cube_rotation import rotation_report
from sernf_teacher.cube_env import CubeEnv, CubeEnvConfig
from sernf_teacher.cube_model import CONTROL_PERIOD_S, JOINTS
from sernf_teacher.curriculum import MEASURED
from sernf_teacher.grasps import Grasps, load_grasps

Floats = NDArray[np.float64]
DROP_RAD = 3.0
"""What a drop costs in the search, in rad of rotation."""
SPREAD = np.concatenate([np.full(JOINTS, 0.05), np.full(JOINTS, 0.12), np.full(JOINTS, 1.5), [0.3]])
"""Of the first generation: offsets and amplitudes (rad), phases (rad), logarithm of the period."""
PERIOD_S = 1.2


def targets(gaits: Floats, base_rad: Floats, time_s: float) -> Floats:
    """Targets (n, 16) rad of gaits (n, 49) about a grasp's (16,)."""
    offset, amplitude, phase = (gaits[:, part * JOINTS : (part + 1) * JOINTS] for part in range(3))
    period = PERIOD_S * np.exp(gaits[:, -1:])
    result: Floats = base_rad + offset + amplitude * np.sin(2 * np.pi * time_s / period + phase)
    return result


def play(env: CubeEnv, gaits: Floats, base_rad: Floats, seconds: float) -> dict[str, NDArray[Any]]:
    """Each copy plays its gait from the first step of an episode until it drops the cube; sums over that time, (n,)."""
    env.reset(spread=False)
    alive = np.ones(env.count, dtype=bool)
    sums = {name: np.zeros(env.count) for name in ("counted_rad", "turned_rad", "lived_s", "fingertip_s", "force_ns")}
    for step in range(round(seconds / CONTROL_PERIOD_S)):
        seen = env.step(env.action_towards(targets(gaits, base_rad, step * CONTROL_PERIOD_S)))
        for name, value in (
            ("counted_rad", seen.counted_rad), ("turned_rad", seen.turned_rad), ("lived_s", np.full(env.count, CONTROL_PERIOD_S)),
            ("fingertip_s", seen.fingertips * CONTROL_PERIOD_S), ("force_ns", seen.force_n * CONTROL_PERIOD_S),
        ):  # fmt: skip
            sums[name] += alive * value
        alive &= ~seen.lost
    return {**sums, "lost": ~alive}


def make_env(grasps: Grasps, copies: int, seconds: float, threads: int, seed: int) -> CubeEnv:
    """Full weight, everything randomised, starts from `grasps` alone."""
    steps = round(seconds / CONTROL_PERIOD_S) + 1
    config = CubeEnvConfig(
        copies=copies, threads=threads, episode_steps=steps, ring_share=0.0, open_share=0.0, practice_share=0.0
    )
    return CubeEnv(config, grasps, MEASURED, seed)


def search(options: argparse.Namespace, grasps: Grasps) -> tuple[Floats, list[float]]:
    """The cross-entropy method; returns the last mean, and the elite's mean score of each generation."""
    rng = np.random.default_rng(options.seed)
    base = grasps.target_rad[0]
    mean, spread = np.zeros(SPREAD.size), SPREAD.copy()
    history: list[float] = []
    for generation in range(options.generations):
        gaits = mean + spread * rng.standard_normal((options.population, SPREAD.size))
        env = make_env(grasps, 4 * options.population, options.seconds, options.threads, 1000 * options.seed + generation)
        seen = play(env, np.repeat(gaits, 4, axis=0), base, options.seconds)
        env.batch.close()
        score = (seen["counted_rad"] - DROP_RAD * seen["lost"]).reshape(-1, 4).mean(1)
        elite = gaits[score.argsort()[-options.population // 8 :]]
        mean, spread = elite.mean(0), np.maximum(elite.std(0), 0.02 * SPREAD)
        history.append(float(np.sort(score)[-len(elite) :].mean()))
        sys.stderr.write(f"generation {generation + 1} of {options.generations}: elite {history[-1]:.2f} rad\n")
    return mean, history


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/gait"))
    parser.add_argument("--generations", type=int, default=40)
    parser.add_argument("--population", type=int, default=64, help="gaits, each tried by 4 copies")
    parser.add_argument("--seconds", type=float, default=15.0, help="of an attempt in the search")
    parser.add_argument("--episodes", type=int, default=100, help="of a minute, for the result")
    parser.add_argument("--grasp", type=int, default=0, help="number of the shipped grasp to swing about")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    grasps = load_grasps().take(np.array([options.grasp]))
    gait, history = search(options, grasps)
    env = make_env(grasps, options.episodes, 60.0, options.threads, options.seed + 1)
    seen = play(env, np.tile(gait, (options.episodes, 1)), grasps.target_rad[0], 60.0)
    env.batch.close()
    extra = rotation_report(**seen)
    result = {
        "gait": gait.tolist(), "base_rad": grasps.target_rad[0].tolist(), "elite_rad": history, "seed": options.seed,
        "episodes": options.episodes, "extra": extra,
    }  # fmt: skip
    (options.out / "gait.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")
    sys.stdout.write(json.dumps({"episodes": options.episodes, "seed": options.seed, **extra}) + "\n")


if __name__ == "__main__":
    main()
