"""Actions that keys, buttons and axes can be bound to: motions such as `+x` or `-grasp`, and `Button` names such as `home`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sernf_teleop.operator_device import Button

AXES = ("x", "y", "z", "roll", "pitch", "yaw")
"""Parts of a twist, in its order: translation along x, y, z, rotation about x, y, z."""
TAKEOVER = "takeover"


def check_action(where: str, action: str, extra: Collection[str]) -> None:
    """Raise ValueError unless `action` is a signed motion, a button's name, 'takeover' or one of `extra`.

    Whether a motion that is no axis is a configured synergy is checked by `check_synergies`, when these are known.
    """
    if is_motion(action) and len(action) > 1:
        return
    known = [TAKEOVER, *extra, *(button.value for button in Button)]
    if action not in known:
        raise ValueError(
            f"{where}: unknown action '{action}'; expected one of {', '.join(known)}, "
            f"or + or - and one of {', '.join(AXES)} or a synergy's name"
        )


def check_synergies(where: str, actions: Mapping[str, str], synergies: Collection[str]) -> None:
    """Raise ValueError for a motion that is neither an axis nor one of `synergies`."""
    for name, action in actions.items():
        if is_motion(action) and action[1:] not in AXES and action[1:] not in synergies:
            raise ValueError(f"{where}.{name}: unknown motion '{action[1:]}'; expected one of {', '.join((*AXES, *synergies))}")


def is_motion(action: str) -> bool:
    """Whether the action moves something."""
    return action[:1] in ("+", "-")


@dataclass(frozen=True, kw_only=True)
class Speeds:
    """Speeds at full deflection."""

    linear_m_s: float = 0.12
    angular_rad_s: float = 0.6
    strokes_1_s: float = 0.8

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0.0:
                raise ValueError(f"{name}: expected a positive number, got {value}")


@dataclass
class Motion:
    """Sum of motions that are active at the same time."""

    speeds: Speeds
    twist: NDArray[np.float64] = field(default_factory=lambda: np.zeros(6))
    synergy_rate: dict[str, float] = field(default_factory=dict)

    def add(self, action: str, amount: float) -> None:
        """Add `amount` (-1..1) of a motion action."""
        name, signed = action[1:], amount if action[0] == "+" else -amount
        if name in AXES:
            index = AXES.index(name)
            self.twist[index] += signed * (self.speeds.linear_m_s if index < 3 else self.speeds.angular_rad_s)
        else:
            self.synergy_rate[name] = self.synergy_rate.get(name, 0.0) + signed * self.speeds.strokes_1_s
