"""`sernf bag`: what is in a data set, and what is wrong with it.

Reads every message: counts, rates, gaps and ranges are measured here and not taken from the recorder's word. An episode is named
as broken when it cannot be read or cannot be learnt from; one that nobody has labelled is only counted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sernf.bag_plot import plot_joint_traces
from sernf.bag_traces import EpisodeContent, read_content
from sernf_robot.config import load_config
from sernf_robot.config_files import config_path
from sernf_robot.joints import JOINTS
from sernf_teleop.episode_files import EpisodeError
from sernf_teleop.episodes import EpisodeInfo, TopicInfo, read_dataset, sha256_of
from sernf_teleop.recorder_config import RecorderConfig, TopicRule, rule_for

__all__ = ["BagReport", "EpisodeReport", "TopicReport", "as_json", "plot_joint_traces", "print_report", "report"]

LABEL_STYLE = {"success": "green", "failure": "yellow", "discard": "dim", "": "magenta"}


@dataclass(frozen=True, kw_only=True)
class TopicReport:
    """One topic over all episodes. `rate_hz`: median of the episodes' rates. None: not known."""

    name: str
    msgtype: str
    expected_hz: float | None
    control: bool
    messages: int
    episodes: int
    rate_hz: float | None
    longest_gap_s: float | None
    dropped: int | None
    late: int | None


@dataclass(frozen=True, kw_only=True)
class EpisodeReport:
    """One readable episode; `ranges` by trace: (24, 2), lowest and highest value of each joint, NaN without a value."""

    info: EpisodeInfo
    problems: tuple[str, ...]
    rates_hz: dict[str, float]
    longest_gaps_s: dict[str, float]
    ranges: dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class BagReport:
    """The whole data set. `episodes`: that can be read; `broken`: "name: what is wrong", also of episodes that can be read."""

    episodes: int
    successes: int
    failures: int
    unlabelled: int
    discarded: int
    broken: tuple[str, ...]
    unfinished: tuple[str, ...]
    seconds: float
    messages: int
    dropped_control_messages: int
    topics: tuple[TopicReport, ...]
    details: tuple[EpisodeReport, ...]


def report(directory: Path) -> BagReport:
    """Read all episodes in `directory`, or `directory` itself if it is one."""
    rules = load_config(RecorderConfig, config_path("episode_recorder.yaml")).topics
    data = read_dataset(directory)
    broken = [f"{item.path.name}: {item.reason}" for item in data.broken]
    details = []
    for info in data.episodes:
        detail = _examine(info, rules)
        broken += [f"{info.episode_id}: {problem}" for problem in detail.problems]
        details.append(detail)
    labels = [info.label for info in data.episodes]
    return BagReport(
        episodes=len(data.episodes),
        successes=labels.count("success"),
        failures=labels.count("failure"),
        unlabelled=labels.count(""),
        discarded=labels.count("discard"),
        broken=tuple(broken),
        unfinished=tuple(path.name for path in data.unfinished),
        seconds=sum(info.seconds for info in data.episodes),
        messages=sum(info.messages for info in data.episodes),
        dropped_control_messages=sum(info.dropped_control_messages for info in data.episodes),
        topics=_topics(details),
        details=tuple(details),
    )


def as_json(result: BagReport) -> str:
    """One JSON object on one line."""
    return json.dumps(
        {
            "episodes": result.episodes,
            "successes": result.successes,
            "failures": result.failures,
            "unlabelled": result.unlabelled,
            "broken": list(result.broken),
            "seconds": round(result.seconds, 3),
            "messages": result.messages,
            "dropped_control_messages": result.dropped_control_messages,
        }
    )


def _examine(info: EpisodeInfo, rules: tuple[TopicRule, ...]) -> EpisodeReport:
    problems = []
    content = EpisodeContent()
    if info.sha256 and _sha256(info.file) != info.sha256:
        problems.append(f"changed after recording: SHA-256 of {info.file.name} is not that in metadata.yaml")
    try:
        content = read_content(info)
    except EpisodeError as error:
        problems.append(str(error))
    problems += _topic_problems(info, rules, content) + content.problems
    return EpisodeReport(
        info=info,
        problems=tuple(problems),
        rates_hz={
            topic: (len(time_s) - 1) / (time_s[-1] - time_s[0])
            for topic, time_s in content.time_s.items()
            if len(time_s) > 1 and time_s[-1] > time_s[0]
        },
        longest_gaps_s={topic: float(np.diff(time_s).max()) for topic, time_s in content.time_s.items() if len(time_s) > 1},
        ranges={name: _range(trace.values) for name, trace in content.traces.items()},
    )


def _topic_problems(info: EpisodeInfo, rules: tuple[TopicRule, ...], content: EpisodeContent) -> list[str]:
    problems = []
    for topic in info.topics.values():
        rule = rule_for(rules, topic.name, info.namespace)
        if rule is not None and rule.type != topic.msgtype:
            problems.append(f"{rule.name}: wrong type, expected {rule.type}, got {topic.msgtype}")
        found = len(content.time_s.get(topic.name, ()))
        if found != topic.messages:
            problems.append(f"{topic.name}: expected {topic.messages} messages as in metadata.yaml, found {found}")
    for rule in rules:
        known = info.topic(rule.name)
        if rule.control and (known is None or not known.messages):
            problems.append(f"{rule.name}: no message of this control topic")
    return problems


