"""Takeover: engage without a jump, release only when the operator lets go, nothing at all when in doubt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sernf_teleop.takeover import Action, Phase, Takeover

steps = st.lists(st.tuples(st.sampled_from([True, False, None]), st.sampled_from(["", "bridge is gone"])), max_size=60)


def test_hold_and_let_go() -> None:
    takeover = Takeover()
    actions = [takeover.step(held, "") for held in (False, True, True, False, False)]
    assert actions == [Action.NOTHING, Action.ENGAGE, Action.COMMAND, Action.RELEASE, Action.NOTHING]


def test_a_device_in_doubt_neither_commands_nor_releases() -> None:
    takeover = Takeover()
    takeover.step(True, "")
    assert takeover.step(None, "") is Action.NOTHING
    assert takeover.phase is Phase.SUSPENDED
    assert takeover.step(True, "") is Action.ENGAGE


def test_letting_go_after_a_fault_releases() -> None:
    takeover = Takeover()
    takeover.step(True, "")
    takeover.step(None, "")
    assert takeover.step(False, "") is Action.RELEASE


def test_staying_engaged_needs_no_key_until_it_is_switched_off() -> None:
    takeover = Takeover()
    assert takeover.toggle_stay_engaged()
    assert takeover.step(False, "") is Action.ENGAGE
    assert takeover.step(False, "") is Action.COMMAND
    assert not takeover.toggle_stay_engaged()
    assert takeover.step(False, "") is Action.RELEASE


@given(steps)
def test_every_engagement_begins_with_engage_and_ends_with_at_most_one_release(script: list[tuple[bool | None, str]]) -> None:
    takeover, engaged, open_engagement = Takeover(), False, False
    for held, obstacle in script:
        action = takeover.step(held, obstacle)
        if action is Action.ENGAGE:
            assert held
            assert not obstacle
            assert not engaged
        if action is Action.COMMAND:
            assert engaged
            assert held
            assert not obstacle
        if action is Action.RELEASE:
            assert held is False
            assert open_engagement
        engaged = action in (Action.ENGAGE, Action.COMMAND)
        open_engagement = (open_engagement or action is Action.ENGAGE) and action is not Action.RELEASE


@given(steps)
def test_engagements_are_counted(script: list[tuple[bool | None, str]]) -> None:
    takeover = Takeover()
    actions = [takeover.step(held, obstacle) for held, obstacle in script]
    assert takeover.engagements == actions.count(Action.ENGAGE)
