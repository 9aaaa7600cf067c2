"""Is a commanded pose allowed? Workspace box, table plane and self-collision, on the forward kinematics of the command.

Made for the safety filter at 250 Hz: one pass of kinematics, primitives only, all ids resolved at construction. Fingers may
touch each other, the thumb and the palm: grasping needs it. The arm may touch nothing. The fixed base, which stands in the
table, is not checked against table and workspace. Fails only for vectors of a wrong shape (ValueError); poses that are not
finite are the caller's to refuse.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sernf_robot.joints import JOINTS
from sernf_robot.model import ARM_PREFIX, HAND_PREFIX, build_robot_spec, robot_index

FINGER_LINKS = frozenset(
    f"right_{finger}_{link}" for finger in ("thumb", "index", "middle", "ring", "pinky") for link in ("mp", "pp", "ip", "dp")
)

# Which links are checked against which: contype bits, and the bits that each refuses. Pairs that the joints' ranges keep apart,
# or that touch by construction, are left out.
_BASE, _UPPER_ARM, _ELBOW, _FOREARM, _WRIST, _FLANGE, _TOWER, _HAND = (1 << bit for bit in range(8))
_KIND_OF_LINK = {
    "fr3_link0": _BASE, "fr3_link1": _BASE, "fr3_link2": _UPPER_ARM, "fr3_link3": _UPPER_ARM, "fr3_link4": _ELBOW,
    "fr3_link5": _FOREARM, "fr3_link6": _WRIST, "fr3_link7": _FLANGE, "right_tower": _TOWER,
}  # fmt: skip
_REFUSES = {
    _BASE: 0,
    _UPPER_ARM: 0,
    _ELBOW: _BASE,
    _FOREARM: _BASE | _UPPER_ARM,
    _WRIST: _BASE | _UPPER_ARM,
    _FLANGE: _BASE | _UPPER_ARM | _ELBOW | _FOREARM,
    _TOWER: _BASE | _UPPER_ARM | _ELBOW | _FOREARM,
    _HAND: _BASE | _UPPER_ARM | _ELBOW | _FOREARM | _WRIST,
}


@dataclass(frozen=True, kw_only=True)
class PoseCheckConfig:
    """Where the robot may be. Everything in the base frame `fr3_link0`, metres; there are no defaults for limits.

    The hand, from its mount at the flange to the fingertips, must stay inside `workspace_min_m`..`workspace_max_m`. Fingers must
    keep `finger_table_clearance_m` above `table_height_m`, every other link but the base `table_clearance_m` (negative: a command
    may go that deep, which a compliant finger turns into a light touch). Checked pairs of links keep `self_clearance_m`.
    """

    workspace_min_m: tuple[float, float, float]
    workspace_max_m: tuple[float, float, float]
    table_height_m: float
    table_clearance_m: float
    finger_table_clearance_m: float
    self_clearance_m: float

    def __post_init__(self) -> None:
        if not np.isfinite([*self.workspace_min_m, *self.workspace_max_m, self.table_height_m]).all():
            raise ValueError("workspace_min_m, workspace_max_m, table_height_m: expected finite numbers")
        if not all(low < high for low, high in zip(self.workspace_min_m, self.workspace_max_m, strict=True)):
            raise ValueError(
                f"workspace_min_m: expected less than workspace_max_m on every axis, "
                f"got {self.workspace_min_m} and {self.workspace_max_m}"
            )
        for name in ("table_clearance_m", "finger_table_clearance_m"):
            if not -0.03 <= getattr(self, name) <= 0.2:
                raise ValueError(f"{name}: expected -0.03 to 0.2, got {getattr(self, name)}")
        if not 0.0 <= self.self_clearance_m <= 0.1:
            raise ValueError(f"self_clearance_m: expected 0 to 0.1, got {self.self_clearance_m}")


class PoseChecker:
    """Callable on joints (24,) rad: name of each violation ("workspace", "table", "self_collision") to its depth in metres.

    Empty for an allowed pose. With `margin_m` everything is kept so much further away than the configuration asks. `reach_m`,
    (chains, 24): how far the end of each finger, and what lies before it, moves at most per radian of each joint. Works on its
    own copy of the robot's model; not for use from several threads at once.
    """

    def __init__(self, config: PoseCheckConfig, *, margin_m: float = 0.0) -> None:
        self.config = config
        self._margin_m = margin_m
        self._self_clearance_m = config.self_clearance_m + margin_m
        spec = build_robot_spec()
        for geom in spec.geoms:
            kind = _KIND_OF_LINK.get(_link_name(geom.parent.name), _HAND)
            geom.contype, geom.conaffinity = kind, _REFUSES[kind]
            # MuJoCo adds the margins of both geoms.
            geom.margin = self._self_clearance_m / 2
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._joints = robot_index(self._model).qpos
        self._qpos = self._data.qpos
        self._centers = self._data.geom_xpos.reshape(-1)
        self._rotations = self._data.geom_xmat.reshape(-1, 3)
        self._prepare_bounds()
        self.reach_m = self._chains_reach_m()
        self._roomy_position = np.zeros(len(JOINTS))
        self._room_m = -1.0
        """Around `_roomy_position`, every point may move so far before table or workspace can be violated."""

    def __call__(self, position_rad: ArrayLike) -> dict[str, float]:
        """Violations of joints (24,) rad, by name, with depths in metres; raises ValueError for another shape."""
        position = np.asarray(position_rad, dtype=np.float64)
        if position.shape != (len(JOINTS),):
            raise ValueError(f"expected {len(JOINTS)} joint positions, got shape {position.shape}")
        self._qpos[self._joints] = position
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_collision(self._model, self._data)
        violations: dict[str, float] = {}
        if np.maximum.reduce(self.reach_m @ np.abs(position - self._roomy_position)) > self._room_m:
            violations = self._surroundings(position)
        if self._data.ncon:
            depth = self._self_clearance_m - float(self._data.contact.dist.min())
            if depth > 0.0:
                violations["self_collision"] = depth
        return violations

    def _surroundings(self, position: NDArray[np.float64]) -> dict[str, float]:
        """Violations of workspace and table."""
        # Half-size of each shape along the base frame's axes, without its radius, which the bounds hold.
        extents = (np.abs(self._rotations) * self._half_sizes) @ self._ones
        rooms = self._rooms
        np.subtract(self._centers, extents, out=rooms[0])
        np.subtract(rooms[0], self._lowest, out=rooms[1])
        rooms[0] -= self._floor
        np.subtract(self._highest, self._centers, out=rooms[2])
        rooms[2] -= extents
        room_m = float(rooms.min())
        if room_m >= 0.0:
            self._roomy_position, self._room_m = position.copy(), room_m
            return {}
        names = {"workspace": rooms[1:], "table": rooms[0]}
        return {name: -float(room.min()) for name, room in names.items() if room.min() < 0.0}

    def colliding_links(self) -> list[tuple[str, str]]:
        """Pairs of links that the pose checked last brings too close to each other, for messages to people."""
        pairs = []
        for contact in self._data.contact:
            first, second = (self._model.body(self._model.geom_bodyid[geom]).name for geom in contact.geom)
            pairs.append((_link_name(first), _link_name(second)))
        return pairs

    def _prepare_bounds(self) -> None:
        """Bounds of every shape's surface along the base frame's axes, infinite where nothing is asked of it."""
        model, config = self._model, self.config
        shapes = model.ngeom
        half = np.zeros((shapes, 3))
        floor, lowest, highest = np.full((shapes, 3), -np.inf), np.full((shapes, 3), -np.inf), np.full((shapes, 3), np.inf)
        for geom in range(shapes):
            link = _link_name(model.body(model.geom_bodyid[geom]).name)
            if link in ("fr3_link0", "fr3_link1"):
                continue
            size = model.geom_size[geom]
            capsule = model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_CAPSULE
            half[geom] = (0.0, 0.0, size[1]) if capsule else size
            radius = (size[0] if capsule else 0.0) + self._margin_m
            clearance = config.finger_table_clearance_m if link in FINGER_LINKS else config.table_clearance_m
            floor[geom, 2] = config.table_height_m + clearance + radius
            if link.startswith("right_"):
                lowest[geom] = np.array(config.workspace_min_m) + radius
                highest[geom] = np.array(config.workspace_max_m) - radius
        self._floor, self._lowest, self._highest = floor.reshape(-1), lowest.reshape(-1), highest.reshape(-1)
        self._half_sizes: NDArray[np.float64] = np.repeat(half, 3, axis=0)
        self._ones = np.ones(3)
        self._rooms = np.zeros((3, 3 * shapes))

    def _chains_reach_m(self) -> NDArray[np.float64]:
        """`reach_m`: upper bounds, along the links from each joint to the far end of the furthest shape behind it."""
        model = self._model
        beyond = np.zeros(model.nbody)
        for geom in range(model.ngeom):
            body = model.geom_bodyid[geom]
            beyond[body] = max(beyond[body], float(np.linalg.norm(model.geom_pos[geom]) + model.geom_rbound[geom]))
        for body in range(model.nbody - 1, 0, -1):  # children come after their parents
            parent = model.body_parentid[body]
            beyond[parent] = max(beyond[parent], float(np.linalg.norm(model.body_pos[body])) + beyond[body])
        joints = [int(np.flatnonzero(model.jnt_qposadr == address)[0]) for address in self._joints]
        joint_of_body = {int(model.jnt_bodyid[joint]): index for index, joint in enumerate(joints)}
        reach = [beyond[model.jnt_bodyid[joint]] + np.linalg.norm(model.jnt_pos[joint]) for joint in joints]
        chains = []
        for leaf in sorted(set(range(1, model.nbody)) - set(model.body_parentid[1:].tolist())):
            chain, body = np.zeros(len(joints)), leaf
            while body > 0:
                if body in joint_of_body:
                    chain[joint_of_body[body]] = reach[joint_of_body[body]]
                body = int(model.body_parentid[body])
            chains.append(chain)
        return np.array(chains)


def _link_name(body: str) -> str:
    return body.removeprefix(ARM_PREFIX).removeprefix(HAND_PREFIX)
