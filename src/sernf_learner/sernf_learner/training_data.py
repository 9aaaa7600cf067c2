"""What a stage draws from: windows of all episodes, those worth imitating with their displaced copies, and a held-out part.

Episodes that a policy made count as online, all others as offline; a batch mixes the two in a fixed share (RLPD, arXiv 2302.02948).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sernf_learner.augmentation import ImitationRows, imitation_rows, worth_imitating
from sernf_learner.chunks import ChunkTable, concatenate, tabulate
from sernf_learner.episode import Episode
from sernf_learner.learning_config import LearningConfig
from sernf_policy.layout import PolicyLayout
from sernf_policy.observation import ObservationBuilder

FEWEST_TO_HOLD_OUT_FROM = 10
ONLINE_SOURCE = "policy"


class TrainingData:
    """Grows by `add`; never forgets."""

    def __init__(self, episodes: Sequence[Episode], layout: PolicyLayout, config: LearningConfig, seed: int) -> None:
        """Raises ValueError when no episode is worth imitating."""
        self.layout, self.config, self._seed = layout, config, seed
        self._builder = ObservationBuilder(layout)
        self.held_out: ChunkTable | None = None
        self._tables: dict[bool, list[ChunkTable]] = {False: [], True: []}
        self._rows: dict[bool, list[ImitationRows]] = {False: [], True: []}
        self._sizes = {False: 0, True: 0}
        self._merged = False
        held_out = _held_out(episodes, config.held_out_share, seed)
        if held_out:
            self.held_out = tabulate([episodes[number] for number in held_out], self._builder, config.gamma)
        for number, episode in enumerate(episodes):
            if number not in held_out:
                self.add(episode)
        if not any(len(rows) for rows in self._rows[False]):
            raise ValueError("expected at least one successful episode to imitate, got none")
        self._merge()

    def add(self, episode: Episode) -> None:
        """Take in one more episode."""
        online = episode.source == ONLINE_SOURCE
        try:
            table = tabulate([episode], self._builder, self.config.gamma)
        except ValueError:
            return  # cut off by its time limit before one whole window
        rows = imitation_rows([episode], self._builder, self.config.recovery, self._seed)[0]
        self._tables[online].append(table)
        self._rows[online].append(ImitationRows(rows.vector, rows.chunk, rows.row + self._sizes[online]))
        self._sizes[online] += len(table)
        self._merged = False

    @property
    def has_online(self) -> bool:
        """Whether a policy's episodes are among them."""
        return bool(self._tables[True])

    def imitation_set(self) -> ImitationRows:
        """All rows worth imitating, offline ones."""
        self._merge()
        return self._all_rows[False]

    def windows(self, count: int) -> ChunkTable:
        """`count` random windows of all episodes, mixed."""
        self._merge()
        parts = [table.rows(torch.randint(len(table), (number,))) for table, number in self._mixed(self._all_tables, count)]
        return concatenate(parts)

    def imitation_batch(self, count: int) -> tuple[Tensor, Tensor, ChunkTable]:
        """`count` random rows worth imitating: vectors, chunks, and the windows that they come from."""
        self._merge()
        vectors, chunks, windows = [], [], []
        for rows, number in self._mixed(self._all_rows, count):
            index = torch.randint(len(rows), (number,))
            vectors.append(rows.vector[index])
            chunks.append(rows.chunk[index])
            table = self._all_tables[rows is self._all_rows.get(True)]
            windows.append(table.rows(rows.row[index]))
        return torch.cat(vectors), torch.cat(chunks), concatenate(windows)

    def _mixed(self, parts, count: int):  # type: ignore[no-untyped-def]
        online = round(self.config.online_share * count) if True in parts and len(parts[True]) else 0
        # A single short rollout must not fill half of every batch.
        if online:
            online = min(online, max(1, round(count * 4 * len(parts[True]) / (len(parts[True]) + len(parts[False])))))
        return [(parts[is_online], number) for is_online, number in ((False, count - online), (True, online)) if number]

    def _merge(self) -> None:
        if self._merged:
            return
        self._all_tables = {key: concatenate(tables) for key, tables in self._tables.items() if tables}
        self._all_rows = {
            key: ImitationRows(*(torch.cat([getattr(part, name) for part in rows]) for name in ("vector", "chunk", "row")))
            for key, rows in self._rows.items()
            if rows
        }
        self._merged = True


def _held_out(episodes: Sequence[Episode], share: float, seed: int) -> set[int]:
    """Indices of successful offline episodes that nothing is trained on."""
    good = [n for n, episode in enumerate(episodes) if episode.source != ONLINE_SOURCE and worth_imitating(episode)]
    if share == 0.0 or len(good) < FEWEST_TO_HOLD_OUT_FROM:
        return set()
    order = torch.randperm(len(good), generator=torch.Generator().manual_seed(seed)).tolist()
    return {good[index] for index in order[: max(1, round(share * len(good)))]}
