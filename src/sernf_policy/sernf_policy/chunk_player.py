"""Plays action chunks with a receding horizon: executes k of H steps while the next chunk is being computed.

Pure bookkeeping in control ticks, without clocks or threads: the node and the faster-than-real-time evaluation use the same code.
A chunk speaks of absolute ticks: its step h is the target for tick `observed_tick + h`. So a chunk that took long to compute
starts in its middle, at the step whose time has come, and what was really executed meanwhile is what it was computed to follow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PlayerConfig:
    """`execute_steps`: how many steps of a chunk are played before the next is asked for. `blend_steps`: cross-fade at a seam.

    `lead_steps`: how many ticks before its first use a chunk is asked for; 1 gives the computation one control period.
    """

    execute_steps: int = 5
    blend_steps: int = 2
    lead_steps: int = 1

    def __post_init__(self) -> None:
        if self.execute_steps < 1 or self.lead_steps < 1 or self.blend_steps < 0:
            raise ValueError(
                f"expected execute_steps and lead_steps of at least 1 and blend_steps of at least 0, got {self.execute_steps}, "
                f"{self.lead_steps} and {self.blend_steps}"
            )
        if self.execute_steps < self.lead_steps:
            raise ValueError(
                f"expected execute_steps of at least lead_steps, because one chunk is computed at a time, got "
                f"{self.execute_steps} and {self.lead_steps}"
            )

    def check_horizon(self, horizon: int) -> None:
        """Raises ValueError when a chunk of `horizon` steps is too short to be played like this."""
        needed = self.lead_steps + self.execute_steps
        if horizon < needed:
            raise ValueError(
                f"execute_steps {self.execute_steps} and lead_steps {self.lead_steps} need a horizon of at least {needed}, "
                f"got {horizon}"
            )


@dataclass(frozen=True)
class PlayedStep:
    """Target (A,) rad for this tick, and where it comes from. `seam_jump_rad`: largest change at a seam, before blending."""

    position_rad: Array
    chunk_id: int
    step_in_chunk: int
    seam_jump_rad: float = 0.0


@dataclass(frozen=True)
class _Playing:
    chunk: Array
    observed_tick: int
    chunk_id: int
    from_tick: int


class ChunkPlayer:
    """One chunk plays, at most one more waits."""

    def __init__(self, config: PlayerConfig) -> None:
        self.config = config
        self.reset()

    def reset(self) -> None:
        """Forget every chunk; nothing plays until the next `offer`."""
        self._current: _Playing | None = None
        self._fading: _Playing | None = None
        self._next: _Playing | None = None
        self._asked_tick: int | None = None
        self._jump_rad = 0.0

    def wants_chunk(self, tick: int) -> bool:
        """Whether to compute a chunk from the observation of `tick`. Stays False until that chunk is offered or `withdraw`n."""
        self._change_over(tick)
        if self._asked_tick is not None or self._next is not None:
            return False
        current = self._current
        if current is not None:
            # A chunk that came late ends before all of its steps to be executed have been.
            needed_tick = min(current.from_tick + self.config.execute_steps, _last_tick(current) + 1)
            if tick < needed_tick - self.config.lead_steps:
                return False
        self._asked_tick = tick
        return True

    def withdraw(self) -> None:
        """The chunk that was asked for will not come; it may be asked for again."""
        self._asked_tick = None

    def offer(self, chunk: Array, observed_tick: int, chunk_id: int) -> None:
        """Chunk (H, A) rad computed from the observation of `observed_tick`; plays from the next tick at which it is due."""
        self._asked_tick = None
        self._next = _Playing(chunk, observed_tick, chunk_id, 0)

    def steps_left(self, tick: int) -> int:
        """Queue depth: targets that are left for `tick` and later, the waiting chunk's included."""
        last = max((_last_tick(playing) for playing in (self._current, self._next) if playing is not None), default=tick - 1)
        return max(0, last - tick + 1)

    def step(self, tick: int) -> PlayedStep | None:
        """The target for `tick`; None when no chunk covers it, which means: hold."""
        self._change_over(tick)
        jump_rad, self._jump_rad = self._jump_rad, 0.0
        current = self._current
        if current is None or not current.observed_tick <= tick <= _last_tick(current):
            return None
        target = current.chunk[tick - current.observed_tick]
        into = tick - current.from_tick
        if self._fading is not None and into < self.config.blend_steps and tick <= _last_tick(self._fading):
            share = (into + 1) / (self.config.blend_steps + 1)
            target = share * target + (1.0 - share) * self._fading.chunk[tick - self._fading.observed_tick]
        return PlayedStep(target, current.chunk_id, tick - current.observed_tick, jump_rad)

    def _change_over(self, tick: int) -> None:
        """Let the waiting chunk take over when it is due, and note the seam's jump (rad)."""
        waiting, current = self._next, self._current
        if waiting is None or tick < waiting.observed_tick + self.config.lead_steps:
            return
        self._next = None
        if tick > _last_tick(waiting):
            return
        self._jump_rad = 0.0
        self._fading = None
        if current is not None and tick <= _last_tick(current):
            self._fading = current
            there, here = waiting.chunk[tick - waiting.observed_tick], current.chunk[tick - current.observed_tick]
            self._jump_rad = float(np.abs(there - here).max())
        self._current = _Playing(waiting.chunk, waiting.observed_tick, waiting.chunk_id, tick)


def _last_tick(playing: _Playing) -> int:
    return playing.observed_tick + len(playing.chunk) - 1
