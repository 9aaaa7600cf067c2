"""How old the executed source's last command may get: warn, then hold, then fault."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Tier(IntEnum):
    """What the age of a command asks for."""

    FRESH = 0
    WARN = 1
    """Still followed; diagnostics warn."""
    HOLD = 2
    """Brake and hold; the source continues by sending again."""
    FAULT = 3
    """Latched: only an explicit re-arm continues."""


@dataclass(frozen=True, kw_only=True)
class WatchdogConfig:
    """Ages since the arrival of the last accepted command. The first must exceed the slowest source's period."""

    warn_age_s: float = 0.15
    hold_age_s: float = 0.3
    fault_age_s: float = 2.0

    def __post_init__(self) -> None:
        if not 0.0 < self.warn_age_s < self.hold_age_s < self.fault_age_s <= 60.0:
            raise ValueError(
                "expected 0 < warn_age_s < hold_age_s < fault_age_s <= 60, "
                f"got {self.warn_age_s}, {self.hold_age_s}, {self.fault_age_s}"
            )

    def tier(self, age_s: float) -> Tier:
        """Tier of a command that arrived `age_s` ago."""
        if age_s < self.warn_age_s:
            return Tier.FRESH
        if age_s < self.hold_age_s:
            return Tier.WARN
        return Tier.HOLD if age_s < self.fault_age_s else Tier.FAULT
