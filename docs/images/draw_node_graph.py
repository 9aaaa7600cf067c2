"""Draws node_graph.svg, the graph of docs/architecture.md: `python docs/images/draw_node_graph.py [FILE]`. Needs matplotlib."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

INK, TOPIC, SERVICE, WRITE = "#1f2933", "#0b5cad", "#a63d00", "#4a5560"
Point = tuple[float, float]


def box(axes: Axes, at: Point, size: Point, title: str, lines: str = "", fill: str = "#e8f0fa") -> None:
    """A box with its lower left corner at `at`."""
    style = "round,pad=0,rounding_size=1.2"
    axes.add_patch(FancyBboxPatch(at, *size, boxstyle=style, fc=fill, ec=INK, lw=1.4))
    middle, top = at[0] + size[0] / 2, at[1] + size[1]
    axes.text(middle, top - 2.6, title, ha="center", va="center", fontsize=12, fontweight="bold", color=INK)
    axes.text(middle, top - 4.8, lines, ha="center", va="top", fontsize=9.5, color=INK, linespacing=1.4)


def arrow(axes: Axes, start: Point, end: Point, label: str, at: Point, colour: str = TOPIC, align: str = "center") -> None:
    """A straight arrow; `at` is the place of its label."""
    dashes = "--" if colour == SERVICE else "-"
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=14, color=colour, lw=1.5, ls=dashes, shrinkA=0, shrinkB=0)
    )
    axes.text(*at, label, ha=align, va="center", fontsize=9.5, color=colour, linespacing=1.35)


def draw(file: Path) -> None:
    """Write the graph; the ending of `file` chooses the format."""
    pyplot.rcParams["svg.hashsalt"] = "sernf"  # the same drawing gives the same file
    figure, axes = pyplot.subplots(figsize=(13, 9.2))
    axes.set(xlim=(0, 130), ylim=(0, 92))
    axes.axis("off")

    box(axes, (2, 69), (24, 12), "teleop", "keyboard, gamepad,\nhand pose, demonstrator")
    box(axes, (2, 47), (24, 13), "policy", "flow over action chunks,\nloads weights in a\nprocess beside it")
    box(axes, (2, 28), (20.5, 11), "learner", "trains on the bags,\nin a process beside it")
    box(axes, (52, 44), (34, 37), "hw_bridge", "one thread, 250 Hz")
    for row, step in enumerate(("read backends", "arbitrate sources", "interpolate", "safety filter", "write backends")):
        box(axes, (56, 67 - 5.2 * row), (26, 4.2), "", fill="#ffffff")
        axes.text(69, 69.1 - 5.2 * row, step, ha="center", va="center", fontsize=9.5, color=INK)
    box(axes, (106, 62), (22, 19), "robot", "one arm and one hand:\nsim, mock,\nfranka, orca", fill="#fdf3e1")
    box(axes, (106, 28), (22, 14), "sim_camera", "renders front and\nwrist, 128 x 128")
    box(
        axes, (52, 8), (34, 13), "episode_recorder",
        "one rosbag2 MCAP an episode;\nhears joint_command, action_chunk\nand policy_version too",
    )  # fmt: skip
    box(axes, (106, 3), (22, 11), "bags", "data set on disk", fill="#fdf3e1")
    box(axes, (2, 8), (24, 11), "sernf", "command line,\nepisode runner", fill="#eaf6ea")

    arrow(axes, (26, 78), (52, 78), "joint_command", (39, 79.8))
    arrow(axes, (52, 72.5), (26, 72.5), "joint_states, bridge_state,\ntask_state,\nobjects/<name>/pose", (39, 68))
    arrow(axes, (26, 57.5), (52, 57.5), "joint_command", (39, 59.3))
    arrow(axes, (52, 53), (26, 53), "joint_states, bridge_state,\nobjects/<name>/pose", (39, 49.8))
    arrow(axes, (3, 39), (3, 47), "learner/policy_version", (3.6, 44.6), TOPIC, "left")
    arrow(axes, (22.1, 47), (22.1, 39), "policy_version", (21.3, 41.4), TOPIC, "right")
    arrow(axes, (86, 75), (106, 75), "targets", (96, 76.8), WRITE)
    arrow(axes, (106, 68), (86, 68), "measurements", (96, 66.2), WRITE)
    arrow(axes, (86, 48), (106, 39), "sim/state", (98, 45.8), TOPIC, "left")
    arrow(
        axes,
        (74, 44),
        (74, 21),
        "joint_states, bridge_state,\nsim/state, task_state,\nobjects/<name>/pose",
        (75.2, 34),
        TOPIC,
        "left",
    )
    arrow(axes, (106, 30), (86, 19), "camera/<name>/\nimage_raw", (97.5, 22.3), TOPIC, "left")
    arrow(axes, (86, 11), (106, 8), "writes", (96, 7.4), WRITE)
    arrow(axes, (26, 11.5), (52, 11.5), "recorder/start_episode,\nend_episode, relabel_episode", (39, 8.3), SERVICE)
    arrow(axes, (52, 15.5), (26, 15.5), "episode_event", (39, 17.2))
    arrow(axes, (26, 18), (56, 44), "hw_bridge/clear_fault, stop,\nhome, set_source; sim/reset", (45, 31), SERVICE, "left")
    arrow(axes, (5, 19), (5, 28), "learner/train,\ncancel, status", (6, 23.5), SERVICE, "left")
    arrow(axes, (24.6, 19), (24.6, 47), "policy/set_mode,\nload_weights,\nrollback", (25.6, 38), SERVICE, "left")

    axes.text(2, 88, "SERNF: nodes, topics and services", fontsize=15, fontweight="bold", color=INK)
    axes.text(2, 84.6, "Every blue box is a process of its own. All nodes publish diagnostics (1 Hz).", fontsize=10, color=INK)
    for x, colour, text in ((80, TOPIC, "topic"), (94, SERVICE, "service call"), (112, WRITE, "device or file")):
        axes.plot((x, x + 4), (88, 88), color=colour, lw=2, ls="--" if colour == SERVICE else "-")
        axes.text(x + 5, 88, text, va="center", fontsize=10, color=INK)
    # A white ground of its own keeps it legible on dark pages.
    figure.savefig(
        file, facecolor="white", bbox_inches="tight", pad_inches=0.15, metadata={"Date": None} if file.suffix == ".svg" else None
    )
    pyplot.close(figure)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("node_graph.svg"))
