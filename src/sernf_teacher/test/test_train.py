"""Training: a killed one ends with the same weights, and the weights can be read back."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sernf_policy.checkpoint_files import CheckpointError
from sernf_teacher import evaluation
from sernf_teacher.cube_env import CubeEnvConfig
from sernf_teacher.cube_observation import SIZE
from sernf_teacher.evaluation import is_teacher
from sernf_teacher.ppo import PpoConfig
from sernf_teacher.teacher_weights import load_teacher
from sernf_teacher.train import TrainConfig, Training, run

CONFIG = TrainConfig(
    samples=8 * 4 * 4, env=CubeEnvConfig(copies=8), ppo=PpoConfig(steps=4, batch=16, epochs=2, hidden=(16,)), save_every=2
)


def weights(training):
    return torch.cat([value.reshape(-1).double() for value in training.ppo.networks.state_dict().values()])


def test_a_killed_training_ends_like_one_that_was_not(tmp_path):
    whole = Training(CONFIG, tmp_path / "whole")
    for _ in range(4):
        whole.iterate()
    killed = Training(CONFIG, tmp_path / "killed")
    for _ in range(2):
        killed.iterate()
    killed.save()
    killed.iterate()
    resumed = Training(CONFIG, tmp_path / "killed")
    assert resumed.resume()
    while not resumed.done:
        resumed.iterate()
    assert torch.equal(weights(resumed), weights(whole))
    assert resumed.pace.level == whole.pace.level


def test_the_state_of_another_kind_of_run_is_refused(tmp_path):
    Training(CONFIG, tmp_path).save()
    other = Training(dataclasses.replace(CONFIG, env=CubeEnvConfig(copies=4)), tmp_path)
    with pytest.raises(ValueError, match=r"expected the state of a training with .*'copies': 4.* got .*'copies': 8"):
        other.resume()


def test_run_logs_saves_and_draws(tmp_path):
    training = Training(CONFIG, tmp_path)
    run(training, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [32, 64, 96, 128]
    assert {"level", "counted_turns_per_minute", "drops_per_minute", "steps_per_s"} <= rows[-1].keys()
    assert (tmp_path / "curves.png").stat().st_size > 1000
    observation = np.random.default_rng(0).normal(size=(3, SIZE)).astype(np.float32)
    teacher = load_teacher(tmp_path / "teacher.safetensors")
    assert is_teacher(str(tmp_path / "teacher.safetensors"))
    with torch.no_grad():
        expected = training.ppo.networks.act(torch.from_numpy(observation)).numpy()
    assert teacher.act(observation) == pytest.approx(expected, abs=1e-6)
    assert not Training(CONFIG, tmp_path / "empty").resume()


def test_without_a_name_the_teacher_is_meant_only_while_no_student_is_shipped(monkeypatch):
    monkeypatch.setattr(evaluation, "shipped_weights", lambda task: {})
    assert is_teacher("teacher") and is_teacher("")
    monkeypatch.setattr(evaluation, "shipped_weights", lambda task: {"imitation": Path("imitation.safetensors")})
    assert is_teacher("teacher") and not is_teacher("") and not is_teacher("imitation")


def test_damaged_weights_are_refused(tmp_path):
    training = Training(CONFIG, tmp_path)
    training.save()
    file = tmp_path / "teacher.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(CheckpointError):
        load_teacher(file)
