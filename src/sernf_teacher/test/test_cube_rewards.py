"""The rewards: what is paid for turning, and what is not."""

import dataclasses

import numpy as np
import pytest

from sernf_teacher.cube_rewards import Moment, RewardWeights, reward_terms

TOUCH_N = 0.05


def moment(**changes):
    held = Moment(
        spin_rad_s=np.array([0.5]),
        offset_m=np.zeros((1, 3)),
        velocity_m_s=np.zeros((1, 3)),
        tilt_rad=np.zeros(1),
        distance_m=np.zeros((1, 5)),
        force_n=np.ones((1, 5)),
        on_side=np.ones((1, 5), dtype=bool),
        winding_rad_s=np.zeros((1, 5)),
        other_n=np.zeros(1),
        torque_nm=np.zeros((1, 16)),
        joint_velocity_rad_s=np.zeros((1, 16)),
        action=np.zeros((1, 16)),
        last_action=np.zeros((1, 16)),
        dropped=np.zeros(1, dtype=bool),
    )
    return dataclasses.replace(held, **{name: np.asarray(value) for name, value in changes.items()})


def terms(changed=None, nearness=0.0, speed=0.8, gentleness=1.0, caution=1.0):
    return reward_terms(
        changed or moment(), nearness=nearness, speed_rad_s=speed, gentleness=gentleness, caution=caution, touch_n=TOUCH_N
    )


def test_a_gentle_stage_makes_force_and_jerk_dearer_and_nothing_else():
    rough = moment(force_n=np.full((1, 5), 4.0), action=np.ones((1, 16)))
    usual, gentle = terms(rough), terms(rough, gentleness=3.0)
    dearer = {name for name in usual if gentle[name][0] != usual[name][0]}
    assert dearer == {"force", "jerk"}
    assert gentle["force"][0] == pytest.approx(3.0 * usual["force"][0]) == pytest.approx(15.0)


def forces(*touching):
    return np.array([[1.0 if finger in touching else 0.0 for finger in range(5)]])


@pytest.mark.parametrize(("fingers", "share"), [((), 0.0), ((0,), 0.0), ((0, 1), 0.5), ((0, 1, 2), 1.0), ((0, 1, 2, 3), 1.0)])
def test_turning_is_paid_by_the_fingertips_that_hold(fingers, share):
    assert terms(moment(force_n=forces(*fingers)))["spin"][0] == pytest.approx(0.5 * share)


def test_turning_back_costs_whether_or_not_anything_holds():
    assert terms(moment(spin_rad_s=[-0.5], force_n=forces()))["spin"][0] == pytest.approx(-0.5)


def test_turning_faster_than_the_stage_asks_earns_no_more():
    assert terms(moment(spin_rad_s=[3.0]))["spin"][0] == pytest.approx(0.8)
    assert terms(moment(spin_rad_s=[3.0]))["overspeed"][0] > 1.0


def test_nearness_stands_in_for_touch_only_where_the_stage_says_so():
    near = moment(force_n=forces())
    assert terms(near, nearness=1.0)["spin"][0] == pytest.approx(0.5)
    assert terms(near, nearness=0.0)["spin"][0] == 0.0


def test_tips_below_the_cube_hold_nothing_and_cost():
    below = terms(moment(on_side=np.zeros((1, 5), dtype=bool)))
    assert below["spin"][0] == 0.0 and below["fingertips"][0] == 0.0
    assert below["wrong_touch"][0] == 5.0


def test_the_palm_costs():
    assert terms(moment(other_n=[1.0]))["wrong_touch"][0] > 0.0


def test_only_tips_in_the_air_are_paid_for_winding_back():
    back = np.full((1, 5), -1.0)
    assert terms(moment(winding_rad_s=back))["wind"][0] == 0.0
    assert terms(moment(winding_rad_s=back, force_n=forces()))["wind"][0] == pytest.approx(1.0)
    assert terms(moment(winding_rad_s=-back, force_n=forces()))["wind"][0] == pytest.approx(-1.0)


def test_every_term_has_a_weight_and_a_drop_costs_most():
    weights = vars(RewardWeights())
    assert terms().keys() == weights.keys()
    lost, dear = terms(moment(dropped=[True])), terms(moment(dropped=[True]), caution=50.0)
    assert weights["drop"] * lost["drop"][0] <= -3.0
    assert {name for name in lost if dear[name][0] != lost[name][0]} == {"drop"} and dear["drop"] == 50.0 * lost["drop"]
