"""How well a robot follows, apart from how late."""

from __future__ import annotations

import numpy as np

from sernf_hw_bridge.trajectories import Array

SETTLING_S = 0.5
MOST_LAG_S = 0.4


def lag_compensated_error(commanded: list[tuple[float, Array]], measured: list[tuple[float, Array]]) -> tuple[float, float]:
    """Largest difference (rad) between measured and delayed command, and the delay (s) at which it is least.

    Both series: (stamp in s, (n,) rad) on one clock. The first `SETTLING_S` after the first command are left out.
    """
    command_s = np.array([stamp for stamp, _ in commanded])
    command = np.array([value for _, value in commanded])
    stamps = np.array([stamp for stamp, _ in measured])
    keep = (stamps > command_s[0] + SETTLING_S) & (stamps < command_s[-1])
    actual = np.array([value for _, value in measured])[keep]
    errors = []
    for lag_s in np.arange(0.0, MOST_LAG_S, 0.01):
        delayed = np.stack([np.interp(stamps[keep] - lag_s, command_s, column) for column in command.T], axis=1)
        errors.append((float(np.abs(delayed - actual).max()), float(lag_s)))
    return min(errors)
