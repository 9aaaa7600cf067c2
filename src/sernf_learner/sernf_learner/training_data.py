"""What a stage draws from: windows of all episodes, those worth imitating with their displaced copies, and a held-out part.

Episodes that a policy made count as online, all others as offline; a batch mixes the two in a fixed share (RLPD, arXiv
2302.02948). A data set of a policy's episodes alone is learnt from as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from sernf_learner.augmentation import ImitationRows, imitation_rows, worth_imitating
from sernf_learner.chunks import ChunkTable, concatenate, tabulate
from sernf_learner.episode import Ending, Episode
from sernf_learner.learning_config import LearningConfig
from sernf_learner.processes import chosen_device
from sernf_policy.layout import PolicyLayout
from sernf_policy.observation import ObservationBuilder

FEWEST_TO_HOLD_OUT_FROM = 10
ONLINE_SOURCE = "policy"
MOST_OFTEN = 4
"""A single short rollout must not fill half of every batch: its rows come at most this many times as often as all others."""


class Counted(Protocol):
    """What has a length."""

    def __len__(self) -> int: ...


Part = TypeVar("Part", bound=Counted)


@dataclass(frozen=True)
class EpisodeRows:
    """One episode: its windows, and those worth imitating, whose `row` counts within the episode."""

    windows: ChunkTable
    imitation: ImitationRows


class TrainingData:
    """Keeps tables on the processor; what is drawn comes on the configured device."""

    def __init__(self, episodes: Sequence[Episode], layout: PolicyLayout, config: LearningConfig, seed: int) -> None:
        """Raises ValueError when no episode is worth imitating, and LayoutError for one that does not fit the layout."""
        self.layout, self.config, self._seed = layout, config, seed
        self._device = chosen_device(config.device)
        self._builder = ObservationBuilder(layout)
        self.held_out: ChunkTable | None = None
        self._episodes: dict[bool, dict[str, EpisodeRows]] = {False: {}, True: {}}
        self._windows: dict[bool, ChunkTable] = {}
        self._rows: dict[bool, ImitationRows] = {}
        self._merged = False
        held_out = _held_out(episodes, config.held_out_share, seed)
        if held_out:
            self.held_out = tabulate([episodes[number] for number in held_out], self._builder, config.gamma)
        for number, episode in enumerate(episodes):
            if number not in held_out:
                self.add(episode)
        self._merge()
        if not self._rows:
            raise ValueError("expected at least one successful episode to imitate, got none; record or label one")

    def add(self, episode: Episode, *, replace: bool = False) -> None:
        """Take in one more episode. `replace`: instead of the one with the same id, if there is one. Raises LayoutError."""
        known = self._episodes[episode.source == ONLINE_SOURCE]
        key = episode.episode_id
        if key in known and not replace:
            key = f"{key} ({len(known)})"
        self._merged = False
        if episode.ending is Ending.TIMEOUT and len(episode) <= self.layout.horizon:
            known.pop(key, None)  # cut off before one whole window
            return
        rows = imitation_rows([episode], self._builder, self.config.recovery, self._seed)[0]
        known[key] = EpisodeRows(tabulate([episode], self._builder, self.config.gamma), rows)

    def remove(self, episode_id: str) -> None:
        """Forget an episode that a policy made, if it is known: somebody has judged that it is not to be learnt from."""
        self._merged = self._episodes[True].pop(episode_id, None) is None and self._merged

    @property
    def has_online(self) -> bool:
        """Whether a policy's episodes are among them."""
        return bool(self._episodes[True])

    def imitation_set(self) -> ImitationRows:
        """All rows worth imitating, of offline episodes where there are any."""
        self._merge()
        return self._rows[False] if False in self._rows else self._rows[True]

    def windows(self, count: int) -> ChunkTable:
        """`count` random windows of all episodes, mixed."""
        self._merge()
        parts = [
            self._windows[online].rows(torch.randint(len(self._windows[online]), (number,)))
            for online, number in self._mixed(self._windows, count)
        ]
        return concatenate(parts).to(self._device)

    def imitation_batch(self, count: int) -> tuple[Tensor, Tensor, ChunkTable]:
        """`count` random rows worth imitating: vectors, chunks, and the windows that they come from."""
        self._merge()
        vectors, chunks, windows = [], [], []
        for online, number in self._mixed(self._rows, count):
            rows = self._rows[online]
            index = torch.randint(len(rows), (number,))
            vectors.append(rows.vector[index])
            chunks.append(rows.chunk[index])
            windows.append(self._windows[online].rows(rows.row[index]))
        device = self._device
        return torch.cat(vectors).to(device), torch.cat(chunks).to(device), concatenate(windows).to(device)

    def _mixed(self, parts: Mapping[bool, Part], count: int) -> list[tuple[bool, int]]:
        """How many of `count` come from offline (False) and online (True) episodes."""
        if len(parts) == 1:
            return [(online, count) for online in parts]
        share = len(parts[True]) / (len(parts[True]) + len(parts[False]))
        online = min(round(self.config.online_share * count), max(1, round(count * MOST_OFTEN * share)))
        return [(is_online, number) for is_online, number in ((False, count - online), (True, online)) if number]

    def _merge(self) -> None:
        """One table of each kind, of the episodes that have such rows."""
        if self._merged:
            return
        self._windows, self._rows = {}, {}
        for online, known in self._episodes.items():
            if not known:
                continue
            self._windows[online] = concatenate([episode.windows for episode in known.values()])
            vectors, chunks, rows, before = [], [], [], 0
            for episode in known.values():
                vectors.append(episode.imitation.vector)
                chunks.append(episode.imitation.chunk)
                rows.append(episode.imitation.row + before)
                before += len(episode.windows)
            merged = ImitationRows(torch.cat(vectors), torch.cat(chunks), torch.cat(rows))
            if len(merged):
                self._rows[online] = merged
        self._merged = True


def _held_out(episodes: Sequence[Episode], share: float, seed: int) -> set[int]:
    """Indices of successful offline episodes that nothing is trained on."""
    good = [n for n, episode in enumerate(episodes) if episode.source != ONLINE_SOURCE and worth_imitating(episode)]
    if share == 0.0 or len(good) < FEWEST_TO_HOLD_OUT_FROM:
        return set()
    order = torch.randperm(len(good), generator=torch.Generator().manual_seed(seed)).tolist()
    return {good[index] for index in order[: max(1, round(share * len(good)))]}
