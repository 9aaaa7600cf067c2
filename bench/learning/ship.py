"""Puts the weights of one seed of a study into the project: `./sernf run python bench/learning/ship.py runs/study --seed 0`.

Stages that have not been tested are left out. The weights in src/sernf_policy/weights were made by `study.py` and this;
manifest.json beside them says with which commit, versions and results.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from sernf.bench.report import commit, machine
from sernf_policy.checkpoint_files import both_files

NAMES = {"imitation": "imitation", "offline_rl": "offline", "online_rl": "online"}
TARGET = Path(__file__).resolve().parents[2] / "src" / "sernf_policy" / "weights" / "duck"
SHOWN = (
    "episodes",
    "successes",
    "rate",
    "wilson_low",
    "wilson_high",
    "mean_time_s",
    "temperature",
    "candidates",
    "failures",
    "seed",
)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, help="output folder of study.py")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    source = options.study / "sernf" / f"seed{options.seed}"
    TARGET.mkdir(parents=True, exist_ok=True)
    weights = {}
    for stage, name in NAMES.items():
        if not (source / f"{stage}.result.json").is_file():
            continue
        for file, copy in zip(
            both_files(source / f"{stage}.safetensors"), both_files(TARGET / f"{name}.safetensors"), strict=True
        ):
            shutil.copyfile(file, copy)
        info = json.loads((TARGET / f"{name}.json").read_text(encoding="utf8"))
        result = json.loads((source / f"{stage}.result.json").read_text(encoding="utf8"))
        weights[name] = {"sha256": info["sha256"], "twin": {key: result[key] for key in SHOWN}, "packages": info["packages"]}
    manifest = {
        "command": [
            f"./sernf run python bench/learning/study.py --out runs/study --seeds {options.seed}",
            f"./sernf run python bench/learning/ship.py runs/study --seed {options.seed}",
        ],
        "seed": options.seed, "commit": commit(), "cpu": machine()["cpu"], "weights": weights,
    }  # fmt: skip
    (TARGET / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
