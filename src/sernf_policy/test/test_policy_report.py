"""Diagnostics: the worst thing first, and the log hears of each thing once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from robot_policies import robot_layout

from sernf_policy.likelihood_monitor import Evidence, Trust
from sernf_policy.observation_sync import ObservationSync, StalenessConfig
from sernf_policy.policy_report import ERROR, OK, WARN, PolicyReport
from sernf_policy.policy_session import Counts, Decision, Mode
from sernf_policy.tick_schedule import TickSchedule


class Situation:
    """A healthy policy; a test makes it ill."""

    def __init__(self) -> None:
        description = SimpleNamespace(stage="imitation", file="/a.safetensors")
        running = SimpleNamespace(version="duck-a", sha256="sha", description=description, layout=robot_layout())
        self.session: Any = SimpleNamespace(
            mode=Mode.POLICY, missing="", not_ours="", trouble="", alarm="", doubt="", trust=Trust.LIKELY, counts=Counts(),
            evidence=Evidence(sampled_nats=1.0), seam_jump_rad=0.1, queue_depth=lambda tick: 3,
        )  # fmt: skip
        self.store: Any = SimpleNamespace(running=running, previous=None, loading="", last_refusal="", pinned=False)
        self.schedule = TickSchedule(0.05)
        self.report = PolicyReport(self.session, self.store, ObservationSync(StalenessConfig()), self.schedule)

    def say(self) -> tuple[int, str]:
        level, message, _ = self.report.report(0)
        return level, message


def test_a_healthy_policy_says_mode_and_version_and_all_that_is_to_be_watched() -> None:
    situation = Situation()
    level, message, values = situation.report.report(0)
    assert (level, message) == (OK, "mode policy, duck-a")
    watched = {"mode", "version", "sha256", "chunk_latency_ms", "queue_depth", "seam_jump_rad", "trust", "missed_ticks"}
    assert watched <= set(values)
    assert values["age_of_joint_states_ms"] == "never"
    assert situation.session.seam_jump_rad == 0.0, "maxima count from one report to the next"


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({"alarm": "take over: far"}, ERROR, "take over"),
        ({"missing": "joint_states: old"}, ERROR, "joint_states"),
        ({"trust": Trust.WARN, "doubt": "far"}, WARN, "unlike the data: far"),
        ({"counts": Counts(failures=1), "trouble": "it failed"}, WARN, "it failed"),
        ({"not_ours": "an operator has taken over"}, OK, "an operator"),
    ],
)
def test_what_is_wrong_is_said_at_its_level(change: dict[str, object], level: int, words: str) -> None:
    situation = Situation()
    vars(situation.session).update(change)
    got, message = situation.say()
    assert got == level
    assert words in message


def test_troubles_and_missed_ticks_warn_once() -> None:
    situation = Situation()
    situation.session.counts.restarts, situation.session.trouble = 1, "started again"
    assert situation.say()[0] == WARN
    assert situation.say()[0] == OK
    situation.schedule.missed = 2
    assert "2 control ticks" in situation.say()[1]
    assert situation.say()[0] == OK


def test_without_weights_it_says_why_and_what_to_do() -> None:
    situation = Situation()
    situation.store.running = None
    assert situation.say() == (WARN, "no weights run: load some with policy/load_weights")
    situation.store.last_refusal = "it is bad"
    assert "it is bad" in situation.say()[1]
    situation.store.loading = "/b"
    assert situation.say() == (OK, "loading /b")


def test_the_log_hears_of_each_thing_once_and_of_what_lasts_now_and_then() -> None:
    situation = Situation()
    situation.report.note(1, Decision())
    assert situation.report.news(0.0) == []
    situation.session.missing = "joint_states: 0.1 s old"
    assert situation.report.news(0.0) == ["no command: joint_states: 0.1 s old"]
    situation.session.missing = "joint_states: 0.2 s old"
    assert situation.report.news(0.1) == []
    assert len(situation.report.news(3.0)) == 1
    situation.session.missing = ""
    assert situation.report.news(3.1) == []
    situation.session.missing = "joint_states: 0.1 s old"
    assert len(situation.report.news(3.2)) == 1, "it was gone meanwhile"
    situation.store.last_refusal = "it is bad"
    assert situation.report.news(3.3) == ["weights refused: it is bad"]
    assert situation.report.news(3.4) == []
