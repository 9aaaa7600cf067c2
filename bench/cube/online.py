"""Online RL of a distilled student on the twin, over ROS: `./sernf run python bench/cube/online.py STUDENT --out runs/cube_ros`.

A running graph, as in `./sernf up task:=cube physics:=twin`. The student acts for a while as well as it can, then explores; the
critic is warmed up and offline RL done on what was recorded, by the service `learner/train`; the result acts for a while; then
online RL trains, every new version swapped live into the policy, until the robot time is used up. Then the last version acts for
a while, and the version that did best on the way, which is loaded again: the way back from a dip. Robot time is all time in which
the policy acts on the cube. Writes rollouts.json, curve.png, the last and the best weights; online_table.py puts several seeds
together. Interrupted, the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from ament_index_python.packages import get_package_share_directory
from robot_minutes import ROLLOUTS, Rollout, best_version, draw, level, read, worst_dip

from sernf.graph import Graph
from sernf.rollouts import outcome_of
from sernf_learner.training_job import Stage
from sernf_policy.checkpoint_files import both_files
from sernf_teleop.episodes import EpisodeInfo, list_episodes, messages, typestore_of

DOMAIN = "95"
FIRST, MOST_AT_ONCE = 4, 6
"""Rollouts between two looks at the clock: at first, and at most; else as many as are likely to use up what is left."""
MOST_ROLLOUTS = 1000


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("student", type=Path, help="weights of the stage imitation")
    parser.add_argument("--out", type=Path, default=Path("runs/cube_ros"))
    parser.add_argument("--warmup-minutes", type=float, default=10.0)
    parser.add_argument("--online-minutes", type=float, default=6.0)
    parser.add_argument(
        "--test-minutes", type=float, default=2.0, help="of the student, after offline RL, of the last and the best version"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override of a setting of learning")
    options = parser.parse_args()
    os.environ.setdefault("ROS_DOMAIN_ID", DOMAIN)
    out = options.out.resolve()
    student = out / "student.safetensors"
    out.mkdir(parents=True, exist_ok=True)
    if student.is_file() and student.read_bytes() != both_files(options.student)[0].read_bytes():
        parser.error(f"--out: expected a new folder or a run of this student, got {out} with a run of another; choose another")
    _copy(options.student, student)
    run = Run(out, options.seed, [part for item in options.set for part in ("--set", item)])
    with Graph(run.arguments(student), out / "bringup.log"):
        run.act("student", options.test_minutes, student)
        run.act("warm-up", options.warmup_minutes, student, explore=True)
        critic = run.learn(Stage.CRITIC_WARMUP, student)
        offline = run.learn(Stage.OFFLINE_RL, critic)
        run.act("offline", options.test_minutes, offline)
        run.learn_online(offline, options.online_minutes)
        last, best = run.of("online")[-1].sha256, best_version(run.of("online"))
        for name, sha256 in (("last", last), ("best", best)):
            _copy(run.weights(sha256), out / f"{name}.safetensors")
            run.act(name, options.test_minutes, out / f"{name}.safetensors")
    sys.stderr.write(run.summary() + "\n")


class Run:
    """One seed: what it has recorded, and in which phase. `settings`: of learning, as arguments of a command."""

    def __init__(self, out: Path, seed: int, settings: list[str]) -> None:
        self.out, self.seed, self._settings = out, str(seed), settings
        self.episodes, self.learner = out / "episodes", out / "learner"
        self.rollouts = read(out) if (out / ROLLOUTS).is_file() else []
        self._scene = 5_000_000 + 10_000 * seed
        # What was recorded while the run was interrupted belongs to no phase.
        self._take_in("interrupted")

    def arguments(self, student: Path) -> dict[str, object]:
        """Of bringup."""
        return {
            "task": "cube", "physics": "twin", "operator": "none", "teleop": False, "rollouts": False, "policy": True,
            "learner": True, "episodes": self.episodes, "weights": student, "config": self._config(),
        }  # fmt: skip

    def act(self, phase: str, minutes: float, weights: Path, *, explore: bool = False) -> None:
        """Rollouts in the running graph, with `weights`, until `minutes` of robot time have been used in this phase."""
        arguments = ["--weights", str(weights)]
        while (left_s := 60.0 * minutes - self._used_s(phase)) > 0.0:
            self._roll_out(phase, left_s, [*arguments, *(["--explore"] if explore else [])])
            arguments = []

    def learn(self, stage: Stage, parent: Path) -> Path:
        """The weights that `stage` made, or makes now from all that has been recorded."""
        found = self._made_by(stage)
        if not found:
            self._finetune(stage, parent)
            found = self._made_by(stage)
        return found[-1]

    def learn_online(self, parent: Path, minutes: float) -> None:
        """Online RL from `parent`, or from where it was interrupted, until `minutes` of robot time have been used in it."""
        if self._used_s("online") >= 60.0 * minutes:
            return
        parent = [parent, *self._made_by(Stage.ONLINE_RL)][-1]
        self._finetune(Stage.ONLINE_RL, parent, "--no-wait", "--set", f"online_episodes={MOST_ROLLOUTS}")
        self.act("online", minutes, parent)
        _sernf("finetune", "--cancel", "running")

    def of(self, phase: str) -> list[Rollout]:
        """Rollouts of one phase."""
        return [rollout for rollout in self.rollouts if rollout.phase == phase]

    def weights(self, sha256: str) -> Path:
        """The file of a version that the learner made; the student's for its own. Raises FileNotFoundError."""
        for file, content in self._described():
            if content["sha256"] == sha256:
                return file
        raise FileNotFoundError(f"expected weights {sha256} below {self.learner}, found none")

    def summary(self) -> str:
        """Phases, and the worst dip."""
        phases = dict.fromkeys(rollout.phase for rollout in self.rollouts)
        lines = [f"{phase}: {level(self.of(phase))}" for phase in phases]
        dip = worst_dip(self.of("online"))
        return "\n".join([*lines, f"worst dip: {dip.level if dip else None}"])

    def _used_s(self, phase: str) -> float:
        return sum(rollout.lived_s for rollout in self.of(phase))

    def _described(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Weights of this run with their descriptions, in the order in which they were made."""
        files = sorted(self.learner.rglob("*.safetensors"), key=lambda file: file.stat().st_mtime_ns)
        for file in [self.out / "student.safetensors", *files]:
            description = file.with_suffix(".json")
            if description.is_file():
                yield file, json.loads(description.read_text(encoding="utf8"))

    def _made_by(self, stage: Stage) -> list[Path]:
        return [file for file, content in self._described() if content["stage"] == stage.value]

    def _finetune(self, stage: Stage, parent: Path, *more: str) -> None:
        data = ("--data", str(self.episodes), "--parent", str(parent), "--seed", self.seed)
        _sernf("finetune", "--stage", stage.value, *data, *self._settings, *more)

    def _roll_out(self, phase: str, left_s: float, arguments: Sequence[str]) -> None:
        """A few rollouts, as many as are likely to take `left_s`."""
        lived_s = [rollout.lived_s for rollout in self.of(phase)]
        count = min(max(int(left_s * len(lived_s) / sum(lived_s)), 1), MOST_AT_ONCE) if lived_s else FIRST
        scene = str(self._scene + len(self.rollouts))
        _sernf("rollouts", "--graph", "running", "--task", "cube", "--episodes", str(count), "--seed", scene, *arguments)
        self._take_in(phase)
        self._write()

    def _take_in(self, phase: str) -> None:
        recorded = list_episodes(self.episodes)
        if len(recorded) < len(self.rollouts):
            raise FileNotFoundError(
                f"{self.episodes}: expected {len(self.rollouts)} episodes as in {ROLLOUTS}, got {len(recorded)}"
            )
        for episode in recorded[len(self.rollouts) :]:
            self.rollouts.append(self._rollout(episode, phase))

    def _rollout(self, episode: EpisodeInfo, phase: str) -> Rollout:
        outcome = outcome_of(episode)
        lived_s = outcome.measures.get("lived_s", outcome.seconds)
        used_s = self.rollouts[-1].end_s if self.rollouts else 0.0
        lost = outcome.label == "failure" and "timeout" not in outcome.cause
        return Rollout(used_s + lived_s, lived_s, outcome.measures.get("counted_rad", 0.0), lost, _first_weights(episode), phase)

    def _write(self) -> None:
        rows = [dataclasses.asdict(rollout) for rollout in self.rollouts]
        (self.out / ROLLOUTS).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf8")
        draw([self.rollouts], self.out / "curve.png")

    def _config(self) -> Path:
        """The installed configuration, but for where the learner keeps its jobs."""
        folder = self.out / "config"
        shutil.copytree(Path(get_package_share_directory("sernf")) / "config", folder, dirs_exist_ok=True)
        file = folder / "learner.yaml"
        content = yaml.safe_load(file.read_text(encoding="utf8"))
        file.write_text(yaml.safe_dump({**content, "directory": str(self.learner)}), encoding="utf8")
        return folder


def _copy(weights: Path, target: Path) -> None:
    for source, copy in zip(both_files(weights), both_files(target), strict=True):
        if source.resolve() != copy:
            shutil.copyfile(source, copy)


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
