"""Who drives: the selected source, preempted by teleop, handed back by release and by nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from sernf_hw_bridge.arbitration import Arbiter
from sernf_hw_bridge.command import Command
from sernf_hw_bridge.watchdog import Tier, WatchdogConfig


def offer(arbiter: Arbiter, source: str, *, release: bool = False) -> str:
    """Name of the refusal, or empty."""
    refused = arbiter.offer(Command(source, 0, np.zeros(0), release))
    return "" if refused is None else refused.name


@pytest.fixture
def arbiter() -> Arbiter:
    arbiter = Arbiter()
    arbiter.select("policy")
    return arbiter


def test_nobody_is_selected_at_first() -> None:
    arbiter = Arbiter()
    assert (arbiter.selected, arbiter.active) == ("none", "none")
    assert offer(arbiter, "policy") == "not_selected"


def test_the_selected_source_drives_from_its_first_command(arbiter: Arbiter) -> None:
    assert arbiter.active == "none"
    assert offer(arbiter, "demonstrator") == "not_selected"
    assert offer(arbiter, "policy") == ""
    assert arbiter.active == "policy"


def test_teleop_preempts_and_hands_back(arbiter: Arbiter) -> None:
    offer(arbiter, "policy")
    assert offer(arbiter, "teleop") == ""
    assert arbiter.active == "teleop"
    assert offer(arbiter, "policy") == "preempted"
    assert offer(arbiter, "teleop", release=True) == ""
    assert arbiter.active == "none"
    assert offer(arbiter, "policy") == ""
    assert arbiter.active == "policy"


def test_a_silent_operator_keeps_the_robot(arbiter: Arbiter) -> None:
    offer(arbiter, "teleop")
    arbiter.silence()
    assert arbiter.active == "none"
    assert offer(arbiter, "policy") == "preempted"
    assert offer(arbiter, "teleop") == ""
    assert arbiter.active == "teleop"


@pytest.mark.parametrize("end", ["release", "select"])
def test_a_silent_operator_is_ended_by_a_person(arbiter: Arbiter, end: str) -> None:
    offer(arbiter, "teleop")
    arbiter.silence()
    if end == "release":
        offer(arbiter, "teleop", release=True)
    else:
        arbiter.select("policy")
    assert offer(arbiter, "policy") == ""


def test_a_silent_policy_may_begin_again(arbiter: Arbiter) -> None:
    offer(arbiter, "policy")
    arbiter.silence()
    assert offer(arbiter, "policy") == ""


def test_a_release_of_somebody_else_stops_nobody(arbiter: Arbiter) -> None:
    offer(arbiter, "policy")
    assert offer(arbiter, "teleop", release=True) == ""
    assert arbiter.active == "policy"


def test_selecting_stops_who_drives(arbiter: Arbiter) -> None:
    offer(arbiter, "policy")
    arbiter.select("demonstrator")
    assert arbiter.active == "none"
    assert offer(arbiter, "policy") == "not_selected"
    with pytest.raises(ValueError, match="home"):
        arbiter.select("home")


def test_the_age_of_a_command_has_tiers() -> None:
    config = WatchdogConfig(warn_age_s=0.1, hold_age_s=0.2, fault_age_s=1.0)
    ages = {0.0: Tier.FRESH, 0.099: Tier.FRESH, 0.1: Tier.WARN, 0.2: Tier.HOLD, 0.99: Tier.HOLD, 1.0: Tier.FAULT, 1e9: Tier.FAULT}
    assert {age: config.tier(age) for age in ages} == ages


@pytest.mark.parametrize("ages", [(0.2, 0.1, 1.0), (0.0, 0.1, 1.0), (0.1, 0.2, 100.0), (0.1, float("nan"), 1.0)])
def test_tiers_follow_each_other(ages: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="warn_age_s"):
        WatchdogConfig(warn_age_s=ages[0], hold_age_s=ages[1], fault_age_s=ages[2])
