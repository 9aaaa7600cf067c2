"""From the streams of a bag to rows on the grid of control ticks, the same rows that a rollout without ROS would have made.

Row t holds what was known when command t was decided: the newest joint states and object poses by their own stamps, and the
target in effect until then. Its action is the target that the bridge followed from t to t + 1; where the filter changed
anything in that tick, or the bridge left off following during its first half, it is the position that the bridge executed at
the tick's end. A filled-in tick behind a person's command counts as the person's.

Nothing here depends on the episode's label, so an episode that is relabelled needs no new alignment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sernf_learner.bag_streams import Array, BridgeStates, JointCommands, Streams, TaskStates, Times
from sernf_learner.camera_streams import CameraStream
from sernf_learner.control_grid import Grid, executed_commands, lay_grid
from sernf_teleop.episode_files import EpisodeError

TELEOP = "teleop"
MOST_PERIODS_OLD = 2
"""What a source asked for while somebody else drove counts for this many periods."""

Scene = tuple[int, int]
"""Begin and end, ns."""
ALL_TIME: Scene = (-(1 << 62), 1 << 62)


@dataclass(frozen=True, kw_only=True)
class Ticks:
    """T rows; see `Episode` for the arrays. `source`: whose episode it is; `objects`: of `object_pose`, in its order.

    `images`: camera -> (T, h, w, 3), the newest picture. `stages` (T,): how many stages had been reached one step later.

    `rows_until_success`, `rows_until_failure`: how many rows were decided before the judge first saw it; T where it never did.
    """

    source: str
    objects: tuple[str, ...]
    joint_position_rad: Array
    commanded_position_rad: Array
    action_rad: Array
    requested_rad: Array
    object_pose: Array
    taken_over: NDArray[np.bool_]
    stages: Times
    rows_until_success: int
    rows_until_failure: int
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.action_rad)


def align(
    streams: Streams, *, source: str, seed: int, period_ns: int, cameras: Mapping[str, CameraStream] | None = None
) -> Ticks:
    """`source`: of the episode; empty takes the first executed one. `seed`: of its scene, 0 without one. Raises EpisodeError."""
    bridge, measured = streams.bridge, streams.joint_states
    executed = executed_commands(bridge, streams.commands)
    source = source or str(executed.source[0])
    start_rad = _start(streams, int(executed.decided_ns[0]))
    grid = lay_grid(executed, start_rad, period_ns)
    scene = _scene(streams.task, grid.decided_ns, seed)
    rows = _usable_rows(streams, grid.decided_ns, scene, cameras or {})

    follows, is_clipped = _what_happened(bridge, grid)
    reached_rad = _executed_at(bridge, grid.end_ns - _control_period_ns(bridge))
    action_rad = np.where((follows & ~is_clipped)[:, None], grid.target_rad, reached_rad)
    commanded_rad = np.concatenate([start_rad[None], action_rad[:-1]])
    decided_ns = grid.decided_ns[rows]
    poses = [stream.pose[_newest(stream.stamp_ns, decided_ns)] for stream in streams.objects.values()]
    arrays = {
        "joint_position_rad": measured.position_rad[_newest(measured.stamp_ns, decided_ns)],
        "commanded_position_rad": commanded_rad[rows],
        "action_rad": action_rad[rows],
        "requested_rad": _requested(streams.commands, grid, follows, source, period_ns)[rows],
        "object_pose": np.stack(poses, axis=1) if poses else np.zeros((len(decided_ns), 0, 7)),
    }
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise EpisodeError(f"expected finite numbers, got NaN or infinity in {name}; discard this episode")
    success, failure = _judged(streams.task, decided_ns, scene)
    return Ticks(
        source=source,
        objects=tuple(streams.objects),
        taken_over=np.asarray((grid.source == TELEOP)[rows] & (source != TELEOP), dtype=bool),
        stages=_stages(streams.task, np.append(decided_ns[1:], decided_ns[-1] + period_ns), scene),
        rows_until_success=success,
        rows_until_failure=failure,
        images={name: stream.picture[_newest(stream.stamp_ns, decided_ns)] for name, stream in (cameras or {}).items()},
        **arrays,
    )


def _newest(stamp_ns: Times, time_ns: Times) -> NDArray[np.intp]:
    """(T,) index of the last stamp that is not after each time; -1 before the first."""
    return np.searchsorted(stamp_ns, time_ns, side="right") - 1


def _start(streams: Streams, time_ns: int) -> Array:
    """(A,) target in effect at `time_ns`, before the first command: where the bridge holds or, unless it says, the joints are."""
    for stamp_ns, position_rad in (
        (streams.bridge.stamp_ns, streams.bridge.executed_rad),
        (streams.joint_states.stamp_ns, streams.joint_states.position_rad),
    ):
        known = np.flatnonzero((stamp_ns <= time_ns) & np.isfinite(position_rad).all(axis=1))
        if len(known):
            start: Array = position_rad[known[-1]]
            return start
    return np.asarray(streams.joint_states.position_rad[0])


def _scene(task: TaskStates, decided_ns: Times, seed: int) -> Scene:
    """The scene that the label speaks of, if scenes changed while recording: that with `seed`, else the last one moved in."""
    edges = np.flatnonzero((np.diff(task.elapsed_s) < 0) | (np.diff(task.seed) != 0)) + 1
    starts = [ALL_TIME[0], *task.stamp_ns[edges].tolist(), ALL_TIME[1]]
    seeds = task.seed[[0, *edges.tolist()]].tolist() if len(task.seed) else [seed]
    scenes = [
        ((begin, end), scene_seed)
        for begin, end, scene_seed in zip(starts[:-1], starts[1:], seeds)
        if ((decided_ns >= begin) & (decided_ns < end)).any()
    ]
    meant = [scene for scene, scene_seed in scenes if seed and scene_seed == seed]
    return meant[-1] if meant else scenes[-1][0]


def _usable_rows(streams: Streams, decided_ns: Times, scene: Scene, cameras: Mapping[str, CameraStream]) -> slice:
    """Rows in the scene for which everything has been heard of. Raises EpisodeError when there is none."""
    begin, end = np.searchsorted(decided_ns, scene, side="left")
    stamps = {"joint_states": streams.joint_states.stamp_ns}
    stamps.update({f"objects/{name}/pose": stream.stamp_ns for name, stream in streams.objects.items()})
    stamps.update({f"camera/{name}": stream.stamp_ns for name, stream in cameras.items()})
    for topic, stamp_ns in stamps.items():
        begin = max(begin, np.searchsorted(decided_ns, stamp_ns[0], side="left"))
        if begin >= end:
            raise EpisodeError(f"expected {topic} before the last command, got its first message after it; discard this episode")
    return slice(int(begin), int(end))


def _what_happened(bridge: BridgeStates, grid: Grid) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether the bridge followed through the first half of each tick, and whether the filter changed anything in it."""
    middle_ns = (grid.begin_ns + grid.end_ns + 1) // 2
    follows = _count_between(bridge.stamp_ns, ~bridge.tracks, grid.begin_ns, middle_ns) == 0
    is_clipped = _count_between(bridge.stamp_ns, bridge.clipped, grid.begin_ns, grid.end_ns) > 0
    return follows, is_clipped


