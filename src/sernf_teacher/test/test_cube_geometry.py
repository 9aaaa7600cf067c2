"""Nearest points of capsules and cubes, against what can be seen at once."""

import numpy as np
import pytest

from sernf_teacher.cube_geometry import cube_rotation, nearest_on_box

HALF = np.array([0.025])
RADIUS = np.array([0.01])


def nearest(start, end):
    found = nearest_on_box(np.array([[start]]), np.array([[end]]), RADIUS, HALF)
    return float(found.distance_m[0, 0]), found.vector_m[0, 0], bool(found.on_side[0, 0])


def test_beside_the_cube():
    distance, vector, on_side = nearest((0.045, 0.0, 0.02), (0.045, 0.0, -0.01))
    assert distance == pytest.approx(0.01)
    assert vector == pytest.approx([-0.02, 0.0, 0.0])
    assert on_side


def test_above_the_cube():
    distance, vector, on_side = nearest((0.0, 0.0, 0.08), (0.0, 0.0, 0.04))
    assert distance == pytest.approx(0.005)
    assert vector == pytest.approx([0.0, 0.0, -0.015])
    assert not on_side


def test_below_the_cube_is_no_side():
    assert not nearest((0.0, 0.0, -0.04), (0.01, 0.0, -0.04))[2]


def test_inside_the_cube_is_negative():
    assert nearest((0.02, 0.0, 0.0), (0.02, 0.0, 0.0))[0] == pytest.approx(-0.015)


def test_beside_an_edge():
    distance, _, on_side = nearest((0.035, 0.035, 0.0), (0.035, 0.035, 0.01))
    assert distance == pytest.approx(0.01 * 2**0.5 - 0.01)
    assert on_side


def test_rotation_is_that_of_the_models_hinges():
    # About z by 90 degrees, then about the turned x by 90 degrees.
    rotation = cube_rotation(np.array(np.pi / 2), np.array([np.pi / 2, 0.0]))
    assert rotation @ np.array([1.0, 0.0, 0.0]) == pytest.approx(np.array([0.0, 1.0, 0.0]))
    assert rotation @ np.array([0.0, 0.0, 1.0]) == pytest.approx(np.array([1.0, 0.0, 0.0]))
    assert rotation @ rotation.T == pytest.approx(np.eye(3))
