"""What a stage draws from: windows of all episodes and their copies, for the critic and for imitation, and a held-out part.

Episodes that a policy made count as online, all others as offline; a batch mixes the two in a fixed share (RLPD, arXiv
2302.02948). A data set of a policy's episodes alone is learnt from as it is.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sernf_learner.augmentation import WindowCopies, copied_windows
from sernf_learner.chunks import BY_SUCCESS, ChunkTable, concatenate, tabulate
from sernf_learner.episode import POLICY_SOURCE, Ending, Episode
from sernf_learner.foresight import way_ahead
from sernf_learner.frames import Frames, features_of, varied_images
from sernf_learner.learning_config import LearningConfig
from sernf_learner.processes import chosen_device
from sernf_learner.rewards import RewardConfig
from sernf_policy.layout import PolicyLayout
from sernf_policy.observation import ObservationBuilder
from sernf_policy.vision import Eyes

FEWEST_TO_HOLD_OUT_FROM = 10
MOST_OFTEN = 4
"""A single short rollout must not fill half of every batch: its rows come at most this many times as often as all others."""


@dataclass(frozen=True)
class EpisodeRows:
    """Windows as recorded, and with their copies, whose `row` counts within `windows`. `imitated` (n,): worth it or not."""

    windows: ChunkTable
    copies: WindowCopies
    imitated: Tensor

    def worth_imitating(self) -> EpisodeRows:
        """Only these."""
        chosen = self.imitated[self.copies.row]
        copies = WindowCopies(*(getattr(self.copies, field.name)[chosen] for field in dataclasses.fields(WindowCopies)))
        place = self.imitated.cumsum(0) - 1
        copies = dataclasses.replace(copies, row=place[copies.row])
        return EpisodeRows(self.windows.rows(self.imitated.nonzero()[:, 0]), copies, self.imitated[self.imitated])


class TrainingData:
    """Keeps tables on the processor; what is drawn comes on the configured device."""

    def __init__(
        self, episodes: Sequence[Episode], layout: PolicyLayout, config: LearningConfig, seed: int, eyes: Eyes | None = None
    ) -> None:
        """`eyes`: those of the weights that training starts from, which see for it; None: pictures are kept, to train eyes with.

        Raises ValueError when no episode is worth imitating, and LayoutError for one that does not fit the layout.
        """
        self.layout, self.config, self._seed = layout, config, seed
        self._device = chosen_device(config.device)
        self._builder = ObservationBuilder(layout)
        self._eyes, self._frames = eyes, Frames()
        self.held_out: ChunkTable | None = None
        self._episodes: dict[bool, dict[str, EpisodeRows]] = {False: {}, True: {}}
        self._seen: dict[bool, EpisodeRows] = {}
        self._imitated: dict[bool, EpisodeRows] = {}
        self._merged = False
        held_out = _held_out(episodes, config.held_out_share, seed, config.reward)
        if held_out:
            self.held_out = self._tabulated([self._seen_by_eyes(episodes[number]) for number in held_out])
        for number, episode in enumerate(episodes):
            if number not in held_out:
                self.add(episode)
        self._merge()
        if not self._imitated:
            raise ValueError("expected at least one successful episode to imitate, got none; record or label one")

    def add(self, episode: Episode, *, replace: bool = False) -> None:
        """Take in one more episode. `replace`: instead of the one with the same id, if there is one. Raises LayoutError."""
        known = self._episodes[episode.source == POLICY_SOURCE]
        key = episode.episode_id
        if key in known and not replace:
            key = f"{key} ({len(known)})"
        self._merged = False
        if episode.ending is Ending.TIMEOUT and len(episode) <= self.layout.horizon:
            known.pop(key, None)  # cut off before one whole window
            return
        episode = self._seen_by_eyes(episode)
        windows = self._tabulated([episode], self.config.critic.steps)
        copies = copied_windows(episode, self._builder, self.config.augmentation, self._seed, windows=len(windows))
        worth_it = worth_imitating(episode, self.layout.horizon, self.config.acting.player.execute_steps, self.config.reward)
        known[key] = EpisodeRows(windows, copies, torch.from_numpy(worth_it[: len(windows)]))

    def remove(self, episode_id: str) -> None:
        """Forget an episode that a policy made, if it is known: somebody has judged that it is not to be learnt from."""
        self._merged = self._episodes[True].pop(episode_id, None) is None and self._merged

    @property
    def has_online(self) -> bool:
        """Whether a policy's episodes are among them."""
        return bool(self._episodes[True])

    def imitation_set(self) -> WindowCopies:
        """All that is worth imitating, of offline episodes where there are any."""
        self._merge()
        return (self._imitated[False] if False in self._imitated else self._imitated[True]).copies

    def images(self, windows: ChunkTable, *, varied: bool = False) -> dict[str, Tensor]:
        """Camera -> (B, h, w, 3) uint8 of what was seen at each window's beginning; empty once eyes see. `varied`: augmented."""
        images = self._frames.take(windows.frame.cpu())
        if varied:
            images = varied_images(images, self.config.image_augmentation)
        return {name: batch.to(self._device) for name, batch in images.items()}

    def way_ahead(self, windows: ChunkTable) -> Tensor:
        """(B, 6), for windows whose pictures are kept."""
        return self._frames.ahead(windows.frame.cpu()).to(self._device)

    def windows(self, count: int) -> ChunkTable:
        """`count` random windows or copies of all episodes, mixed. A copy earns what its window does, and leads there."""
        self._merge()
        return self._table(copies for copies, _ in self._drawn(self._seen, count, self.config.online_share))

    def imitation_batch(self, count: int) -> ChunkTable:
        """`count` random windows or copies of those worth imitating."""
        self._merge()
        return self._table(copies for copies, _ in self._drawn(self._imitated, count, self.config.imitated_online_share))

    def imitation_pairs(self, count: int) -> tuple[ChunkTable, ChunkTable]:
        """The same, and the window that each is or shows."""
        self._merge()
        copies, windows = zip(*self._drawn(self._imitated, count, self.config.imitated_online_share), strict=True)
        return self._table(copies), self._table(windows)

    def _tabulated(self, episodes: Sequence[Episode], judged_steps: int = 0) -> ChunkTable:
        tables = []
        for number, episode in enumerate(episodes):
            table = tabulate([episode], self._builder, self.config.gamma, judged_steps, self.config.reward)
            keep = self._eyes is None and episode.images
            first = self._frames.add(episode, way_ahead(episode, self._builder)) if keep else 0
            tables.append(dataclasses.replace(table, frame=table.tick + first, episode=torch.full_like(table.episode, number)))
        return concatenate(tables)

    def _seen_by_eyes(self, episode: Episode) -> Episode:
        """The episode with what the eyes make of its pictures instead of these."""
        if self._eyes is None or not self.layout.cameras:
            return episode
        return dataclasses.replace(episode, features=features_of(self._eyes, episode), images={})

    def _table(self, parts: Iterable[ChunkTable]) -> ChunkTable:
        return concatenate(list(parts)).to(self._device)

    def _drawn(
        self, parts: Mapping[bool, EpisodeRows], count: int, online_share: float
    ) -> Iterator[tuple[ChunkTable, ChunkTable]]:
        """Copies and the windows that they show, offline and online."""
        for online, number in _mixed(parts, count, online_share):
            copies = parts[online].copies
            index = torch.randint(len(copies), (number,))
            windows = parts[online].windows.rows(copies.row[index])
            later = self.config.gamma ** copies.wait[index].float()
            drawn = dataclasses.replace(
                windows, vector=copies.vector[index], chunk=copies.chunk[index],
                reward=later * windows.reward, discount=later * windows.discount,
            )  # fmt: skip
            yield drawn, windows

    def _merge(self) -> None:
        """One table of each kind, of the episodes that have such rows."""
        if self._merged:
            return
        self._seen, self._imitated = {}, {}
        for online, known in self._episodes.items():
            imitated = [rows.worth_imitating() for rows in known.values() if rows.imitated.any()]
            if known:
                self._seen[online] = _together(list(known.values()))
            if imitated:
                self._imitated[online] = _together(imitated)
        self._merged = True


