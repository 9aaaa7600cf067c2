"""Draws cube_turn.png, one full turn by the teacher: `python docs/images/draw_cube.py [WEIGHTS] [FILE]`.

Needs the project's environment (`./sernf run python docs/images/draw_cube.py`) and a library for off-screen graphics.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sernf_robot.model import COLLISION_GROUP, VISUAL_GROUP, build_robot_spec, robot_index
from sernf_sim.graphics import OffscreenPicture
from sernf_sim.tasks.cube import WRIST_RAD, CubeTask
from sernf_sim.tasks.cube_scene import ARM_RAD, CENTER_M, CUBE
from sernf_sim.tasks.scenery import OBJECT_GROUP, look_at
from sernf_teacher.cube_env import CubeEnv, CubeEnvConfig
from sernf_teacher.cube_geometry import cube_rotation
from sernf_teacher.cube_model import JOINTS
from sernf_teacher.curriculum import MEASURED, TOP
from sernf_teacher.grasps import load_grasps
from sernf_teacher.teacher_weights import SHIPPED, load_teacher

FRAMES = 9
SIZE_PX = 300
EYE_M = (0.80, -0.20, 0.30)
CAPTION_PX = 26
INK, PAPER = (31, 41, 51), (255, 255, 255)
LONGEST_S = 60.0
SETTLE_STEPS = 40


def one_turn(weights: Path, seed: int = 0) -> tuple[list[NDArray[np.float64]], list[float], list[float]]:
    """Positions of hand and cube (22,), yaw (degrees) and time (s) at equal parts of one full turn; RuntimeError without one."""
    teacher = load_teacher(weights)
    stage = dataclasses.replace(MEASURED, randomisation=0.0)
    config = CubeEnvConfig(copies=1, episode_steps=100_000, ring_share=0.0, open_share=0.0, practice_share=0.0)
    env = CubeEnv(config, load_grasps(), stage, seed)
    env.set_stage(stage, teacher.info["level"] / TOP)
    observation = env.reset(spread=False)
    path = []
    for step in range(round(20 * LONGEST_S)):
        seen = env.step(teacher.act(observation))
        observation = seen.observation
        if seen.lost.any():
            raise RuntimeError(f"expected a full turn, the cube was dropped after {step / 20:.1f} s; choose another seed")
        if step >= SETTLE_STEPS:
            path.append(env.physics_state()[0, 1:23])
            yaw = np.array([qpos[JOINTS + 3] for qpos in path])
            if yaw[-1] - yaw[0] >= 2 * np.pi:
                rows = [int(np.argmax(yaw >= yaw[0] + share * 2 * np.pi)) for share in np.linspace(0.0, 1.0, FRAMES)]
                turned = [float(np.degrees(yaw[row] - yaw[0])) for row in rows]
                return [path[row] for row in rows], turned, [row / 20 for row in rows]
    raise RuntimeError(f"expected a full turn within {LONGEST_S} s, got none")


class Picture:
    """The whole robot with the hand's visual meshes, seen from below the cube."""

    def __init__(self) -> None:
        spec = build_robot_spec(visual="full")
        task = CubeTask()
        task.add_to(spec)
        camera = spec.worldbody.add_camera(name="close", fovy=32.0)
        camera.pos, camera.quat = look_at(EYE_M, CENTER_M, (0.0, 0.0, 1.0))
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._picture = OffscreenPicture(self._model, 2 * SIZE_PX, 2 * SIZE_PX, fine=False)
        self._options = mujoco.MjvOption()
        self._options.geomgroup[:] = 0
        self._options.geomgroup[[OBJECT_GROUP, VISUAL_GROUP]] = 1
        self._options.geomgroup[COLLISION_GROUP] = 0
        self._options.sitegroup[:] = 0

    def of(self, qpos: NDArray[np.float64]) -> Image.Image:
        """Hand and cube (22,) as in the teacher's model."""
        data, cube = self._data, self._model.joint(CUBE).qposadr[0]
        data.qpos[robot_index(self._model).qpos] = [*ARM_RAD, WRIST_RAD, *qpos[:JOINTS]]
        quaternion = np.zeros(4)
        mujoco.mju_mat2Quat(quaternion, cube_rotation(qpos[JOINTS + 3], qpos[JOINTS + 4 :]).reshape(9))
        data.qpos[cube : cube + 7] = [*(np.array(CENTER_M) + qpos[JOINTS : JOINTS + 3]), *quaternion]
        data.qpos[self._model.joint("stand").qposadr[0]] = self._model.joint("stand").range[0]
        mujoco.mj_fwdPosition(self._model, data)
        picture = Image.fromarray(self._picture.take(data, "close", self._options))
        return picture.resize((SIZE_PX, SIZE_PX), Image.Resampling.LANCZOS)


def strip(pictures: list[Image.Image], labels: list[str]) -> Image.Image:
    """In a row, each with its label below."""
    sheet = Image.new("RGB", (len(pictures) * SIZE_PX, SIZE_PX + CAPTION_PX), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for index, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        sheet.paste(picture, (index * SIZE_PX, 0))
        draw.text((index * SIZE_PX + SIZE_PX / 2, SIZE_PX + CAPTION_PX / 2), label, INK, font, anchor="mm")
    return sheet.quantize(256, dither=Image.Dither.NONE, kmeans=1)


def main() -> None:
    """Entry point."""
    weights = Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED / "teacher"
    file = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent / "cube_turn.png"
    path, turned, time_s = one_turn(weights)
    picture = Picture()
    labels = [f"{degrees:.0f} degrees, {seconds - time_s[0]:.1f} s" for degrees, seconds in zip(turned, time_s, strict=True)]
    strip([picture.of(qpos) for qpos in path], labels).save(file, optimize=True)


if __name__ == "__main__":
    main()
