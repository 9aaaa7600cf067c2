"""Draws scissors_strip.png and vision_seen.png from one demonstration: `python docs/images/draw_scissors.py [FOLDER]`.

Needs the project's environment (`./sernf run python docs/images/draw_scissors.py`) and a library for off-screen graphics.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from drawing import States, at, record, side_by_side, strip
from PIL import Image

from sernf_learner.learning_config import task_config
from sernf_policy.pictures import seen_part
from sernf_sim.camera_noise import with_noise
from sernf_sim.cameras import WorldRenderer

SEED = 2
STRIP = {
    "start": ("approach", 0.0), "grasped": ("lift", 0.8), "retrieved": ("carry", 1.0), "aligned": ("lower", 1.0),
    "cut": ("cut", 1.0), "done": ("raise", 1.0),
}  # fmt: skip
SEEN = ("approach", 0.9), ("carry", 1.0), ("lower", 1.0)
SCALE = 4


def draw_seen(states: States) -> Image.Image:
    """What the policy sees: noise, cropped and resized, magnified without smoothing."""
    pictures, labels = [], []
    rng = np.random.default_rng(0)
    for view in task_config("scissors", {}).layout("scissors").cameras:
        width, height = view.source_px
        with WorldRenderer("scissors", width_px=width, height_px=height) as renderer:
            for moment in SEEN:
                seen = seen_part(with_noise(renderer.render(at(states, moment), view.name), rng), view)
                magnified = tuple(SCALE * size for size in view.size_px)
                pictures.append(Image.fromarray(seen).resize(magnified, Image.Resampling.NEAREST))
                labels.append(f"{view.name}, {moment[0]}")
    return side_by_side(pictures, labels)


def main() -> None:
    """Write both pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    states = record("scissors", SEED)
    for name, picture in (("scissors_strip.png", strip("scissors", states, STRIP)), ("vision_seen.png", draw_seen(states))):
        picture.save(folder / name, optimize=True)


if __name__ == "__main__":
    main()
