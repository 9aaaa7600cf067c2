"""Cameras: they see the duck, follow the state, and refuse states that are not theirs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from sernf_sim.cameras import RenderError, WorldRenderer
from sernf_sim.physics import Physics
from sernf_sim.tasks.scenery import CAMERAS
from sernf_sim.world import FullState, SimWorld


def yellow(picture: np.ndarray) -> np.ndarray:
    """Mask (height, width) of duck-coloured pixels."""
    red, green, blue = (picture[..., channel].astype(int) for channel in range(3))
    return (red > 150) & (green > 110) & (blue < 90) & (red - blue > 100)


@pytest.fixture(scope="module")
def state() -> FullState:
    return SimWorld("duck", Physics(), 0).full_state()


@pytest.fixture(scope="module")
def renderer() -> Iterator[WorldRenderer]:
    with WorldRenderer("duck") as opened:
        yield opened


@pytest.mark.parametrize("camera", CAMERAS)
def test_sees_the_duck_in_many_scenes(renderer: WorldRenderer, camera: str) -> None:
    world = SimWorld("duck", Physics(), 0)
    seen = 0
    for seed in range(10):
        world.reset(seed)
        picture = renderer.render(world.full_state(), camera)
        assert picture.shape == (128, 128, 3)
        assert picture.dtype == np.uint8
        seen += int(yellow(picture).sum() >= 8)
    assert seen >= 9


def test_duck_moves_in_the_picture_as_it_moves_in_the_world(renderer: WorldRenderer, state: FullState) -> None:
    columns = []
    for y_m in (-0.1, 0.2):
        qpos = state.qpos.copy()
        qpos[24:27] = (0.65, y_m, 0.03)
        columns.append(np.nonzero(yellow(renderer.render(replace(state, qpos=qpos), "front")))[1].mean())
    assert columns[1] - columns[0] > 15


def test_pictures_belong_to_the_caller(renderer: WorldRenderer, state: FullState) -> None:
    first = renderer.render(state, "front")
    copy = first.copy()
    renderer.render(state, "wrist")
    np.testing.assert_array_equal(first, copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"task": "cube"}, "task 'cube'"), ({"qpos": np.zeros(3)}, "expected a state"), ({"qpos": np.full(31, np.nan)}, "finite")],
)
def test_refuses_states_that_it_cannot_draw(
    renderer: WorldRenderer, state: FullState, change: dict[str, object], message: str
) -> None:
    with pytest.raises(RenderError, match=message):
        renderer.render(replace(state, **change), "front")


def test_refuses_unknown_cameras(renderer: WorldRenderer, state: FullState) -> None:
    with pytest.raises(RenderError, match="known cameras: front, wrist, overview"):
        renderer.render(state, "back")
