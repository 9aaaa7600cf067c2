"""Draws duck_strip.png and cameras.png from one demonstration in simulation: `python docs/images/draw_duck.py [FOLDER]`.

Needs the project's environment (`./sernf run python docs/images/draw_duck.py`) and a library for off-screen graphics.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sernf_robot.kinematics import Kinematics
from sernf_sim.cameras import WorldRenderer
from sernf_sim.demonstrators import make_demonstrator
from sernf_sim.env import DuckEnv
from sernf_sim.tasks.scenery import CAMERAS, OVERVIEW
from sernf_sim.world import FullState

SEED = 2
STRIP = (("approach", 0.75), ("close", 0.5), ("lift", 1.0), ("carry", 0.8), ("release", 1.0), ("retreat", 1.0))
"""Phases of the demonstrator, and how far into each the picture is taken."""
LABELS = ("approach", "grasp", "lift", "carry", "release", "done")
STRIP_FRAME_PX = (360, 450)
OVERSAMPLING = 2
CAMERA_PHASES = (("approach", 0.75), ("carry", 0.8))
CAMERA_PX = 128
CAMERA_SCALE = 3
GAP_PX = 6
CAPTION_PX = 30
INK, PAPER = (31, 41, 51), (255, 255, 255)

States = dict[str, list[FullState]]


def record(seed: int) -> States:
    """One demonstration: phase -> states passed through; raises RuntimeError unless it succeeds."""
    env = DuckEnv("nominal")
    env.reset(seed=seed)
    demonstrator = make_demonstrator("duck", Kinematics(), np.random.default_rng(seed))
    demonstrator.reset(env.published())
    states: States = {}
    while not demonstrator.done:
        env.step(demonstrator.act(env.published()).astype(np.float32))
        states.setdefault(demonstrator.phase, []).append(env.world.full_state())
    if not env.world.judge().success:
        raise RuntimeError(f"expected seed {seed} to show a success, got stage '{env.world.judge().stage}'; choose another")
    return states


def at(states: States, phase: str, share: float) -> FullState:
    """The state `share` of the way through `phase`."""
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


def draw_strip(states: States) -> Image.Image:
    """The whole robot, phase by phase, with all meshes and shadows."""
    width_px, height_px = (OVERSAMPLING * size for size in STRIP_FRAME_PX)
    with WorldRenderer("duck", width_px=width_px, height_px=height_px, visual="full", shadows=True) as renderer:
        pictures = [Image.fromarray(renderer.render(at(states, *moment), OVERVIEW)) for moment in STRIP]
    strip = side_by_side([picture.resize(STRIP_FRAME_PX, Image.Resampling.LANCZOS) for picture in pictures], list(LABELS))
    # 256 colours halve the file; only with k-means rounds does the small yellow duck keep its colour.
    return strip.quantize(256, dither=Image.Dither.NONE, kmeans=3)


def draw_cameras(states: States) -> Image.Image:
    """What the policy's cameras see, magnified without smoothing."""
    pictures, labels = [], []
    with WorldRenderer("duck", width_px=CAMERA_PX, height_px=CAMERA_PX) as renderer:
        for camera in CAMERAS:
            for phase, share in CAMERA_PHASES:
                picture = Image.fromarray(renderer.render(at(states, phase, share), camera))
                pictures.append(picture.resize((CAMERA_PX * CAMERA_SCALE,) * 2, Image.Resampling.NEAREST))
                labels.append(f"{camera} camera, {phase}")
    return side_by_side(pictures, labels)


def main() -> None:
    """Write both pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    states = record(SEED)
    for name, picture in (("duck_strip.png", draw_strip(states)), ("cameras.png", draw_cameras(states))):
        picture.save(folder / name, optimize=True)


if __name__ == "__main__":
    main()
