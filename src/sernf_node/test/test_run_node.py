"""A node in its own process: starts by itself, ends cleanly on signals, and says in its exit status when it could not work."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROGRAM = """
import signal
import sys
from dataclasses import dataclass
from sernf_node import SernfNode, run_node

@dataclass(frozen=True, kw_only=True)
class Filter:
    order: int = 2
    gain: float = 1.0

@dataclass(frozen=True, kw_only=True)
class Config:
    rate_hz: float = 50.0
    filter: Filter = Filter()

class Probe(SernfNode[Config]):
    def __init__(self):
        super().__init__("probe", Config)
    def setup(self):
        signal.signal(signal.SIGWINCH, lambda *_: None)
        print("setup", self.config.rate_hz, flush=True)
        print("filter", self.config.filter.order, self.config.filter.gain, flush=True)
        if "setup" in sys.argv:
            raise RuntimeError("broken on purpose")
        self.timer = self.create_timer(1.0 / self.config.rate_hz, self.tick)
    def start(self):
        print("start", flush=True)
        if "start" in sys.argv:
            raise RuntimeError("broken on purpose")
    def tick(self):
        if "callback" in sys.argv:
            raise RuntimeError("broken on purpose")
        if "shutdown" in sys.argv:
            self.trigger_shutdown()
    def stop(self):
        print("stop", flush=True)
        if "stop" in sys.argv:
            raise RuntimeError("broken on purpose")
    def teardown(self):
        print("teardown", flush=True)

run_node(Probe)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    processes: list[subprocess.Popen[str]] = []

    def start_probe(*arguments: str) -> subprocess.Popen[str]:
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
        return processes[-1]

    yield start_probe
    for process in processes:
        process.kill()
        process.wait(10)


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    for text in process.stdout:
        if text.strip() == line:
            return
    raise AssertionError(f"the probe ended without printing '{line}'")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_and_tears_down_and_is_a_success(start: Start, number: signal.Signals) -> None:
    process = start()
    wait_for(process, "start")
    process.send_signal(number)
    output, _ = process.communicate(timeout=20)
    assert output.split() == ["stop", "teardown"]
    assert process.returncode == 0


@pytest.mark.parametrize("place", ["setup", "start", "callback"])
def test_an_exception_ends_the_process_with_its_traceback_and_status_1(start: Start, place: str) -> None:
    process = start(place)
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "broken on purpose" in errors
    assert "Traceback" in errors
    assert output.split()[-1] == "teardown"


def test_a_parameter_overrides_the_file_which_overrides_the_default(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "probe.yaml"
    file.write_text("rate_hz: 20.0\n")
    process = start("--ros-args", "-p", f"config_file:={file}")
    wait_for(process, "setup 20.0")
    process = start("--ros-args", "-p", f"config_file:={file}", "-p", "rate_hz:=30.0")
    wait_for(process, "setup 30.0")


@pytest.mark.parametrize(
    ("content", "hint"), [("rate_ms: 3\n", "rate_hz"), ("rate_hz: fast\n", "expected a number"), ("rate_hz: [\n", "YAML")]
)
def test_a_bad_configuration_file_is_refused_with_its_name(start: Start, tmp_path: Path, content: str, hint: str) -> None:
    file = tmp_path / "probe.yaml"
    file.write_text(content)
    process = start("--ros-args", "-p", f"config_file:={file}")
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert str(file) in errors
    assert hint in errors


def test_without_autostart_the_node_waits_unconfigured(start: Start) -> None:
    process = start("--ros-args", "-p", "autostart:=false")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert output == ""
    assert process.returncode == 0


def test_other_signals_do_not_end_the_node(start: Start) -> None:
    process = start("winch")
    wait_for(process, "start")
    process.send_signal(signal.SIGWINCH)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2)


def test_the_lifecycle_shutdown_ends_the_process(start: Start) -> None:
    process = start("shutdown")
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert output.split()[-2:] == ["stop", "teardown"]


def test_a_stop_that_raises_still_tears_down_and_is_a_failure(start: Start) -> None:
    process = start("stop")
    wait_for(process, "start")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert output.split() == ["stop", "teardown"]


def test_a_dotted_parameter_overrides_one_key_of_a_nested_mapping(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "probe.yaml"
    file.write_text("filter: {order: 4, gain: 3.0}\n")
    process = start("--ros-args", "-p", f"config_file:={file}", "-p", "filter.gain:=5.0")
    wait_for(process, "filter 4 5.0")


@pytest.mark.parametrize("name", ["rat_hz", "filter.gian"])
def test_an_unknown_parameter_is_refused(start: Start, name: str) -> None:
    process = start("--ros-args", "-p", f"{name}:=5.0")
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"unknown key '{name.split('.')[-1]}'" in errors
