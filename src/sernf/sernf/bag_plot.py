"""Joint traces of a data set as one picture: one episode in colour, the others as a faint background."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sernf.bag_traces import Trace, read_content
from sernf_robot.joints import ARM_JOINTS, HAND_JOINTS, JOINTS
from sernf_teleop.episode_files import EpisodeError
from sernf_teleop.episodes import EpisodeInfo, read_dataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BEHIND = 40
INK, BEHIND = "#30343b", "#b3bac5"
COLOURS = {"requested": "#e08a1e", "executed": "#1f6fb4", "measured": "#2b9a66"}
ARM_COLUMNS, HAND_COLUMNS = 7, 6


def plot_joint_traces(directory: Path, png: Path) -> bool:
    """Write `png`: each joint's requested, executed and measured position over time. False when there is nothing to draw."""
    shown, traces, others = _choose(read_dataset(directory).episodes)
    if shown is None:
        return False
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.lines import Line2D

    figure: Any = plt.figure(figsize=(21, 13), dpi=100, layout="constrained", facecolor="white")
    arm, hand = figure.subfigures(2, 1, height_ratios=[1.15, 3])
    _panels(arm, "arm", ARM_JOINTS, (1, ARM_COLUMNS), traces, others)
    last = _panels(hand, "hand", HAND_JOINTS, (3, HAND_COLUMNS), traces, others)
    handles = [Line2D([], [], color=colour, lw=2, ls="--" if name == "requested" else "-") for name, colour in COLOURS.items()]
    labels = list(COLOURS)
    if others:
        handles.append(Line2D([], [], color=BEHIND, lw=2))
        labels.append(f"executed in {len(others)} other episodes")
    last.axis("off")
    last.legend(handles, labels, loc="center", frameon=False, fontsize=12)
    label = shown.label or "no label"
    figure.suptitle(
        f"{shown.episode_id}   {label}   {shown.seconds:.1f} s   position (rad) over time (s)", fontsize=16, color=INK
    )
    figure.savefig(png)
    plt.close(figure)
    return True


def _choose(episodes: tuple[EpisodeInfo, ...]) -> tuple[EpisodeInfo | None, dict[str, Trace], list[Trace]]:
    """The first success, or else the first episode, that has traces; and the executed traces of others."""
    shown: EpisodeInfo | None = None
    traces: dict[str, Trace] = {}
    for episode in sorted(episodes, key=lambda episode: episode.label != "success"):
        traces = _traces(episode, ("joint_states", "bridge_state"))
        if traces:
            shown = episode
            break
    rest = [episode for episode in episodes if episode is not shown and episode.label != "discard"]
    spread = rest[:: max(1, len(rest) // MOST_BEHIND)][:MOST_BEHIND]
    others = [trace for episode in spread if (trace := _traces(episode, ("bridge_state",)).get("executed")) is not None]
    return shown, traces, others


def _traces(episode: EpisodeInfo, topics: tuple[str, ...]) -> dict[str, Trace]:
    try:
        return read_content(episode, topics).traces
    except EpisodeError:
        return {}


def _panels(
    figure: Any, title: str, joints: tuple[str, ...], shape: tuple[int, int], traces: dict[str, Trace], others: list[Trace]
) -> Axes:
    """One panel a joint; returns the last one of the grid."""
    figure.suptitle(title, x=0.005, ha="left", fontsize=15, fontweight="bold", color=INK)
    axes = figure.subplots(*shape, sharex=True).ravel()
    for axis, joint in zip(axes, joints, strict=False):
        index = JOINTS.index(joint)
        for trace in others:
            axis.plot(trace.time_s, trace.values[:, index], color=BEHIND, lw=0.9, alpha=0.7, zorder=1)
        for order, (name, width) in enumerate((("measured", 2.6), ("executed", 1.5), ("requested", 1.1)), start=2):
            if name in traces:
                _line(axis, name, traces[name], index, width, order)
        axis.set_title(joint, fontsize=11, color=INK, loc="left")
        axis.grid(color="#eceff3", lw=0.8)
        axis.tick_params(labelsize=9, colors=INK, length=0)
        axis.margins(x=0.01, y=0.08)
        for spine in axis.spines.values():
            spine.set_color("#d9dde3")
        low, high = axis.get_ylim()
        if high - low < 0.05:
            # A joint at rest is a flat line, not enlarged noise.
            axis.set_ylim((low + high) / 2 - 0.025, (low + high) / 2 + 0.025)
    for axis in axes[len(joints) : -1]:
        axis.axis("off")
    last: Axes = axes[-1]
    return last


def _line(axis: Any, name: str, trace: Trace, index: int, width: float, order: int) -> None:
    values = np.where(np.isfinite(trace.values[:, index]), trace.values[:, index], np.nan)
    is_requested = name == "requested"
    axis.plot(
        trace.time_s, values, color=COLOURS[name], lw=width, zorder=order, alpha=0.55 if name == "measured" else 1.0,
        ls="--" if is_requested else "-", drawstyle="steps-post" if is_requested else "default",
    )  # fmt: skip
