"""Online RL of a distilled student on the twin, over ROS: `./sernf run python bench/cube/online.py STUDENT --out runs/cube_ros`.

A running graph, as in `./sernf up task:=cube physics:=twin`. The student acts for a while as well as it can, then explores; the
critic is warmed up and offline RL done on what was recorded, by the service `learner/train`; the result acts for a while as well
as it can; then online RL trains while the policy explores, every new version swapped into it live, until the robot time is used
up. Then the last version acts for a while as well as it can, and the best version on the way, which is loaded again: the way back
from a dip. Robot time is all time in which the policy acts on the cube. Writes rollouts.json, curve.png, the last and
the best weights; online_table.py puts several seeds together.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from ament_index_python.packages import get_package_share_directory
from robot_minutes import Rollout, best_version, draw, level, worst_dip

from sernf.graph import Graph
from sernf.rollouts import outcome_of
from sernf_policy.checkpoint_files import both_files
from sernf_teleop.episodes import EpisodeInfo, list_episodes, messages, typestore_of

DOMAIN = "95"
FIRST, MOST_AT_ONCE = 4, 20
"""Rollouts between two looks at the clock: at first, and at most; else as many as are likely to use up what is left."""
MOST_ROLLOUTS = 1000


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("student", type=Path, help="weights of the stage imitation")
    parser.add_argument("--out", type=Path, default=Path("runs/cube_ros"))
    parser.add_argument("--warmup-minutes", type=float, default=4.0)
    parser.add_argument("--online-minutes", type=float, default=12.0)
    parser.add_argument(
        "--test-minutes", type=float, default=3.0, help="of the student, after offline RL, of the last and the best version"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override of a setting of learning")
    options = parser.parse_args()
    os.environ.setdefault("ROS_DOMAIN_ID", DOMAIN)
    out = options.out.resolve()
    if (out / "episodes").exists():
        parser.error(f"--out: expected a new folder, got {out} with the rollouts of an earlier run; choose another or remove it")
    student = out / "student.safetensors"
    out.mkdir(parents=True, exist_ok=True)
    for source, target in zip(both_files(options.student), both_files(student), strict=True):
        shutil.copyfile(source, target)
    run = Run(out, options.seed)
    settings = [part for item in options.set for part in ("--set", item)]
    with Graph(run.arguments(student), out / "bringup.log"):
        run.act("student", options.test_minutes, weights=student)
        run.act("warm-up", options.warmup_minutes, explore=True)
        for stage, parent in (("critic_warmup", ["--parent", str(student)]), ("offline_rl", [])):
            _sernf("finetune", "--stage", stage, "--data", str(run.episodes), "--seed", run.seed, *parent, *settings)
        run.act("offline", options.test_minutes)
        online = [*settings, "--set", f"online_episodes={MOST_ROLLOUTS}"]
        _sernf("finetune", "--stage", "online_rl", "--data", str(run.episodes), "--no-wait", "--seed", run.seed, *online)
        run.act("online", options.online_minutes, explore=True)
        _sernf("finetune", "--cancel", "running")
        for name, sha256 in (("last", run.rollouts[-1].sha256), ("best", best_version(run.of("online")))):
            for source, target in zip(both_files(run.weights(sha256)), both_files(out / f"{name}.safetensors"), strict=True):
                shutil.copyfile(source, target)
        run.act("last", options.test_minutes, weights=out / "last.safetensors")
        run.act("best", options.test_minutes, weights=out / "best.safetensors")
    sys.stderr.write(run.summary() + "\n")


class Run:
    """One seed: what it has recorded, and in which phase."""

    def __init__(self, out: Path, seed: int) -> None:
        self.out, self.seed = out, str(seed)
        self.episodes, self.learner = out / "episodes", out / "learner"
        self.rollouts: list[Rollout] = []
        self._scene = 5_000_000 + 10_000 * seed

    def arguments(self, student: Path) -> dict[str, object]:
        """Of bringup."""
        return {
            "task": "cube", "physics": "twin", "operator": "none", "teleop": False, "rollouts": False, "policy": True,
            "learner": True, "episodes": self.episodes, "weights": student, "config": self._config(),
        }  # fmt: skip

    def act(self, phase: str, minutes: float, weights: Path | None = None, *, explore: bool = False) -> None:
        """Rollouts in the running graph until `minutes` of robot time have been used in this phase; `weights` loaded first."""
        while left_s := max(0.0, 60.0 * minutes - sum(rollout.lived_s for rollout in self.of(phase))):
            more = [*(["--weights", str(weights)] if weights else []), *(["--explore"] if explore else [])]
            scene = self._scene + len(self.rollouts)
            count = str(self._at_once(phase, left_s))
            _sernf("rollouts", "--graph", "running", "--task", "cube", "--episodes", count, "--seed", str(scene), *more)
            weights = None
            for episode in list_episodes(self.episodes)[len(self.rollouts) :]:
                self.rollouts.append(self._rollout(episode, phase))
            self._write()

    def of(self, phase: str) -> list[Rollout]:
        """Rollouts of one phase."""
        return [rollout for rollout in self.rollouts if rollout.phase == phase]

    def weights(self, sha256: str) -> Path:
        """The file of a version that the learner made; the student's for its own. Raises FileNotFoundError."""
        for file in [*self.learner.rglob("*.json"), self.out / "student.json"]:
            content = json.loads(file.read_text(encoding="utf8"))
            if isinstance(content, dict) and content.get("sha256") == sha256:
                return file.with_suffix(".safetensors")
        raise FileNotFoundError(f"expected weights {sha256} below {self.learner}, found none")

    def summary(self) -> str:
        """Phases, and the worst dip."""
        phases = dict.fromkeys(rollout.phase for rollout in self.rollouts)
        lines = [f"{phase}: {level(self.of(phase))}" for phase in phases]
        return "\n".join([*lines, f"worst dip: {worst_dip(self.of('online'))}"])

    def _at_once(self, phase: str, left_s: float) -> int:
        lived_s = [rollout.lived_s for rollout in self.of(phase)]
        return min(max(int(left_s * len(lived_s) / sum(lived_s)), 1), MOST_AT_ONCE) if lived_s else FIRST

    def _rollout(self, episode: EpisodeInfo, phase: str) -> Rollout:
        outcome = outcome_of(episode)
        lived_s = outcome.measures.get("lived_s", outcome.seconds)
        used_s = self.rollouts[-1].end_s if self.rollouts else 0.0
        lost = outcome.label == "failure" and "timeout" not in outcome.cause
        return Rollout(used_s + lived_s, lived_s, outcome.measures.get("counted_rad", 0.0), lost, _first_weights(episode), phase)

    def _write(self) -> None:
        rows = [dataclasses.asdict(rollout) for rollout in self.rollouts]
        (self.out / "rollouts.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf8")
        draw([self.rollouts], self.out / "curve.png")

    def _config(self) -> Path:
        """The installed configuration, but for where the learner keeps its jobs."""
        folder = self.out / "config"
        shutil.copytree(Path(get_package_share_directory("sernf")) / "config", folder, dirs_exist_ok=True)
        file = folder / "learner.yaml"
        content = yaml.safe_load(file.read_text(encoding="utf8"))
        file.write_text(yaml.safe_dump({**content, "directory": str(self.learner)}), encoding="utf8")
        return folder


def _first_weights(episode: EpisodeInfo) -> str:
    topic = episode.topic("action_chunk")
    if topic is None:
        return ""
    types = typestore_of(episode)
    for message in messages(episode, [topic.name]):
        return str(types.deserialize_cdr(message.data, message.msgtype).weights_sha256)
    return ""


def _sernf(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "sernf.cli", *arguments], check=True)


if __name__ == "__main__":
    main()
