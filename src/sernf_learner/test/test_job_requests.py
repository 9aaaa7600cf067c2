"""What is asked of the learner is checked before anything is done, and refusals say what is wrong and what to do."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from datasets import record_demonstrations, record_episode
from test_jobs import make_job, make_weights

from sernf_learner.job_requests import (
    check_dataset,
    choose_parent,
    named_parent,
    read_overrides,
    read_settings,
    read_stage,
)
from sernf_learner.jobs import JobRecord
from sernf_learner.training_job import JobError, Stage, Weights


def test_stages_are_known_by_name() -> None:
    assert read_stage("offline_rl") is Stage.OFFLINE_RL
    with pytest.raises(JobError, match="expected one of imitation, critic_warmup, offline_rl, online_rl, got 'offline'"):
        read_stage("offline")


def test_overrides_are_a_yaml_mapping() -> None:
    assert read_overrides("") == {}
    assert read_overrides("{batch: 128, actor: {rate: 1.0e-4}}") == {"batch": 128, "actor": {"rate": 1e-4}}
    for text in ("3", "[a]", "{a: [}", "{1: a}"):
        with pytest.raises(JobError, match="expected a YAML mapping"):
            read_overrides(text)


def test_settings_of_a_command_line_are_typed_like_yaml() -> None:
    assert read_settings(["batch=128", "lambda=0.5", "name=a=b", "on=true"]) == {
        "batch": 128,
        "lambda": 0.5,
        "name": "a=b",
        "on": True,
    }
    for word in ("batch", "=3", "a=[1"):
        with pytest.raises(JobError, match="expected"):
            read_settings([word])


def test_a_data_set_is_counted_and_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    record_demonstrations(tmp_path, successes=2, failures=1)
    unusable = {
        record_episode(tmp_path, ""): "not labelled",
        record_episode(tmp_path, "discard"): "labelled discard",
        record_episode(tmp_path, topics=1): "without bridge_state",
        record_episode(tmp_path, lost=3): "6 control messages lost",
    }
    broken = record_episode(tmp_path)
    (broken / "metadata.yaml").write_text("nonsense")
    summary = check_dataset(tmp_path)
    assert (summary.task, summary.successes, summary.failures) == ("duck", 2, 1)
    told = "; ".join(summary.unusable)
    for path, reason in unusable.items():
        assert f"{path.name} ({reason})" in told
    assert f"{broken.name} (broken:" in told


def test_a_folder_that_cannot_teach_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="does not exist on the learner's machine"):
        check_dataset(tmp_path / "nowhere")
    with pytest.raises(JobError, match=r"found none that can be used$"):
        check_dataset(tmp_path)
    record_episode(tmp_path, "")
    with pytest.raises(JobError, match=r"found none that can be used; not usable: .*not labelled"):
        check_dataset(tmp_path)
    record_episode(tmp_path, "failure")
    with pytest.raises(JobError, match=r"at least one success .* got 1 failures"):
        check_dataset(tmp_path)
    record_episode(tmp_path)
    record_episode(tmp_path, task="scissors")
    with pytest.raises(JobError, match=r"episodes of one task .* 2 of duck, 1 of scissors"):
        check_dataset(tmp_path)


def test_failures_alone_teach_where_every_step_is_paid_for(tmp_path: Path) -> None:
    record_episode(tmp_path, "failure", task="cube")
    summary = check_dataset(tmp_path)
    assert (summary.task, summary.successes, summary.failures) == ("cube", 0, 1)
    with pytest.raises(JobError, match="at least one success"):
        check_dataset(tmp_path, {"reward.turning": ""})


def test_a_long_list_of_what_is_wrong_is_shortened(tmp_path: Path) -> None:
    first = record_episode(tmp_path, "")
    for number in range(7):
        shutil.copytree(first, tmp_path / f"{first.name}{number}")
    with pytest.raises(JobError, match=r"and 3 more$"):
        check_dataset(tmp_path)


class TestParents:
    """Which weights a stage starts from."""

    @pytest.fixture(autouse=True)
    def _files(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def weights(self, name: str, stage: str) -> Weights:
        file = self.folder / name
        file.write_text(name)
        return Weights(file=str(file), sha256=name, version=name, stage=stage)

    def made(self, *weights: Weights, dataset: str = "/demos") -> JobRecord:
        job = make_job(weights[0].version, dataset=Path(dataset))
        return JobRecord(job=job, weights=weights)

    def choose(self, stage: Stage, *records: JobRecord, running: Weights | None = None) -> str | None:
        chosen = choose_parent(stage, Path("/demos"), records, running)
        return None if chosen is None else chosen.version

    def test_imitation_starts_from_nothing(self) -> None:
        assert self.choose(Stage.IMITATION, running=self.weights("a", "imitation")) is None

    def test_the_newest_weights_of_the_stage_before_on_the_same_data_win(self) -> None:
        old, new = self.weights("old", "imitation"), self.weights("new", "imitation")
        later = self.weights("later", "critic_warmup")
        other = self.made(self.weights("other", "imitation"), dataset="/elsewhere")
        running = self.weights("running", "imitation")
        assert self.choose(Stage.CRITIC_WARMUP, self.made(old), self.made(new), self.made(later), other, running=running) == "new"

    def test_failing_that_the_running_policy_is_the_parent(self) -> None:
        other = self.made(self.weights("other", "offline_rl"), dataset="/elsewhere")
        assert self.choose(Stage.ONLINE_RL, other, running=self.weights("running", "offline_rl")) == "running"

    def test_online_goes_on_from_online(self) -> None:
        weights = [self.weights("offline", "offline_rl"), self.weights("online", "online_rl")]
        assert self.choose(Stage.ONLINE_RL, self.made(*weights)) == "online"

    def test_weights_whose_file_is_gone_do_not_count(self) -> None:
        here, gone = self.weights("here", "imitation"), self.weights("gone", "imitation")
        Path(gone.file).unlink()
        assert self.choose(Stage.CRITIC_WARMUP, self.made(here, gone)) == "here"
        with pytest.raises(JobError, match=r"their files are gone: .*/gone"):
            self.choose(Stage.CRITIC_WARMUP, self.made(gone))

    @pytest.mark.parametrize(
        ("stage", "before"),
        [("critic_warmup", "imitation"), ("offline_rl", "critic_warmup"), ("online_rl", "offline_rl")],
    )
    def test_a_stage_that_comes_too_early_says_what_comes_before_it(self, stage: str, before: str) -> None:
        running = self.weights("running", "something")
        with pytest.raises(
            JobError, match=f"{stage}: expected weights of stage {before}.* Train {before} on this data set first"
        ):
            self.choose(Stage(stage), self.made(running), running=running)
        with pytest.raises(JobError, match="the policy runs none"):
            self.choose(Stage(stage))


def test_a_named_parent_must_exist(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").touch()
    assert named_parent(str(tmp_path / "w.safetensors"), "duck") == str(tmp_path / "w.safetensors")
    for wrong in ("/no/such", "no_such_stage", "."):
        with pytest.raises(JobError, match=r"parent: .*expected a weights file or a shipped name"):
            named_parent(wrong, "duck")


@pytest.mark.parametrize(
    "wrong",
    [{"job_id": ""}, {"job_id": "a/b"}, {"steps": -1}, {"steps": 10**9}, {"seed": -1}, {"overrides": {"day": date(2026, 1, 1)}}],
)
def test_a_job_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(JobError, match=next(iter(wrong))):
        make_job(**{"job_id": "1", **wrong})


def test_weights_must_say_what_they_are() -> None:
    told = {"file": "/w", "sha256": "a", "version": "v", "stage": "imitation", "parent_sha256": "", "event": "checkpoint"}
    assert Weights.from_mapping(told) == Weights(file="/w", sha256="a", version="v", stage="imitation")
    for key, value in (("file", ""), ("sha256", ""), ("version", 3)):
        with pytest.raises(JobError, match="weights: expected file, sha256"):
            Weights.from_mapping({**told, key: value})
    assert make_weights("a") == make_weights("a")
