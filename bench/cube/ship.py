"""Puts what was learnt about the cube into the project, after measuring it on scenes that nothing was trained on.

    ./sernf run python bench/cube/ship.py teacher runs/cube runs/cube1
    ./sernf run python bench/cube/ship.py student runs/student runs/student1 runs/student2

Of several runs, one a training seed, the first is shipped and all are measured. manifest.json beside the weights says how they
were made and what they can do.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sernf.bench.report import commit, machine
from sernf_learner.evaluation import evaluate
from sernf_policy.checkpoint import load_checkpoint
from sernf_policy.checkpoint_files import both_files
from sernf_teacher.evaluation import evaluate_teacher
from sernf_teacher.teacher_weights import load_teacher
from sernf_teacher.training_state import load_state

SOURCE = Path(__file__).resolve().parents[2] / "src"
TARGETS = {
    "teacher": SOURCE / "sernf_teacher" / "sernf_teacher" / "weights" / "cube",
    "student": SOURCE / "sernf_policy" / "weights" / "cube",
}
RUNS = {"teacher": "runs/cube", "student": "runs/student"}
NAMES = {"teacher": "teacher", "student": "imitation"}
TEST_SEED = 1
SHOWN = ("episodes", "successes", "wilson_low", "wilson_high", "seed", "extra")
WORLDS = (("nominal", False), ("twin", True))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=sorted(TARGETS))
    parser.add_argument("runs", type=Path, nargs="+", help="output folders of sernf_teacher.train or sernf_teacher.distil")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--note", default="", help="what else is to be known of how they were made")
    options = parser.parse_args()
    what, target = options.what, TARGETS[options.what]
    measure = {"teacher": _teacher, "student": _student}[what]
    first, *others = [measure(run, run / f"{what}.safetensors", options.episodes) for run in options.runs]
    target.mkdir(parents=True, exist_ok=True)
    for source, copy in zip(both_files(options.runs[0] / f"{what}.safetensors"), both_files(target / NAMES[what]), strict=True):
        shutil.copyfile(source, copy)
    manifest = {
        **first, "other_seeds": others,
        "commit": commit(), "cpu": machine()["cpu"], "packages": {name: version(name) for name in ("torch", "numpy", "mujoco")},
        **({"note": options.note} if options.note else {}),
    }  # fmt: skip
    manifest["command"].append(f"./sernf run python bench/cube/ship.py {what} {RUNS[what]}")
    (target / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf8")
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
    results = {}
    for name, twin in WORLDS:
        sys.stderr.write(f"measuring {episodes} episodes, {name}\n")
        result = evaluate(task="cube", weights=file, episodes=episodes, seed=TEST_SEED, physics="twin" if twin else "nominal")
        results[name] = {key: result[key] for key in (*SHOWN, "temperature")}
    return {
        "command": [f"./sernf run python -m sernf_teacher.distil --teacher teacher --out runs/student --seed {info.seed}"],
        "seed": info.seed, "sha256": info.sha256, "teacher": load_teacher(TARGETS["teacher"] / "teacher").info["sha256"],
        "results": results,
    }  # fmt: skip


if __name__ == "__main__":
    main()
