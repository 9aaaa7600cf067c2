"""Cameras of simulated rollouts without ROS: pictures at a camera's rate, known a control tick after they were taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sernf_policy.layout import CameraView
from sernf_policy.pictures import Picture, seen_part
from sernf_sim.camera_noise import with_noise
from sernf_sim.cameras import WorldRenderer
from sernf_sim.world import FullState

RATE_HZ = 10.0


class SimCameras:
    """Those of one policy's layout, in one task's world. Opens a graphics context when the first picture is taken."""

    def __init__(self, task: str, views: Sequence[CameraView], period_s: float) -> None:
        self._task, self._views = task, tuple(views)
        self._every = max(1, round(1.0 / (RATE_HZ * period_s)))
        self._renderers: dict[tuple[int, int], WorldRenderer] = {}
        self._known: Mapping[str, Picture] = {}
        self._taken: Mapping[str, Picture] = {}

    def start(self, seed: int) -> None:
        """A new episode."""
        self._rng = np.random.default_rng([seed, 2])
        self._known = {}

    def look(self, tick: int, state: Callable[[], FullState]) -> tuple[Mapping[str, Picture], bool]:
        """The parts that the policy sees of what is known at `tick`, and whether that is new; call it each tick."""
        before = self._known
        if tick:
            self._known = self._taken
        if tick % self._every == 0:
            now = state()
            self._taken = {view.name: seen_part(self._take(view, now), view) for view in self._views}
            if tick == 0:
                self._known = self._taken
        return self._known, self._known is not before

    def close(self) -> None:
        """Release graphics."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers = {}

    def _take(self, view: CameraView, state: FullState) -> Picture:
        width, height = view.source_px
        if view.source_px not in self._renderers:
            self._renderers[view.source_px] = WorldRenderer(self._task, width_px=width, height_px=height)
        return with_noise(self._renderers[view.source_px].render(state, view.name), self._rng)
