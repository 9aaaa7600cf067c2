"""Puts what was learnt about the cube into the project, after measuring it on scenes that nothing was trained on.

    ./sernf run python bench/cube/ship.py teacher runs/cube runs/cube1
    ./sernf run python bench/cube/ship.py student runs/student runs/student1 runs/student2
    ./sernf run python bench/cube/ship.py online runs/cube_ros runs/cube_ros1 runs/cube_ros2

Of several runs, one a training seed, the first is shipped and all are measured. NAME.manifest.json beside the weights says
how they were made and what they can do.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from online_table import PHASES
from robot_minutes import level, read

from sernf.bench.report import commit, machine
from sernf_learner.evaluation import evaluate
from sernf_policy.checkpoint import load_checkpoint
from sernf_policy.checkpoint_files import both_files
from sernf_teacher.evaluation import evaluate_teacher
from sernf_teacher.teacher_weights import load_teacher
from sernf_teacher.training_state import load_state

SOURCE = Path(__file__).resolve().parents[2] / "src"
POLICIES = SOURCE / "sernf_policy" / "weights" / "cube"
TARGETS = {
    "teacher": SOURCE / "sernf_teacher" / "sernf_teacher" / "weights" / "cube", "student": POLICIES, "online": POLICIES,
}  # fmt: skip
RUNS = {"teacher": "runs/cube", "student": "runs/student", "online": "runs/cube_ros"}
FILES = {"teacher": "teacher", "student": "student", "online": "best"}
NAMES = {"teacher": "teacher", "student": "imitation", "online": "online"}
TEST_SEED = 1
SHOWN = ("episodes", "successes", "wilson_low", "wilson_high", "seed", "extra")
WORLDS = (("nominal", False), ("twin", True))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=sorted(TARGETS))
    parser.add_argument("runs", type=Path, nargs="+", help="folders of sernf_teacher.train, sernf_teacher.distil, online.py")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--note", default="", help="what else is to be known of how they were made")
    options = parser.parse_args()
    what, target = options.what, TARGETS[options.what]
    measure = {"teacher": _teacher, "student": _student, "online": _online}[what]
    files = [run / f"{FILES[what]}.safetensors" for run in options.runs]
    first, *others = [measure(run, file, options.episodes) for run, file in zip(options.runs, files, strict=True)]
    target.mkdir(parents=True, exist_ok=True)
    for source, copy in zip(both_files(files[0]), both_files(target / NAMES[what]), strict=True):
        shutil.copyfile(source, copy)
    manifest = {
        **first, "other_seeds": others,
        "commit": commit(), "cpu": machine()["cpu"], "packages": {name: version(name) for name in ("torch", "numpy", "mujoco")},
        **({"note": options.note} if options.note else {}),
    }  # fmt: skip
    manifest["command"].append(f"./sernf run python bench/cube/ship.py {what} {RUNS[what]}")
    (target / f"{NAMES[what]}.manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf8")
    for measured in (first, *others):
        sys.stdout.write(json.dumps(measured["results"]) + "\n")


def _teacher(run: Path, file: Path, episodes: int) -> dict[str, Any]:
    info, how = load_teacher(file).info, load_state(run / "state_0.pt")["run"]
    start = "python" if how["processes"] == 1 else f"torchrun --nproc-per-node {how['processes']}"
    arguments = f"--out runs/cube --copies {how['copies']} --seed {info['seed']} --samples {info['samples']}"
    results = {}
    for name, twin in (("randomised", False), ("twin", True)):
        sys.stderr.write(f"measuring {episodes} episodes, {name}\n")
        result = evaluate_teacher(weights=file, episodes=episodes, seed=TEST_SEED, twin=twin, threads=2)
        results[name] = {key: result[key] for key in SHOWN}
    return {
        "command": [f"./sernf run {start} -m sernf_teacher.train {arguments}"], "seed": info["seed"], "samples": info["samples"],
        "level": info["level"], "sha256": info["sha256"], "results": results,
    }  # fmt: skip


def _student(run: Path, file: Path, episodes: int) -> dict[str, Any]:
    info = load_checkpoint(file).info
    return {
        "command": [f"./sernf run python -m sernf_teacher.distil --teacher teacher --out runs/student --seed {info.seed}"],
        "seed": info.seed, "sha256": info.sha256, "teacher": load_teacher(TARGETS["teacher"] / "teacher").info["sha256"],
        "results": _in_both_worlds(file, episodes),
    }  # fmt: skip


def _online(run: Path, file: Path, episodes: int) -> dict[str, Any]:
    """`over_ros`: what was measured while it learnt, in the order in which it happened."""
    info, rollouts = load_checkpoint(file).info, read(run)
    student = load_checkpoint(run / "student.safetensors").info
    arguments = f"runs/student/student.safetensors --out runs/cube_ros --seed {info.seed}"
    return {
        "command": [f"./sernf run python bench/cube/online.py {arguments}"],
        "seed": info.seed, "sha256": info.sha256, "student": student.sha256, "robot_minutes": rollouts[-1].end_s / 60.0,
        "over_ros": {phase: vars(level([one for one in rollouts if one.phase == phase])) for phase in PHASES},
        "results": _in_both_worlds(file, episodes),
    }  # fmt: skip


def _in_both_worlds(file: Path, episodes: int) -> dict[str, Any]:
    results = {}
    for name, twin in WORLDS:
        sys.stderr.write(f"measuring {episodes} episodes, {name}\n")
        result = evaluate(task="cube", weights=file, episodes=episodes, seed=TEST_SEED, physics="twin" if twin else "nominal")
        results[name] = {key: result[key] for key in (*SHOWN, "temperature")}
    return results


if __name__ == "__main__":
    main()
