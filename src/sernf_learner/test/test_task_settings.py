"""Every task's settings fit together, and overrides come after them."""

from __future__ import annotations

import pytest

from sernf_learner.learning_config import task_config
from sernf_learner.task_settings import TASK_SETTINGS, goes_on
from sernf_policy.layout import LayoutError


@pytest.mark.parametrize("task", TASK_SETTINGS)
def test_a_task_s_chunks_can_be_played_and_its_copies_be_made(task: str) -> None:
    config = task_config(task, {})
    layout = config.layout(task)
    for acting in (config.imitation_acting, config.acting):
        acting.player.check_horizon(layout.horizon)
    assert not (config.augmentation.copies and layout.memory)
    assert config.reward.turning in ("", *layout.objects)


def test_overrides_come_last() -> None:
    assert task_config("cube", {"horizon": 12, "reward": {"speed_rad_s": 2.0}}).reward.turning == "cube"
    assert task_config("cube", {"horizon": 12}).horizon == 12
    assert task_config("duck", {"observation": ["commanded_position"]}).layout("duck").observation == ("commanded_position",)


def test_an_unknown_task_has_to_be_told_what_to_see() -> None:
    with pytest.raises(LayoutError, match="'pancake' sees: name the terms"):
        task_config("pancake", {}).layout("pancake")


def test_only_tasks_that_pay_for_every_step_go_on():
    assert goes_on("cube", {}) and goes_on("duck", {"reward.turning": "bowl"})
    assert not goes_on("duck", {}) and not goes_on("unheard of", {}) and not goes_on("cube", {"reward.turning": ""})
    assert all(goes_on(task, {}) == task_config(task, {}).reward.goes_on for task in TASK_SETTINGS)
