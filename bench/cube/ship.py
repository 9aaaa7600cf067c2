"""Puts a trained teacher into the project: `./sernf run python bench/cube/ship.py runs/cube`, after `sernf_teacher.train`.

Measures it first, on scenes that it was not trained on; manifest.json beside the weights says how it was made and what it can do.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

from sernf.bench.report import commit, machine
from sernf_policy.checkpoint_files import both_files
from sernf_teacher.evaluation import evaluate_teacher
from sernf_teacher.teacher_weights import load_teacher
from sernf_teacher.training_state import load_state

TARGET = Path(__file__).resolve().parents[2] / "src" / "sernf_teacher" / "sernf_teacher" / "weights" / "cube"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="output folder of sernf_teacher.train")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="of the test")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    file = options.run / "teacher.safetensors"
    results = {}
    for name, twin in (("randomised", False), ("twin", True)):
        sys.stderr.write(f"measuring {options.episodes} episodes, {name}\n")
        result = evaluate_teacher(weights=file, episodes=options.episodes, seed=options.seed, twin=twin, threads=options.threads)
        results[name] = {key: result[key] for key in ("episodes", "successes", "wilson_low", "wilson_high", "seed", "extra")}
    info = load_teacher(file).info
    TARGET.mkdir(parents=True, exist_ok=True)
    for source, target in zip(both_files(file), both_files(TARGET / "teacher"), strict=True):
        shutil.copyfile(source, target)
    run = load_state(options.run / "state_0.pt")["run"]
    start = "python" if run["processes"] == 1 else f"torchrun --nproc-per-node {run['processes']}"
    arguments = f"--out runs/cube --copies {run['copies']} --seed {info['seed']} --samples {info['samples']}"
    manifest = {
        "command": [
            f"./sernf run {start} -m sernf_teacher.train {arguments}",
            "./sernf run python bench/cube/ship.py runs/cube",
        ],
        "seed": info["seed"], "samples": info["samples"], "level": info["level"], "sha256": info["sha256"], "commit": commit(),
        "cpu": machine()["cpu"], "packages": {name: version(name) for name in ("torch", "numpy", "mujoco")}, "results": results,
    }  # fmt: skip
    (TARGET / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf8")
    sys.stdout.write(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