def _mixed(parts: Mapping[bool, EpisodeRows], count: int, online_share: float) -> list[tuple[bool, int]]:
    """How many of `count` come from offline (False) and online (True) episodes."""
    if len(parts) == 1:
        return [(online, count) for online in parts]
    share = len(parts[True].copies) / (len(parts[True].copies) + len(parts[False].copies))
    online = min(round(online_share * count), max(1, round(count * MOST_OFTEN * share)))
    return [(is_online, number) for is_online, number in ((False, count - online), (True, online)) if number]


def worth_imitating(episode: Episode, horizon: int, executed_steps: int, reward: RewardConfig = BY_SUCCESS) -> NDArray[np.bool_]:
    """Which windows (T,) show how to do it: those of a success during which nobody took over.

    Of windows of which fewer than `executed_steps` were executed, the rest is padding: who imitates that stands still for ever
    where the demonstrations happened to end. Where every step is paid for, all windows do but those that led to a failure; if
    somebody took over, those in which he acted for the whole `horizon`.
    """
    starts = np.arange(len(episode))
    worth_it: NDArray[np.bool_] = starts <= max(0, len(episode) - executed_steps)
    if not reward.goes_on:
        worth_it &= episode.ending is Ending.SUCCESS and not episode.taken_over.any()
    elif episode.taken_over.any():
        helped = np.concatenate([episode.taken_over, np.zeros(horizon, dtype=np.bool_)])
        worth_it &= helped[starts[:, None] + np.arange(horizon)].all(axis=1)
    elif episode.ending is Ending.FAILURE:
        worth_it &= starts <= len(episode) - executed_steps - round(reward.lost_s / episode.step_period_s)
    return worth_it


def _together(parts: Sequence[EpisodeRows]) -> EpisodeRows:
    before = itertools.accumulate((len(part.windows) for part in parts), initial=0)
    rows = [part.copies.row + start for part, start in zip(parts, before)]
    vectors, chunks = [part.copies.vector for part in parts], [part.copies.chunk for part in parts]
    copies = WindowCopies(torch.cat(vectors), torch.cat(chunks), torch.cat(rows), torch.cat([part.copies.wait for part in parts]))
    return EpisodeRows(concatenate([part.windows for part in parts]), copies, torch.cat([part.imitated for part in parts]))


def _held_out(episodes: Sequence[Episode], share: float, seed: int, reward: RewardConfig) -> set[int]:
    """Indices of offline episodes worth imitating that nothing is trained on."""
    good = [n for n, one in enumerate(episodes) if one.source != POLICY_SOURCE and worth_imitating(one, 1, 1, reward).any()]
    if share == 0.0 or len(good) < FEWEST_TO_HOLD_OUT_FROM:
        return set()
    order = torch.randperm(len(good), generator=torch.Generator().manual_seed(seed)).tolist()
    return {good[index] for index in order[: max(1, round(share * len(good)))]}
