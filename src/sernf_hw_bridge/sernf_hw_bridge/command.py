"""Which joint commands are accepted at all: complete, finite, named, fresh and in order.

Whoever sends, whatever comes: `CommandValidator.check` either returns a `Command` in the robot's own joint order or a `Rejection`
that says what was expected. It never raises and never guesses: a command with one wrong joint is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sernf_hw_bridge.trajectories import Array

TELEOP = "teleop"
HOME = "home"
NOBODY = "none"
COMMANDERS = ("policy", "demonstrator", TELEOP)
"""Sources that may send joint commands. `home` is the bridge's own."""


@dataclass(frozen=True, kw_only=True)
class CommandConfig:
    """Ages by the commander's own stamp: an older command is stale, one further in the future has a wrong clock."""

    stale_after_s: float = 0.25
    most_ahead_s: float = 0.1

    def __post_init__(self) -> None:
        for name in ("stale_after_s", "most_ahead_s"):
            if not 0.0 < getattr(self, name) <= 10.0:
                raise ValueError(f"{name}: expected more than 0 and at most 10 s, got {getattr(self, name)}")


@dataclass(frozen=True)
class Command:
    """An accepted command. `position_rad`: (n,), finite, in the robot's joint order; empty when `release`."""

    source: str
    stamp_ns: int
    position_rad: Array
    release: bool = False
    chunk_id: int = 0
    step_in_chunk: int = 0
    weights_sha256: str = ""


@dataclass(frozen=True)
class Rejection:
    """Why a command was refused: a short `name` that can be counted, and one sentence."""

    name: str
    reason: str


class CommandValidator:
    """Checks the commands for a robot with `joint_names`."""

    def __init__(self, joint_names: Sequence[str], config: CommandConfig) -> None:
        self._joint_names = tuple(joint_names)
        self._config = config
        self._last_stamp_ns: dict[str, int] = {}
        self._known_names: tuple[str, ...] | None = None
        self._order = np.zeros(0, dtype=np.intp)

    def forget(self) -> None:
        """Forget the stamps seen so far: at a re-arm, so that a clock that was set back does not lock a source out for ever."""
        self._last_stamp_ns.clear()

    def check(
        self,
        *,
        source: str,
        stamp_ns: int,
        joint_names: Sequence[str],
        position_rad: Sequence[float] | Array,
        release: bool,
        now_ns: int,
        chunk_id: int = 0,
        step_in_chunk: int = 0,
        weights_sha256: str = "",
    ) -> Command | Rejection:
        """Accept or refuse. `stamp_ns` and `now_ns` are of the same (wall) clock; names in any order, each exactly once."""
        if source not in COMMANDERS:
            return Rejection("unknown_source", f"expected source {', '.join(COMMANDERS)}, got {source!r}")
        refused = self._check_stamp(source, stamp_ns, now_ns)
        if refused is not None:
            return refused
        if release:
            self._last_stamp_ns[source] = stamp_ns
            return Command(source, stamp_ns, np.zeros(0), True)
        order = self._order_of(joint_names)
        if order is None:
            return Rejection("wrong_joints", self._what_is_wrong(joint_names))
        if len(position_rad) != len(self._joint_names):
            return Rejection("wrong_length", f"expected {len(self._joint_names)} positions in rad, got {len(position_rad)}")
        positions = np.asarray(position_rad, dtype=np.float64)
        if not np.isfinite(positions).all():
            bad = [str(name) for name, value in zip(joint_names, positions, strict=True) if not np.isfinite(value)]
            return Rejection("not_finite", f"expected finite positions in rad, got NaN or infinity for {', '.join(bad)}")
        self._last_stamp_ns[source] = stamp_ns
        return Command(source, stamp_ns, positions[order], False, chunk_id, step_in_chunk, weights_sha256)

    def _check_stamp(self, source: str, stamp_ns: int, now_ns: int) -> Rejection | None:
        age_s = (now_ns - stamp_ns) * 1e-9
        if age_s > self._config.stale_after_s:
            return Rejection("stale", f"expected a command younger than {self._config.stale_after_s} s, got one of {age_s:.3f} s")
        if -age_s > self._config.most_ahead_s:
            return Rejection("from_the_future", f"the stamp lies {-age_s:.3f} s in the future: synchronise the clocks")
        last_ns = self._last_stamp_ns.get(source)
        if last_ns is not None and stamp_ns <= last_ns:
            return Rejection(
                "out_of_order", f"expected stamps of {source} to increase, got {(last_ns - stamp_ns) * 1e-9:.6f} s back"
            )
        return None

    def _order_of(self, joint_names: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.intp]] | None:
        """Indices into the command, in robot order; None unless every joint is there exactly once. The last answer is kept."""
        names = tuple(joint_names)
        if names == self._known_names:
            return self._order
        if len(names) != len(self._joint_names) or set(names) != set(self._joint_names):
            return None
        index = {name: position for position, name in enumerate(names)}
        self._known_names = names
        self._order = np.array([index[name] for name in self._joint_names], dtype=np.intp)
        return self._order

    def _what_is_wrong(self, joint_names: Sequence[str]) -> str:
        missing = [name for name in self._joint_names if name not in joint_names]
        unknown = sorted({str(name) for name in joint_names if name not in self._joint_names})
        double = sorted({str(name) for name in joint_names if list(joint_names).count(name) > 1})
        parts = [
            f"{what} {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
            for what, names in (("missing", missing), ("unknown", unknown), ("twice", double))
            if names
        ]
        return f"expected each of {len(self._joint_names)} joints exactly once: {'; '.join(parts)}"
