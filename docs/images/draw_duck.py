"""Draws duck_strip.png and cameras.png from one demonstration in simulation: `python docs/images/draw_duck.py [FOLDER]`.

Needs the project's environment (`./sernf run python docs/images/draw_duck.py`) and a library for off-screen graphics.
"""

from __future__ import annotations

import sys
from pathlib import Path

from drawing import States, at, record, side_by_side, strip
from PIL import Image

from sernf_sim.cameras import WorldRenderer
from sernf_sim.tasks.scenery import CAMERAS

SEED = 2
STRIP = {
    "approach": ("approach", 0.75), "grasp": ("close", 0.5), "lift": ("lift", 1.0), "carry": ("carry", 0.8),
    "release": ("release", 1.0), "done": ("retreat", 1.0),
}  # fmt: skip
CAMERA_PHASES = ("approach", 0.75), ("carry", 0.8)
CAMERA_PX = 128
CAMERA_SCALE = 3


def draw_cameras(states: States) -> Image.Image:
    """What the cameras see, magnified without smoothing."""
    pictures, labels = [], []
    with WorldRenderer("duck", width_px=CAMERA_PX, height_px=CAMERA_PX) as renderer:
        for camera in CAMERAS:
            for moment in CAMERA_PHASES:
                picture = Image.fromarray(renderer.render(at(states, moment), camera))
                pictures.append(picture.resize((CAMERA_PX * CAMERA_SCALE,) * 2, Image.Resampling.NEAREST))
                labels.append(f"{camera} camera, {moment[0]}")
    return side_by_side(pictures, labels)


def main() -> None:
    """Write both pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    states = record("duck", SEED)
    for name, picture in (("duck_strip.png", strip("duck", states, STRIP)), ("cameras.png", draw_cameras(states))):
        picture.save(folder / name, optimize=True)


if __name__ == "__main__":
    main()
