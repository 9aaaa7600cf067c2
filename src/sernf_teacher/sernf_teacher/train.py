"""Train the cube's teacher from nothing through all stages; call it again and it goes on where it was.

    python -m sernf_teacher.train --out runs/cube
    torchrun --nproc-per-node 2 -m sernf_teacher.train --out runs/cube

Writes into OUT: `state_N.pt` of each process (everything the future depends on), `teacher.safetensors` with its JSON (what
`./sernf eval --task cube --weights OUT/teacher.safetensors` takes), `metrics.jsonl` and `curves.png`.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from sernf_learner.curves import draw_curves
from sernf_learner.metrics_log import MetricsLog
from sernf_learner.processes import agreed, joined, mean_metrics, process_number
from sernf_teacher.collect import collect
from sernf_teacher.cube_env import CubeEnv, CubeEnvConfig
from sernf_teacher.cube_model import JOINTS
from sernf_teacher.cube_observation import SIZE
from sernf_teacher.curriculum import TOP, Pace, PaceConfig, conditions
from sernf_teacher.grasps import SHIPPED, load_grasps
from sernf_teacher.ppo import Ppo, PpoConfig
from sernf_teacher.teacher_weights import save_teacher
from sernf_teacher.training_state import load_state, save_state

log = logging.getLogger(__name__)
CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """`samples`: steps of all copies of all processes until it is done. `save_every`, `draw_every`: iterations."""

    samples: int = 10_000_000
    seed: int = 0
    save_every: int = 10
    draw_every: int = 50
    env: CubeEnvConfig = field(default_factory=CubeEnvConfig)
    ppo: PpoConfig = field(default_factory=PpoConfig)
    pace: PaceConfig = field(default_factory=PaceConfig)


class Training:
    """One process of a training; `iterate` until `done`."""

    def __init__(self, config: TrainConfig, out: Path, grasps_file: Path = SHIPPED, level: float = 0.0) -> None:
        self.config, self._out = config, out
        self._number = process_number()
        self._processes = int(os.environ.get("WORLD_SIZE", "1"))
        own_seed = config.seed * 1000 + self._number
        self.ppo = Ppo(config.ppo, SIZE, JOINTS, config.seed)
        self.pace = Pace(config.pace, level)
        self._rng = np.random.default_rng([own_seed, 1])
        grasps = load_grasps(grasps_file)
        self._grasps = len(grasps)
        self.env = CubeEnv(config.env, grasps, conditions(level), own_seed)
        self.samples = 0
        self.iteration = 0
        self._set_level()
        self._observation = self.env.reset()

    @property
    def done(self) -> bool:
        """Whether all samples have been taken."""
        return self.samples >= self.config.samples

    def iterate(self) -> dict[str, float]:
        """Collect, learn, move the level; returns the iteration's figures, alike in all processes."""
        began = time.perf_counter()
        experience = collect(self.env, self.ppo, self._observation, self._rng)
        collected = time.perf_counter()
        self._observation = experience.observation
        stage = self.env.stage
        learnt = self.ppo.update(experience.batch, stage.exploration, stage.divergence_nats, self._rng)
        self.ppo.networks.standardiser.update(experience.batch.vector)
        rows = len(experience.batch.goal) * self._processes
        figures = {**experience.figures, **learnt, "level": self.pace.level, "exploration": stage.exploration}
        figures["steps_per_s"] = rows / (time.perf_counter() - began)
        figures["env_steps_per_s"] = rows / (collected - began)
        figures = mean_metrics(figures, CPU)
        self.samples += rows
        self.iteration += 1
        if self.pace.update(figures["gated_turns_per_minute"], figures["drops_per_minute"]) != figures["level"]:
            self._set_level()
        return figures

    def save(self) -> None:
        """Everything, for `resume`; the first process also writes the weights."""
        state = {
            "run": self._run(), "samples": self.samples, "iteration": self.iteration, "pace": self.pace.state(),
            "ppo": self.ppo.state(), "env": self.env.state(), "rng": self._rng.bit_generator.state,
            "observation": self._observation,
        }  # fmt: skip
        save_state(self._state_file(), state)
        if self._number == 0:
            save_teacher(
                self._out / "teacher", self.ppo.networks, level=self.pace.level, samples=self.samples, seed=self.config.seed
            )

    def resume(self) -> bool:
        """Go on from what `save` wrote; False when there is nothing. Raises ValueError for the state of another kind of run."""
        if not agreed(self._state_file().is_file()):
            return False
        state = load_state(self._state_file()) if self._state_file().is_file() else {}
        if state.get("run") != self._run():
            raise ValueError(
                f"{self._state_file()}: expected the state of a training with {self._run()}, got {state.get('run', 'none')}; "
                "go on with as many processes, copies and grasps and the same seed, or choose another --out"
            )
        self.samples, self.iteration = int(state["samples"]), int(state["iteration"])
        self.pace.restore(state["pace"])
        self.ppo.restore(state["ppo"])
        self._rng.bit_generator.state = state["rng"]
        self._set_level()
        self.env.restore(state["env"])
        self._observation = state["observation"]
        return True

    def _run(self) -> dict[str, int]:
        """What must be alike to go on."""
        env = self.config.env
        return {"seed": self.config.seed, "copies": env.copies, "processes": self._processes, "grasps": self._grasps}

    def _set_level(self) -> None:
        self.env.set_stage(conditions(self.pace.level), self.pace.level / TOP)

    def _state_file(self) -> Path:
        return self._out / f"state_{self._number}.pt"


