"""Grasps to start from: the hand holds the cube in the air with its fingertips, at full gravity, and has proved that it can.

    python -m sernf_teacher.grasps --out grasps.safetensors

Search: fingers are put to a cube's sides from a table of random finger poses, pressed, and tried in simulation: closed without
gravity, then held with it. What holds is disturbed, and tried again in randomised physics. Everything is drawn from one seed.
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from sernf_sim.tasks.cube_scene import CENTER_M, CUBE_SIDE_M, tip_geom
from sernf_sim.tasks.cube_scene import FINGERS as FINGER_NAMES
from sernf_teacher.cube_batch import CubeBatch, Help
from sernf_teacher.cube_geometry import cube_rotation, nearest_on_box
from sernf_teacher.cube_model import CONTROL_PERIOD_S, JOINTS, TIPS
from sernf_teacher.randomisation import Randomisation

Floats = NDArray[np.float64]
log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent / "data" / "grasps.safetensors"
FINGER_JOINTS = (slice(0, 4), slice(4, 7), slice(7, 10), slice(10, 13), slice(13, 16))
TOUCH_N = 0.05
"""A fingertip that presses less does not count as touching."""


class GraspError(RuntimeError):
    """No grasps; the message says what to do."""


@dataclass(frozen=True)
class Grasps:
    """`position_rad`, `target_rad` (n, 16): joints and what they are commanded; `cube` (n, 6): offset (m) from the cube's place,
    yaw and tilts (rad)."""

    position_rad: Floats
    target_rad: Floats
    cube: Floats

    def __len__(self) -> int:
        return len(self.cube)

    def take(self, rows: NDArray[np.intp]) -> Grasps:
        """Some of them."""
        return Grasps(self.position_rad[rows], self.target_rad[rows], self.cube[rows])

    def save(self, file: Path) -> None:
        """As a safetensors file of float32."""
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: np.ascontiguousarray(value, dtype=np.float32) for name, value in vars(self).items()}, file)


def load_grasps(file: Path = SHIPPED) -> Grasps:
    """Raises GraspError."""
    if not file.is_file():
        raise GraspError(f"{file}: expected a file of grasps, found none; make it: python -m sernf_teacher.grasps --out {file}")
    tensors = load_file(file)
    grasps = Grasps(*(tensors[name].astype(float) for name in ("position_rad", "target_rad", "cube")))
    if len(grasps) == 0 or grasps.cube.shape[1:] != (6,) or grasps.position_rad.shape[1:] != (JOINTS,):
        raise GraspError(
            f"{file}: expected grasps of {JOINTS} joints and 6 numbers a cube, got {grasps.cube.shape}; make it anew"
        )
    return grasps


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """`candidates`: tried a round. `reach_m`: how far tips may be from the cube before they are pressed. `press_m`: how far
    behind the surface they are commanded; a stiffness of about 500 N/m makes forces of it. `disturb_rad`: by how much joints are
    disturbed before a grasp has to hold on, for `nominal_s` in nominal physics, for `randomised_s` in each of `variants` others.
    """

    candidates: int = 600
    table: int = 20_000
    place_m: float = 0.008
    reach_m: tuple[float, float] = (-0.001, 0.004)
    low_m: float = -0.018
    high_m: float = 0.010
    press_m: tuple[float, float] = (0.003, 0.014)
    fingers: tuple[int, int] = (4, 5)
    close_s: float = 0.6
    hold_s: float = 2.0
    disturb_rad: float = 0.08
    nominal_s: float = 10.0
    randomised_s: float = 4.0
    variants: int = 3
    tilt_rad: float = 0.3
    offset_m: float = 0.012


class GraspSearch:
    """One search; `round` by round."""

    def __init__(self, config: SearchConfig, seed: int, threads: int = 1) -> None:
        self.config = config
        self._rng = np.random.default_rng(seed)
        self._batch = CubeBatch(config.candidates, threads=threads)
        self._cube = self._batch.cube
        self._data = mujoco.MjData(self._cube.model)
        self._table_rad = self._rng.uniform(self._cube.lower_rad, self._cube.upper_rad, (config.table, JOINTS))
        self._start_m, self._end_m = self._tips_of(self._table_rad)

    def round(self) -> Grasps:
        """Grasps out of one round of candidates; may be few or none."""
        config, batch = self.config, self._batch
        candidates = self._candidates()
        state = np.zeros((len(candidates), self._cube.state_size))
        state[:, self._cube.qpos] = np.hstack([candidates.position_rad, candidates.cube])
        batch.set_physics(np.arange(batch.count), Randomisation().draw(self._rng, batch.count, 0.0))
        batch.set_help(Help(gravity=0.0, viscosity_n_s_m=2.0))
        state = self._hold(state, candidates.target_rad, config.close_s)
        closed = np.flatnonzero(self._good(state, candidates.target_rad))
        state, targets = state[closed], candidates.target_rad[closed]
        batch.set_help(Help())
        state = self._hold(state, targets, config.hold_s)
        held = self._good(state, targets)
        state, targets = state[held], targets[held]
        survivors = np.arange(len(state))
        for strength, hold_s in ((0.0, config.nominal_s), *[(1.0, config.randomised_s)] * config.variants):
            survivors = survivors[self._try_again(state[survivors], targets[survivors], strength, hold_s)]
        log.info("%d candidates, %d close, %d hold, %d always", len(candidates), len(closed), len(state), len(survivors))
        qpos = state[survivors][:, self._cube.qpos]
        return Grasps(qpos[:, :JOINTS], targets[survivors], qpos[:, JOINTS:])

    def _candidates(self) -> Grasps:
        config, rng = self.config, self._rng
        cubes, joints, targets = [], [], []
        count = 0
        while count < config.candidates:
            yaw = rng.uniform(0.0, np.pi / 2)
            cube = np.array([*rng.normal(0.0, config.place_m, 2), rng.normal(0.0, 0.003), yaw, 0.0, 0.0])
            rotation = cube_rotation(cube[3], cube[4:])
            center = np.array(CENTER_M) + cube[:3]
            start, end = (self._start_m - center) @ rotation, (self._end_m - center) @ rotation
            half = np.full(len(start), CUBE_SIDE_M / 2)
            near = nearest_on_box(start, end, self._cube.tip_radius_m, half)
            # The point of the axis that is nearest: the end itself must do the touching, more or less.
            height = end[..., 2]
            fits = near.on_side & (near.distance_m > config.reach_m[0]) & (near.distance_m < config.reach_m[1])
            fits &= (height > config.low_m) & (height < config.high_m)
            away = near.distance_m > 0.012
            choices = [np.flatnonzero(fits[:, finger]) for finger in range(TIPS)]
            others = [np.flatnonzero(away[:, finger]) for finger in range(TIPS)]
            if min(map(len, others)) == 0 or len(choices[0]) == 0 or sum(len(rows) > 0 for rows in choices) < config.fingers[0]:
                continue
            for _ in range(16):
                position, target = np.zeros(JOINTS), np.zeros(JOINTS)
                wanted = rng.integers(config.fingers[0], config.fingers[1] + 1)
                able = [finger for finger in range(1, TIPS) if len(choices[finger])]
                used = {0, *rng.permutation(able)[: wanted - 1].tolist()}
                for finger, part in enumerate(FINGER_JOINTS):
                    row = rng.choice(choices[finger] if finger in used else others[finger])
                    position[part] = target[part] = self._table_rad[row, part]
                    if finger in used:
                        direction = rotation @ _unit(near.vector_m[row, finger])
                        target[part] += self._press(self._table_rad[row], finger, direction * rng.uniform(*config.press_m))
                cubes.append(cube)
                joints.append(position)
                targets.append(np.clip(target, self._cube.lower_rad, self._cube.upper_rad))
                count += 1
        stop = config.candidates
        return Grasps(np.array(joints[:stop]), np.array(targets[:stop]), np.array(cubes[:stop]))

    def _press(self, joints: Floats, finger: int, move_m: Floats) -> Floats:
        """Change of the finger's joints that moves its tip by `move_m` (3,)."""
        model, data = self._cube.model, self._data
        data.qpos[:JOINTS] = joints
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        jacobian = np.zeros((3, model.nv))
        geom = model.geom(tip_geom(FINGER_NAMES[finger]))
        frame = data.geom_xmat[geom.id].reshape(3, 3)
        tip = data.geom_xpos[geom.id] - frame[:, 2] * geom.size[1]
        mujoco.mj_jac(model, data, jacobian, None, tip, geom.bodyid[0])
        local = jacobian[:, FINGER_JOINTS[finger]]
        change: Floats = local.T @ np.linalg.solve(local @ local.T + 1e-5 * np.eye(3), move_m)
        return np.clip(change, -0.5, 0.5)

    def _tips_of(self, joints: Floats) -> tuple[Floats, Floats]:
        starts, ends = [], []
        model, data = self._cube.model, self._data
        for row in joints:
            data.qpos[:JOINTS] = row
            mujoco.mj_kinematics(model, data)
            ids = [model.geom(tip_geom(name)).id for name in FINGER_NAMES]
            along = data.geom_xmat[ids].reshape(TIPS, 3, 3)[:, :, 2] * self._cube.tip_half_length_m[:, None]
            starts.append(data.geom_xpos[ids] + along)
            ends.append(data.geom_xpos[ids] - along)
        return np.array(starts), np.array(ends)

    def _try_again(self, state: Floats, targets: Floats, strength: float, hold_s: float) -> NDArray[np.bool_]:
        """Which hold in physics drawn anew, with joints disturbed at the start."""
        count = len(state)
        if count == 0:
            return np.zeros(0, dtype=bool)
        self._batch.set_physics(np.arange(count), Randomisation().draw(self._rng, count, strength))
        disturbed = targets + self._rng.normal(0.0, self.config.disturb_rad, targets.shape)
        state = self._hold(state, disturbed, 0.2)
        return self._good(self._hold(state, targets, hold_s), targets)

    def _hold(self, state: Floats, targets: Floats, duration_s: float) -> Floats:
        held = np.repeat(targets[:, None], self._batch.substeps, axis=1)
        if not len(state):
            return state
        for _ in range(round(duration_s / CONTROL_PERIOD_S)):
            state = self._batch.advance(state, held, slice(0, len(state))).state
        return state

    def _good(self, state: Floats, targets: Floats) -> NDArray[np.bool_]:
        if not len(state):
            return np.zeros(0, dtype=bool)
        held = np.repeat(targets[:, None], self._batch.substeps, axis=1)
        seen = self._batch.advance(state, held, slice(0, len(state)))
        qpos = seen.state[:, self._cube.qpos]
        offset, tilt = qpos[:, JOINTS : JOINTS + 3], np.linalg.norm(qpos[:, JOINTS + 4 :], axis=-1)
        touching = (seen.force_n > TOUCH_N).sum(-1)
        good: NDArray[np.bool_] = (
            (np.abs(offset) < self.config.offset_m).all(-1) & (tilt < self.config.tilt_rad) & (touching >= 3)
            & (seen.other_n < TOUCH_N) & ~seen.broken
        )  # fmt: skip
        return good


def _unit(vector: Floats) -> Floats:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 1e-9 else vector


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--grasps", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=100, help="at most")
    parser.add_argument("--candidates", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    search = GraspSearch(SearchConfig(candidates=arguments.candidates), arguments.seed, arguments.threads)
    found: list[Grasps] = []
    for _ in range(arguments.rounds):
        found.append(search.round())
        merged = _joined(found)
        log.info("%d of %d grasps", len(merged), arguments.grasps)
        if len(merged):
            merged.take(np.arange(min(len(merged), arguments.grasps))).save(arguments.out)
        if len(merged) >= arguments.grasps:
            return
    raise SystemExit(f"expected {arguments.grasps} grasps, got {len(merged)} in {arguments.rounds} rounds; raise --rounds")


def _joined(parts: list[Grasps]) -> Grasps:
    return Grasps(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("position_rad", "target_rad", "cube")))


if __name__ == "__main__":
    main()
