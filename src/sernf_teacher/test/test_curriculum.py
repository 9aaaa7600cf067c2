"""The curriculum: its order, and a pace that goes both ways."""

import pytest

from sernf_teacher.curriculum import STAGES, TOP, Pace, PaceConfig, conditions

PACE = PaceConfig(every=2, up=0.1, down=0.05, turns_per_minute=3.0, drops_per_minute=2.0, retreat=3.0)


def test_level_rises_only_after_enough_iterations_that_go_well():
    pace = Pace(PACE, level=1.0)
    assert pace.update(5.0, 0.5) == 1.0
    assert pace.update(5.0, 0.5) == pytest.approx(1.1)


def test_level_stays_between_good_and_bad():
    pace = Pace(PACE, level=1.0)
    for turns, drops in ((2.0, 0.5), (2.0, 0.5), (5.0, 4.0), (5.0, 4.0)):
        pace.update(turns, drops)
    assert pace.level == 1.0


@pytest.mark.parametrize(("turns", "drops"), [(5.0, 7.0), (0.5, 0.0)])
def test_level_falls_when_cubes_fall_or_stand_still(turns, drops):
    pace = Pace(PACE, level=1.0)
    pace.update(turns, drops)
    assert pace.update(turns, drops) == pytest.approx(0.95)


def test_level_stays_inside():
    pace = Pace(PACE, level=0.01)
    for _ in range(4):
        pace.update(0.0, 100.0)
    assert pace.level == 0.0
    pace.level = TOP - 0.01
    for _ in range(4):
        pace.update(9.0, 0.0)
    assert pace.level == TOP


def test_pace_goes_on_from_its_state():
    pace, other = Pace(PACE, level=1.0), Pace(PACE)
    pace.update(5.0, 0.0)
    other.restore(pace.state())
    assert other.update(5.0, 0.0) == pace.update(5.0, 0.0) == pytest.approx(1.1)


def test_conditions_between_two_stages_are_their_mixture():
    middle = conditions(1.5)
    low, high = STAGES[1], STAGES[2]
    assert middle.help.lift_n_m == pytest.approx((low.help.lift_n_m + high.help.lift_n_m) / 2)
    assert middle.step_s == low.step_s
    assert conditions(float(TOP)) == STAGES[TOP]


def test_there_is_no_vertical_spring_where_there_is_gravity():
    for tenth in range(10 * TOP + 1):
        help_ = conditions(tenth / 10).help
        assert help_.gravity == 0.0 or help_.lift_n_m == 0.0


def test_at_the_top_nothing_helps():
    help_ = conditions(float(TOP)).help
    assert help_.gravity == 1.0
    assert not any((help_.lift_n_m, help_.sideways_n_m, help_.upright_nm_rad, help_.viscosity_n_s_m))


def test_levels_outside_are_refused():
    with pytest.raises(ValueError, match="expected 0 to"):
        conditions(TOP + 0.1)
