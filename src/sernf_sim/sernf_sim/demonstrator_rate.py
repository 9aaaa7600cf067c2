"""How often the scripted demonstrator succeeds: `python -m sernf_sim.demonstrator_rate --physics twin --episodes 200`.

Runs episodes through the safety filter, without ROS and faster than real time, and prints one JSON object: successes with their
Wilson interval, how failures ended, mean duration, what the filter changed, and the speed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter

import numpy as np

from sernf_robot.kinematics import Kinematics
from sernf_robot.success_rate import wilson_interval
from sernf_sim.demonstrators import DEMONSTRATORS, Observation, make_demonstrator
from sernf_sim.filtered_robot import FilteredRobot
from sernf_sim.physics import load_physics
from sernf_sim.world import SimWorld


def measure(task: str, physics: str, episodes: int, seed: int, *, strays: bool = False) -> dict[str, object]:
    """Run `episodes` with seeds `seed`, `seed` + 1, ...; returns what is printed."""
    world = SimWorld(task, load_physics(physics), seed)
    robot = FilteredRobot(world)
    kinematics = Kinematics()
    stages: Counter[str] = Counter()
    clipped: Counter[str] = Counter()
    durations_s = []
    started_s = time.perf_counter()
    for episode_seed in range(seed, seed + episodes):
        world.reset(episode_seed)
        robot.reset()
        demonstrator = make_demonstrator(task, kinematics, np.random.default_rng(episode_seed), strays=strays)
        demonstrator.reset(Observation(world.joint_position(), world.object_poses()))
        while not (demonstrator.done or world.judge().done or robot.fault):
            target = demonstrator.act(Observation(world.joint_position(), world.object_poses()))
            clipped.update(robot.command(target))
        status = world.judge()
        durations_s.append(status.elapsed_s)
        stages["success" if status.success else status.stage] += 1
    elapsed_s = time.perf_counter() - started_s
    successes = stages.pop("success", 0)
    low, high = wilson_interval(successes, episodes)
    return {
        "task": task, "physics": physics, "seed": seed, "episodes": episodes, "successes": successes,
        "rate": successes / episodes, "wilson_low": round(low, 3), "wilson_high": round(high, 3),
        "failures_by_stage": dict(stages), "mean_time_s": round(float(np.mean(durations_s)), 2),
        "clipped_commands": dict(clipped), "realtime_factor": round(sum(durations_s) / elapsed_s, 1),
    }  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=sorted(DEMONSTRATORS), default="duck")
    parser.add_argument("--physics", default="nominal", help="nominal, twin, or a YAML file")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first episode")
    parser.add_argument("--strays", action="store_true", help="as it demonstrates for policies that see")
    arguments = parser.parse_args()
    if arguments.episodes < 1:
        parser.error(f"--episodes: expected at least 1, got {arguments.episodes}")
    result = measure(arguments.task, arguments.physics, arguments.episodes, arguments.seed, strays=arguments.strays)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