def _range(values: np.ndarray) -> np.ndarray:
    """(24, 2), NaN where a joint has no finite value."""
    finite = np.isfinite(values)
    low = np.where(finite, values, np.inf).min(axis=0)
    high = np.where(finite, values, -np.inf).max(axis=0)
    return np.where(finite.any(axis=0)[:, None], np.stack([low, high], axis=1), np.nan)


def _sha256(file: Path) -> str:
    try:
        return sha256_of(file)
    except OSError:
        return ""


def _topics(details: list[EpisodeReport]) -> tuple[TopicReport, ...]:
    by_name: dict[str, list[TopicInfo]] = {}
    for detail in details:
        for topic in detail.info.topics.values():
            by_name.setdefault(topic.name, []).append(topic)
    return tuple(_topic(name, topics, details) for name, topics in by_name.items() if any(topic.messages for topic in topics))


def _topic(name: str, topics: list[TopicInfo], details: list[EpisodeReport]) -> TopicReport:
    rates = [detail.rates_hz[name] for detail in details if name in detail.rates_hz]
    gaps = [detail.longest_gaps_s[name] for detail in details if name in detail.longest_gaps_s]
    dropped = [topic.dropped for topic in topics if topic.dropped is not None]
    late = [topic.late for topic in topics if topic.late is not None]
    return TopicReport(
        name=name,
        msgtype=topics[-1].msgtype,
        expected_hz=topics[-1].expected_hz,
        control=topics[-1].control,
        messages=sum(topic.messages for topic in topics),
        episodes=sum(topic.messages > 0 for topic in topics),
        rate_hz=float(np.median(rates)) if rates else None,
        longest_gap_s=max(gaps, default=None),
        dropped=sum(dropped) if dropped else None,
        late=sum(late) if late else None,
    )


def print_report(result: BagReport, console: Console) -> None:
    """Tables of episodes, topics and ranges, then what is broken."""
    if result.details:
        console.print(_episode_table(result), _topic_table(result), _range_table(result))
    console.print(
        f"[bold]{result.episodes} episodes[/bold], {result.seconds:.0f} s, {result.messages} messages: "
        f"[green]{result.successes} successes[/green], [yellow]{result.failures} failures[/yellow], "
        f"{result.unlabelled} without a label, {result.discarded} discarded; "
        f"{result.dropped_control_messages} messages dropped on control topics"
    )
    for name in result.unfinished:
        console.print(
            f"[yellow]unfinished[/yellow] {escape(name)}: is being recorded, or is repaired when the recorder starts next"
        )
    for problem in result.broken:
        console.print(f"[red]broken[/red] {escape(problem)}", highlight=False)
    if not result.broken:
        console.print("nothing is broken" if result.episodes else "no episodes here")


def _episode_table(result: BagReport) -> Table:
    table = Table(title="Episodes", title_justify="left")
    for heading in ("episode", "task", "label", "by", "note"):
        table.add_column(heading, overflow="fold")
    for heading in ("seed", "seconds", "messages", "dropped", "late", "problems"):
        table.add_column(heading, justify="right")
    for detail in result.details:
        info = detail.info
        late = sum(topic.late or 0 for topic in info.topics.values() if topic.control)
        dropped = sum(topic.dropped or 0 for topic in info.topics.values())
        style = LABEL_STYLE.get(info.label, "red")
        table.add_row(
            info.episode_id, escape(info.task), f"[{style}]{escape(info.label) or 'none'}[/{style}]", escape(info.labelled_by),
            escape(info.note), str(info.seed), f"{info.seconds:.1f}", str(info.messages),
            "unknown" if info.recovered else str(dropped), "unknown" if info.recovered else str(late),
            f"[red]{len(detail.problems)}[/red]" if detail.problems else "0",
        )  # fmt: skip
    return table


def _topic_table(result: BagReport) -> Table:
    table = Table(title="Topics", title_justify="left", caption="late: gaps of more than 1.5 expected periods")
    for heading in ("topic", "type"):
        table.add_column(heading, overflow="fold")
    for heading in ("episodes", "messages", "rate", "expected", "longest gap", "dropped", "late"):
        table.add_column(heading, justify="right")
    for topic in result.topics:
        table.add_row(
            f"[bold]{topic.name}[/bold]" if topic.control else topic.name, topic.msgtype,
            str(topic.episodes), str(topic.messages), _number(topic.rate_hz, ".1f", " Hz"),
            _number(topic.expected_hz, "g", " Hz"), _number(topic.longest_gap_s and topic.longest_gap_s * 1e3, ".0f", " ms"),
            _number(topic.dropped, "d"), _number(topic.late, "d"),
        )  # fmt: skip
    return table


def _range_table(result: BagReport) -> Table:
    table = Table(title="Ranges (rad, rad/s)", title_justify="left")
    table.add_column("joint")
    names = ("commanded", "requested", "executed", "measured", "velocity")
    for name in names:
        table.add_column(name, justify="right")
    merged = {name: _merge([detail.ranges[name] for detail in result.details if name in detail.ranges]) for name in names}
    for index, joint in enumerate(JOINTS):
        cells = []
        for name in names:
            low, high = merged[name][index]
            cells.append("" if np.isnan(low) else f"{low:+.3f} .. {high:+.3f}")
        table.add_row(joint, *cells)
    return table


def _merge(ranges: list[np.ndarray]) -> np.ndarray:
    """(24, 2) over all episodes."""
    if not ranges:
        return np.full((len(JOINTS), 2), np.nan)
    return _range(np.concatenate([np.stack(ranges)[:, :, 0], np.stack(ranges)[:, :, 1]]))


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "" if value is None else f"{value:{form}}{unit}"
