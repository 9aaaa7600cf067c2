"""What the pictures of demonstrations have in common: a recorded demonstration, moments of it, pictures in a row."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sernf_robot.kinematics import Kinematics
from sernf_sim.cameras import WorldRenderer
from sernf_sim.demonstrators import Observation, make_demonstrator
from sernf_sim.filtered_robot import FilteredRobot
from sernf_sim.physics import load_physics
from sernf_sim.tasks.scenery import OVERVIEW
from sernf_sim.world import FullState, SimWorld

STRIP_FRAME_PX = (360, 450)
OVERSAMPLING = 2
GAP_PX = 6
CAPTION_PX = 30
INK, PAPER = (31, 41, 51), (255, 255, 255)

States = dict[str, list[FullState]]
Moment = tuple[str, float]
"""A phase of the demonstrator, and how far into it."""


def record(task: str, seed: int) -> States:
    """One demonstration: phase -> states passed through; raises RuntimeError unless it succeeds."""
    world = SimWorld(task, load_physics("nominal"), seed)
    robot = FilteredRobot(world)
    robot.reset()
    demonstrator = make_demonstrator(task, Kinematics(), np.random.default_rng(seed))
    demonstrator.reset(Observation(world.joint_position(), world.object_poses()))
    states: States = {}
    while not demonstrator.done:
        robot.command(demonstrator.act(Observation(world.joint_position(), world.object_poses())))
        world.judge()
        states.setdefault(demonstrator.phase, []).append(world.full_state())
    if not world.judge().success:
        raise RuntimeError(f"expected seed {seed} to show a success, got stage '{world.judge().stage}'; choose another")
    return states


def at(states: States, moment: Moment) -> FullState:
    """The state at a moment."""
    phase, share = moment
    return states[phase][round(share * (len(states[phase]) - 1))]


def side_by_side(pictures: list[Image.Image], labels: list[str]) -> Image.Image:
    """Pictures of one size in a row, each with its label below it."""
    width, height = pictures[0].size
    sheet = Image.new("RGB", (len(pictures) * (width + GAP_PX) - GAP_PX, height + CAPTION_PX), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(17)
    for index, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        left = index * (width + GAP_PX)
        sheet.paste(picture, (left, 0))
        draw.text((left + width / 2, height + CAPTION_PX / 2 + 2), label, INK, font, anchor="mm")
    return sheet


def strip(task: str, states: States, moments: dict[str, Moment]) -> Image.Image:
    """The whole robot at each moment, by label, with all meshes and shadows."""
    width_px, height_px = (OVERSAMPLING * size for size in STRIP_FRAME_PX)
    with WorldRenderer(task, width_px=width_px, height_px=height_px, visual="full", fine=True) as renderer:
        pictures = [Image.fromarray(renderer.render(at(states, moment), OVERVIEW)) for moment in moments.values()]
    smaller = [picture.resize(STRIP_FRAME_PX, Image.Resampling.LANCZOS) for picture in pictures]
    # 256 colours halve the file; only with k-means rounds do small things keep their colour.
    return side_by_side(smaller, list(moments)).quantize(256, dither=Image.Dither.NONE, kmeans=3)
