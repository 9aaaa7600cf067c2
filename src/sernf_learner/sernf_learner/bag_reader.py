"""Recorded episodes as arrays: the bag's messages aligned on control ticks, with the ending that its label tells.

The messages of one bag are held while it is read, and nothing of them afterwards. The same bag gives the same arrays, bit for
bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sernf_learner.bag_streams import read_streams
from sernf_learner.camera_streams import read_cameras
from sernf_learner.episode import Ending, Episode
from sernf_learner.tick_alignment import Ticks, align
from sernf_policy.layout import CameraView
from sernf_robot.joints import JOINTS
from sernf_teleop.episode_files import EpisodeError
from sernf_teleop.episodes import EpisodeInfo, sha256_of


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How bags are read. `objects`: whose poses are needed, in this order; None takes those that a bag holds, by name.

    `cameras`: what is seen of which pictures.
    """

    step_period_s: float = 0.05
    joint_names: tuple[str, ...] = JOINTS
    objects: tuple[str, ...] | None = None
    cameras: tuple[CameraView, ...] = ()

    def __post_init__(self) -> None:
        if not 0.01 <= self.step_period_s <= 0.1:
            raise ValueError(f"step_period_s: expected 0.01 to 0.1 (10 to 100 Hz), got {self.step_period_s}")
        for name in ("joint_names", "objects"):
            values = getattr(self, name)
            if values is not None and len(set(values)) != len(values):
                raise ValueError(f"{name}: expected every name once, got {', '.join(values)}")
        if not self.joint_names:
            raise ValueError("joint_names: expected at least one joint, got none")


def read_bag(
    info: EpisodeInfo,
    *,
    step_period_s: float = 0.05,
    joint_names: Sequence[str] = JOINTS,
    objects: Sequence[str] | None = None,
) -> Episode:
    """One labelled episode, past any cache. Raises EpisodeError when it cannot be learnt from."""
    wanted = None if objects is None else tuple(objects)
    reading = Reading(step_period_s=step_period_s, joint_names=tuple(joint_names), objects=wanted)
    return to_episode(info, read_ticks(info, reading), reading)


def read_ticks(info: EpisodeInfo, reading: Reading) -> Ticks:
    """What does not depend on the label. Raises EpisodeError."""
    _check_unchanged(info)
    streams = read_streams(info, reading.joint_names, reading.objects)
    cameras = read_cameras(info, reading.cameras)
    return align(streams, source=info.source, seed=info.seed, period_ns=round(reading.step_period_s * 1e9), cameras=cameras)


def to_episode(info: EpisodeInfo, ticks: Ticks, reading: Reading) -> Episode:
    """The episode with the label that it has now. Raises EpisodeError unless that is success or failure.

    What came after the judge had decided is cut off, if a person has not judged differently.
    """
    ending = ending_of(info)
    rows = slice({Ending.SUCCESS: ticks.rows_until_success, Ending.FAILURE: ticks.rows_until_failure}.get(ending, len(ticks)))
    return Episode(
        episode_id=info.episode_id,
        task=info.task,
        source=ticks.source,
        seed=info.seed,
        ending=ending,
        cause=info.note,
        step_period_s=reading.step_period_s,
        joint_names=reading.joint_names,
        objects=ticks.objects,
        joint_position_rad=ticks.joint_position_rad[rows],
        commanded_position_rad=ticks.commanded_position_rad[rows],
        action_rad=ticks.action_rad[rows],
        requested_rad=ticks.requested_rad[rows],
        object_pose=ticks.object_pose[rows],
        taken_over=ticks.taken_over[rows],
        stages=ticks.stages[rows],
        images={name: pictures[rows] for name, pictures in ticks.images.items()},
    )


def ending_of(info: EpisodeInfo) -> Ending:
    """By label and note. Raises EpisodeError unless the label is success or failure."""
    if info.label == "success":
        return Ending.SUCCESS
    if info.label == "failure":
        return Ending.TIMEOUT if "timeout" in info.note else Ending.FAILURE
    raise EpisodeError(
        f"expected the label success or failure, got {info.label or 'none'}; label it with the service recorder/relabel_episode"
    )


def _check_unchanged(info: EpisodeInfo) -> None:
    try:
        digest = sha256_of(info.file)
    except OSError as error:
        raise EpisodeError(f"{info.file.name} cannot be read: {error.strerror}") from error
    if info.sha256 and digest != info.sha256:
        raise EpisodeError(
            f"changed after recording: SHA-256 of {info.file.name} is not that in metadata.yaml; restore or remove it"
        )
