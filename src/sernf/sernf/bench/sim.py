"""The duck task without ROS on one core: control steps through the safety filter while the demonstrator works, and camera frames.

A control step is one command at 20 Hz: 50 ms of simulated time. What the demonstrator itself needs is not counted.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

import numpy as np
from rich.console import Console

from sernf.bench.report import Metric, Report
from sernf_robot.kinematics import Kinematics
from sernf_sim.cameras import WorldRenderer
from sernf_sim.demonstrators import make_demonstrator
from sernf_sim.demonstrators.demonstrator import ACT_PERIOD_S
from sernf_sim.env import DuckEnv
from sernf_sim.world import FullState

TASK = "duck"
CAMERAS = ("front", "wrist")
CAMERA_SHARE = 0.25
"""Part of the time that goes to the cameras."""
KEPT_STATES = 200


def measure(seconds: float, console: Console) -> Report:
    """Raises RuntimeError where nothing can be rendered."""
    console.print(f"measuring for {seconds:g} s: control steps, then camera frames")
    with _one_core():
        step_s, states = _control_steps(seconds * (1.0 - CAMERA_SHARE))
    frame_s = _camera_frames(seconds * CAMERA_SHARE, states)
    return Report(
        metrics={
            "control_step_ms": Metric.of(np.array(step_s) * 1e3, "ms"),
            "camera_frame_ms": Metric.of(np.array(frame_s) * 1e3, "ms"),
        },
        counts={"realtime_factor": ACT_PERIOD_S * len(step_s) / sum(step_s)},
    )


def _control_steps(seconds: float) -> tuple[list[float], list[FullState]]:
    """Time of each step (s), and some of the states passed through."""
    env = DuckEnv()
    demonstrator = make_demonstrator(TASK, Kinematics(), np.random.default_rng(0))
    step_s: list[float] = []
    states: list[FullState] = []
    end = time.monotonic() + seconds
    for seed in range(1_000_000):
        env.reset(seed=seed)
        demonstrator.reset(env.published())
        ended = False
        while not (ended or demonstrator.done):
            action = demonstrator.act(env.published()).astype(np.float32)
            began = time.perf_counter()
            ended = env.step(action)[2]
            step_s.append(time.perf_counter() - began)
            if len(states) < KEPT_STATES:
                states.append(env.world.full_state())
            if time.monotonic() > end:
                return step_s, states
    return step_s, states


def _camera_frames(seconds: float, states: list[FullState]) -> list[float]:
    """Time of each frame (s), both cameras in turn."""
    frame_s: list[float] = []
    with WorldRenderer(TASK) as renderer:
        for camera in CAMERAS:
            renderer.render(states[0], camera)
        end = time.monotonic() + seconds
        index = 0
        while time.monotonic() < end:
            began = time.perf_counter()
            renderer.render(states[index % len(states)], CAMERAS[index % len(CAMERAS)])
            frame_s.append(time.perf_counter() - began)
            index += 1
    return frame_s


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
