"""Settings of learning and their overrides."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sernf_learner.learning_config import LearningConfig, learning_config
from sernf_learner.processes import chosen_device
from sernf_policy.acting import ActingConfig
from sernf_robot.config import ConfigError


def test_dots_name_nested_settings() -> None:
    groups = {"actor": {"beta": 7.0}}
    config = learning_config({**groups, "actor.every": 3, "acting.player.blend_steps": 1, "batch": 8})
    assert (config.actor.beta, config.actor.every, config.acting.player.blend_steps, config.batch) == (7.0, 3, 1, 8)
    assert groups == {"actor": {"beta": 7.0}}
    assert learning_config({}) == LearningConfig()


def test_whoever_changes_one_setting_of_a_group_keeps_the_others() -> None:
    default = LearningConfig().acting
    changed = learning_config({"acting.candidates": 16, "acting.player.execute_steps": 5}).acting
    expected = dataclasses.replace(default, candidates=16, player=dataclasses.replace(default.player, execute_steps=5))
    assert changed == expected != default
    assert default.temperature != ActingConfig().temperature, "otherwise this test says nothing"
    assert learning_config({"acting": {"candidates": 16}, "acting.player.execute_steps": 5}).acting == expected


@pytest.mark.parametrize(
    "overrides",
    [
        {"actor.unknown": 1}, {"unknown": 1}, {"batch": 0}, {"actor.every": 0}, {"actor.learning_rate": -1.0}, {"gamma": 1.0},
        {"critic_training.bootstrap": "x"}, {"critic_training.average": 0.0}, {"guard.patience": 0}, {"device": "tpu"},
        {"actor": 5, "actor.beta": 1.0}, {"offline_rl_steps": 0}, {"online_share": 1.0},
        {"online_rollout_s": -1.0}, {"actor.nll_weight": 0.0},
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(overrides: dict[str, object]) -> None:
    with pytest.raises((ConfigError, ValueError), match=r"expected|unknown"):
        learning_config(overrides)


@pytest.mark.parametrize(("rollout_s", "counted_s", "steps"), [(60.0, 0.0, 20), (3.0, 8.0, 20), (9.0, 8.0, 20), (60.0, 8.0, 160)])
def test_a_rollout_that_lasted_is_worth_more_updates(rollout_s: float, counted_s: float, steps: int) -> None:
    config = learning_config({"online_steps_per_episode": 20, "online_rollout_s": counted_s})
    assert config.online_steps_for(rollout_s) == steps


def test_the_device_is_chosen_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert chosen_device("auto") == chosen_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="set device to auto or cpu"):
        chosen_device("cuda")
    with pytest.raises(ValueError, match="expected auto, cpu or cuda"):
        chosen_device("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert chosen_device("auto") == torch.device("cuda", 1)
