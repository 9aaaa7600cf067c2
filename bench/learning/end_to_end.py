"""The whole way over ROS, as a new user goes it: `./sernf run python bench/learning/end_to_end.py --out runs/end_to_end`.

Demonstrations on the twin, imitation, critic warm-up, offline RL by service calls to the running graph, then rollouts while
online RL trains, every new version swapped live into the running policy. Writes report.md with the curves of each stage beside
it. Recorded episodes are kept: called again, it goes on recording where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml
from ament_index_python.packages import get_package_share_directory

from sernf.graph import Graph
from sernf_robot.success_rate import describe_rate
from sernf_teleop.episodes import EpisodeInfo, list_episodes, messages, typestore_of

DOMAIN = "96"
STAGES = ("imitation", "critic_warmup", "offline_rl")
FIRST_ROLLOUT_SEED = 500


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/end_to_end"))
    parser.add_argument("--demonstrations", type=int, default=30)
    parser.add_argument("--rollouts", type=int, default=15)
    parser.add_argument("--steps", type=int, default=0, help="gradient steps of each offline stage; 0: their defaults")
    options = parser.parse_args()
    os.environ.setdefault("ROS_DOMAIN_ID", DOMAIN)
    out = options.out.resolve()
    demos, rollouts, learner = out / "demos", out / "rollouts", out / "learner"
    began = time.monotonic()
    _sernf("demos", "--physics", "twin", "--episodes", str(options.demonstrations), "--out", str(demos))
    marks = [("demonstrations", time.monotonic() - began)]
    arguments = {
        "physics": "twin", "operator": "none", "teleop": False, "rollouts": False, "policy": True, "learner": True,
        "episodes": rollouts, "config": _config(out / "config", learner),
    }  # fmt: skip
    with Graph(arguments, out / "bringup.log"):
        for stage in STAGES:
            _sernf("finetune", "--stage", stage, "--data", str(demos), "--steps", str(options.steps))
            marks.append((stage, time.monotonic() - began))
        settings = ["--set", f"online_episodes={options.rollouts}"]
        _sernf("finetune", "--stage", "online_rl", "--data", str(demos), "--no-wait", *settings)
        count, seed = str(options.rollouts), str(FIRST_ROLLOUT_SEED)
        _sernf("rollouts", "--graph", "running", "--episodes", count, "--seed", seed)
        marks.append(("rollouts with online_rl", time.monotonic() - began))
    _write_report(out, list_episodes(demos), list_episodes(rollouts), marks, learner)
    sys.stderr.write(f"report: {out / 'report.md'}\n")


def _sernf(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "sernf.cli", *arguments], check=True)


def _config(folder: Path, learner: Path) -> Path:
    """The installed configuration, but for where the learner keeps its jobs."""
    shutil.copytree(Path(get_package_share_directory("sernf")) / "config", folder, dirs_exist_ok=True)
    file = folder / "learner.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf8"))
    file.write_text(yaml.safe_dump({**content, "directory": str(learner)}), encoding="utf8")
    return folder


def _write_report(
    out: Path, demos: Sequence[EpisodeInfo], rollouts: Sequence[EpisodeInfo], marks: Sequence[tuple[str, float]], learner: Path
) -> None:
    lines = ["# From demonstrations to online RL, over ROS", "", "| part | finished after, s |", "|---|---|"]
    lines += [f"| {name} | {seconds:.0f} |" for name, seconds in marks]
    lines += ["", f"- demonstrations: {_rate(demos)}", f"- rollouts during online RL: {_rate(rollouts)}", ""]
    lines += ["| rollout | label | cause | s | weights |", "|---|---|---|---|---|"]
    for number, episode in enumerate(rollouts, start=1):
        weights = ", ".join(_weights_of(episode))
        lines.append(f"| {number} | {episode.label} | {episode.note} | {episode.seconds:.1f} | {weights} |")
    for picture in sorted(learner.rglob("curves.png")):
        name = f"{picture.parent.name}.png"
        shutil.copyfile(picture, out / name)
        lines += ["", f"![{picture.parent.name}]({name})"]
    (out / "report.md").write_text("\n".join(lines) + "\n", encoding="utf8")
    (out / "report.json").write_text(json.dumps({"demos": _counts(demos), "rollouts": _counts(rollouts)}) + "\n", encoding="utf8")


def _counts(episodes: Sequence[EpisodeInfo]) -> dict[str, int]:
    return {label: sum(episode.label == label for episode in episodes) for label in ("success", "failure", "discard")}


def _rate(episodes: Sequence[EpisodeInfo]) -> str:
    counts = _counts(episodes)
    return describe_rate(counts["success"], counts["success"] + counts["failure"])


def _weights_of(episode: EpisodeInfo) -> list[str]:
    """Versions that commanded in this episode, in their order."""
    topic = episode.topic("action_chunk")
    if topic is None:
        return []
    types = typestore_of(episode)
    hashes = (
        types.deserialize_cdr(message.data, message.msgtype).weights_sha256[:8] for message in messages(episode, [topic.name])
    )
    return list(dict.fromkeys(hashes))


if __name__ == "__main__":
    main()