def _count_between(stamp_ns: Times, happened: NDArray[np.bool_], begin_ns: Times, end_ns: Times) -> NDArray[np.int64]:
    """(T,) how often `happened` from each begin until before each end."""
    counted: NDArray[np.int64] = np.concatenate([[0], np.cumsum(happened)])
    return np.asarray(counted[np.searchsorted(stamp_ns, end_ns)] - counted[np.searchsorted(stamp_ns, begin_ns)])


def _control_period_ns(bridge: BridgeStates) -> int:
    """The message at which the next command begins already shows one control period of it."""
    ticks, times = np.diff(bridge.tick), np.diff(bridge.stamp_ns)
    regular = ticks > 0
    return int(np.median(times[regular] / ticks[regular])) if regular.any() else 0


def _executed_at(bridge: BridgeStates, time_ns: Times) -> Array:
    """(T, A) executed positions, interpolated."""
    known = np.isfinite(bridge.executed_rad).all(axis=1)
    stamp_ns, executed_rad = bridge.stamp_ns[known], bridge.executed_rad[known]
    after = np.clip(np.searchsorted(stamp_ns, time_ns), 1, max(1, len(stamp_ns) - 1))
    before = after - 1
    after = np.minimum(after, len(stamp_ns) - 1)
    gap_ns = np.maximum(stamp_ns[after] - stamp_ns[before], 1)
    share = np.clip((time_ns - stamp_ns[before]) / gap_ns, 0.0, 1.0)[:, None]
    reached: Array = (1.0 - share) * executed_rad[before] + share * executed_rad[after]
    return reached


def _requested(commands: JointCommands, grid: Grid, follows: NDArray[np.bool_], source: str, period_ns: int) -> Array:
    """(T, A) what `source` asked for, also while another one drove; where it asked for nothing, what was executed."""
    own = (commands.source == source) & np.isfinite(commands.position_rad).all(axis=1)
    stamp_ns, position_rad = commands.stamp_ns[own], commands.position_rad[own]
    if not len(stamp_ns):
        return grid.target_rad
    end_ns = np.append(grid.decided_ns[1:], grid.decided_ns[-1] + period_ns)
    newest = np.searchsorted(stamp_ns, end_ns, side="left") - 1
    is_fresh = (newest >= 0) & (stamp_ns[newest] >= end_ns - MOST_PERIODS_OLD * period_ns)
    others = ~((grid.source == source).astype(bool) & follows)
    return np.where((others & is_fresh)[:, None], position_rad[newest], grid.target_rad)


def _stages(task: TaskStates, time_ns: Times, scene: Scene) -> Times:
    """(T,) how many stages of the scene had been reached at each time; the judge's stages only ever rise."""
    in_scene = (task.stamp_ns >= scene[0]) & (task.stamp_ns < scene[1])
    stage, stamp_ns = task.stage[in_scene], task.stamp_ns[in_scene]
    reached_ns = stamp_ns[1:][stage[1:] != stage[:-1]]
    return np.searchsorted(reached_ns, time_ns, side="right").astype(np.int64)


def _judged(task: TaskStates, decided_ns: Times, scene: Scene) -> tuple[int, int]:
    """Rows until success and until failure, T without. What was judged before the first command is not about this attempt."""
    in_scene = (task.stamp_ns >= scene[0]) & (task.stamp_ns < scene[1]) & task.done
    done_ns, success = task.stamp_ns[in_scene], task.success[in_scene]
    if not len(done_ns) or done_ns[0] <= decided_ns[0]:
        return len(decided_ns), len(decided_ns)
    first = [done_ns[wanted][:1] for wanted in (success, ~success)]
    until = [int(np.searchsorted(decided_ns, stamp[0], side="left")) if len(stamp) else len(decided_ns) for stamp in first]
    return until[0], until[1]