def run(training: Training, out: Path) -> None:
    """Iterate to the end; the first process logs, draws and says how long it will take."""
    config = training.config
    first = process_number() == 0
    metrics = MetricsLog(out, training.samples) if first else None
    began, before = time.monotonic(), training.samples
    while not training.done:
        figures = training.iterate()
        if metrics is not None:
            metrics.add(figures)
            metrics.flush(training.samples)
            seconds = (time.monotonic() - began) / (training.samples - before) * (config.samples - training.samples)
            log.info("%s", _line(training, figures, seconds))
        if training.iteration % config.save_every == 0 or training.done:
            training.save()
        if metrics is not None and (training.iteration % config.draw_every == 0 or training.done):
            draw_curves(metrics.file, out / "curves.png", title=f"cube teacher, {training.samples / 1e6:.2f} M samples")
    if metrics is not None:
        metrics.close()


def _line(training: Training, figures: dict[str, float], seconds: float) -> str:
    return (
        f"{training.samples / 1e6:6.2f} M  level {figures['level']:.3f} {training.env.stage.name}:  "
        f"{figures['turns_per_minute']:.2f} turns/min ({figures['counted_turns_per_minute']:.2f} counted)  "
        f"{figures['drops_per_minute']:.2f} drops/min  {figures['fingertips']:.2f} tips  {figures['force_n']:.1f} N  "
        f"reward {figures['reward']:.2f}  {figures['steps_per_s']:.0f} steps/s  {seconds / 60:.0f} min left"
    )


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=TrainConfig.samples)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--copies", type=int, default=CubeEnvConfig.copies, help="of the hand, in each process")
    parser.add_argument("--threads", type=int, default=1, help="of each process, for physics")
    parser.add_argument("--level", type=float, default=0.0, help="where to begin")
    parser.add_argument("--grasps", type=Path, default=SHIPPED)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    env = CubeEnvConfig(copies=arguments.copies, threads=arguments.threads)
    config = TrainConfig(samples=arguments.samples, seed=arguments.seed, env=env)
    with joined(CPU):
        training = Training(config, arguments.out, arguments.grasps, arguments.level)
        try:
            if training.resume():
                log.info("goes on after %d samples", training.samples)
        except ValueError as error:
            parser.error(str(error))
        run(training, arguments.out)


if __name__ == "__main__":
    main()
