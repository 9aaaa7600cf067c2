"""Gymnasium environments: the tasks without ROS, faster than real time, through the bridge's own safety filter.

`gymnasium.make("sernf/Duck-v0", physics="nominal")` after `import sernf_sim`. One step is one command at 20 Hz.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sernf_robot.joints import JOINTS
from sernf_robot.kinematics import Kinematics, quaternion_to_matrix
from sernf_sim.cameras import WorldRenderer
from sernf_sim.demonstrators import Observation
from sernf_sim.filtered_robot import FilteredRobot
from sernf_sim.physics import Physics, load_physics
from sernf_sim.tasks.scenery import CAMERAS
from sernf_sim.world import Pose, SimWorld

Array32 = NDArray[np.float32]

OBSERVATION_PARTS = {"joints": 24, "duck_position": 3, "duck_rotation": 6, "bowl_xy": 2, "hand_position": 3, "hand_rotation": 6}
"""Layout of the 44-d observation: joints in `sernf_robot.joints.JOINTS` order, metres in `fr3_link0`, rotations: two columns."""
OBSERVATION_SIZE = sum(OBSERVATION_PARTS.values())
LARGEST_DISTANCE_M = 10.0


class DuckEnv(gymnasium.Env[Array32, Array32]):
    """Duck into bowl.

    Observation (44,) float32: see `OBSERVATION_PARTS`. Action (24,) float32: absolute joint targets, rad, at 20 Hz. Reward: 1 on
    success, else 0; success ends the episode, and so do a duck beyond reach and a joint that does not follow. `info`: stage,
    success, failure, clipped.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012 - gymnasium's interface

    def __init__(self, physics: str | Physics = "nominal", render_mode: str | None = None, camera: str = "front") -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode: expected None or 'rgb_array', got {render_mode!r}")
        if camera not in CAMERAS:
            raise ValueError(f"camera: expected one of {', '.join(CAMERAS)}, got {camera!r}")
        self.render_mode = render_mode
        self._camera = camera
        self.world = SimWorld("duck", physics if isinstance(physics, Physics) else load_physics(physics), seed=0)
        self._robot = FilteredRobot(self.world)
        self._kinematics = Kinematics()
        self._renderer: WorldRenderer | None = None
        limits = self._robot.limits
        self.action_space = spaces.Box(
            limits.position_min_rad.astype(np.float32), limits.position_max_rad.astype(np.float32), dtype=np.float32
        )
        bound = np.full(OBSERVATION_SIZE, LARGEST_DISTANCE_M, dtype=np.float32)
        self.observation_space = spaces.Box(-bound, bound, dtype=np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array32, dict[str, Any]]:
        """A new scene; the same seed gives the same episode. There are no options."""
        super().reset(seed=seed)
        self.world.reset(int(self.np_random.integers(2**32)) if seed is None else seed)
        self._robot.reset()
        return self._observation(), self._info(())

    def step(self, action: Array32) -> tuple[Array32, float, bool, bool, dict[str, Any]]:
        """Command joint targets (24,) rad for 50 ms; raises ValueError for actions that are not 24 finite numbers."""
        clipped = self._robot.command(action)
        status = self.world.judge()
        done = status.done or self._robot.fault is not None
        return self._observation(), float(status.success), done, False, self._info(clipped)

    def render(self) -> NDArray[np.uint8] | None:
        """The chosen camera's picture (480, 640, 3) in mode "rgb_array"."""
        if self.render_mode is None:
            return None
        if self._renderer is None:
            self._renderer = WorldRenderer("duck", width_px=640, height_px=480, visual="light")
        return self._renderer.render(self.world.full_state(), self._camera)

    def close(self) -> None:
        """Release the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def published(self) -> Observation:
        """What a demonstrator may see."""
        return Observation(self.world.joint_position(), self.world.object_poses())

    def _observation(self) -> Array32:
        joints = self.world.joint_position()
        return duck_observation(joints, self.world.object_poses(), *self._kinematics.hand_pose(joints))

    def _info(self, clipped: tuple[str, ...]) -> dict[str, Any]:
        status = self.world.judge()
        failure = self._robot.fault.name if self._robot.fault else status.failure
        return {"stage": status.stage, "success": status.success, "failure": failure, "clipped": clipped}


def duck_observation(
    joint_position_rad: NDArray[np.float64],
    object_poses: dict[str, Pose],
    hand_position_m: NDArray[np.float64],
    hand_rotation: NDArray[np.float64],
) -> Array32:
    """The observation (44,) float32 of `OBSERVATION_PARTS`."""
    if joint_position_rad.shape != (len(JOINTS),):
        raise ValueError(f"expected {len(JOINTS)} joint positions, got shape {joint_position_rad.shape}")
    position, quaternion = object_poses["duck"]
    rotation = quaternion_to_matrix(quaternion)
    bowl_xy = object_poses["bowl"][0][:2]
    parts = (joint_position_rad, position, rotation[:, :2].T.ravel(), bowl_xy, hand_position_m, hand_rotation[:, :2].T.ravel())
    vector: Array32 = np.clip(np.concatenate(parts), -LARGEST_DISTANCE_M, LARGEST_DISTANCE_M).astype(np.float32)
    return vector
