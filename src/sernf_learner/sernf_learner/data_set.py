"""A folder of recorded episodes as a learner sees it: which can be learnt from, which cannot and why, and one hash over all.

Reads one bag at a time. The arrays lie in the data set's cache; `LoadedDataSet.episodes` fetches one when it is asked for, so the
memory needed does not grow with the number of bags.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from sernf_learner.bag_reader import Reading, ending_of
from sernf_learner.episode import Ending, Episode
from sernf_learner.episode_cache import CACHE_FOLDER, EpisodeCache
from sernf_teleop.episode_files import EpisodeError
from sernf_teleop.episodes import EpisodeInfo, sha256_of
from sernf_teleop.episodes import read_dataset as list_dataset

OnProgress = Callable[[int, int, str], None]
"""Called before each episode: how many are done, of how many, and which one comes."""
SHOWN_REASONS = 5
BEING_RECORDED = "is being recorded, or waits for the recorder's next start to be repaired"


class DataSetError(RuntimeError):
    """A folder with nothing to learn from; the message says what is there and what to do."""


@dataclass(frozen=True)
class SkippedEpisode:
    """An episode that is not learnt from, and why."""

    episode_id: str
    reason: str


class CachedEpisodes(Sequence[Episode]):
    """Episodes that are fetched from the cache each time, or from their bags when they are not there any more."""

    def __init__(self, infos: Sequence[EpisodeInfo], cache: EpisodeCache, reading: Reading) -> None:
        self.infos = tuple(infos)
        self._cache, self._reading = cache, reading

    def __len__(self) -> int:
        return len(self.infos)

    @overload
    def __getitem__(self, index: int) -> Episode: ...

    @overload
    def __getitem__(self, index: slice) -> CachedEpisodes: ...

    def __getitem__(self, index: int | slice) -> Episode | CachedEpisodes:
        if isinstance(index, slice):
            return CachedEpisodes(self.infos[index], self._cache, self._reading)
        return self._cache.read(self.infos[index], self._reading)


@dataclass(frozen=True, kw_only=True)
class LoadedDataSet:
    """`episodes`: in the order of recording. `data_sha256`: over their ids, bags and endings, wherever the folder lies."""

    episodes: CachedEpisodes
    endings: tuple[Ending, ...]
    skipped: tuple[SkippedEpisode, ...]
    data_sha256: str

    def count(self, ending: Ending) -> int:
        """Episodes that ended so."""
        return self.endings.count(ending)


def read_dataset(
    directory: Path,
    *,
    reading: Reading | None = None,
    task: str = "",
    only: Collection[str] | None = None,
    cache: EpisodeCache | None = None,
    on_progress: OnProgress = lambda done, total, episode_id: None,
) -> LoadedDataSet:
    """All that can be learnt from in `directory`, or `directory` itself if it is one bag. `task`: leave out the others.

    `only`: ids of the episodes that are meant, whatever else has come into the folder.
    `cache`: without it the data set's own. Raises DataSetError when the folder does not exist or nothing in it can be used.
    """
    if not directory.is_dir():
        raise DataSetError(
            f"expected a folder of episodes, got {directory}, which does not exist; record some: {_remedy(directory)}"
        )
    reading = reading or Reading()
    found = list_dataset(directory)
    skipped = [SkippedEpisode(item.path.name, item.reason) for item in found.broken]
    skipped += [SkippedEpisode(path.name, BEING_RECORDED) for path in found.unfinished]
    usable: list[EpisodeInfo] = []
    for done, info in enumerate(found.episodes):
        if only is not None and info.episode_id not in only:
            continue
        on_progress(done, len(found.episodes), info.episode_id)
        try:
            check_usable(info, task)
            (cache or _cache_beside(info)).read(info, reading)
        except EpisodeError as error:
            skipped.append(SkippedEpisode(info.episode_id, str(error)))
        else:
            usable.append(info)
    if not usable:
        raise DataSetError(_nothing_usable(directory, skipped))
    return LoadedDataSet(
        episodes=CachedEpisodes(usable, cache or _cache_beside(usable[0]), reading),
        endings=tuple(ending_of(info) for info in usable),
        skipped=tuple(skipped),
        data_sha256=_data_sha256(usable),
    )


def _cache_beside(info: EpisodeInfo) -> EpisodeCache:
    return EpisodeCache(info.path.parent / CACHE_FOLDER)


def check_usable(info: EpisodeInfo, task: str) -> None:
    """Whether the metadata speak for an episode that can be learnt from; raises EpisodeError. `task`: empty for any."""
    if task and info.task != task:
        raise EpisodeError(f"task: expected {task}, got {info.task or 'none'}")
    ending_of(info)
    if info.dropped_control_messages:
        raise EpisodeError(f"{info.dropped_control_messages} messages of control topics were dropped while it was recorded")


def _data_sha256(infos: Sequence[EpisodeInfo]) -> str:
    lines = sorted(f"{info.episode_id} {info.sha256 or sha256_of(info.file)} {ending_of(info).value}\n" for info in infos)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _nothing_usable(directory: Path, skipped: Sequence[SkippedEpisode]) -> str:
    if not skipped:
        return f"expected labelled episodes in {directory}, got none; record some: {_remedy(directory)}"
    reasons = "".join(f"\n  {item.episode_id}: {item.reason}" for item in skipped[:SHOWN_REASONS])
    more = f"\n  and {len(skipped) - SHOWN_REASONS} more" if len(skipped) > SHOWN_REASONS else ""
    return (
        f"expected labelled episodes in {directory}, got {len(skipped)} that cannot be learnt from; look at them with "
        f"./sernf bag {directory}, or record others: {_remedy(directory)}{reasons}{more}"
    )


def _remedy(directory: Path) -> str:
    return f"./sernf demos --task duck --out {directory}"
