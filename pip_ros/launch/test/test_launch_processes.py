"""Real processes: their output, how they end, and that none is left behind."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from launch_script import running, wait_gone

STUBBORN = "trap '' INT TERM; echo ready $$; while :; do sleep 0.1; done"
POLITE = "trap 'echo got INT; exit 0' INT; echo ready $$; while :; do sleep 0.1; done"


def test_ends_with_0_when_all_processes_have_ended_and_shows_their_output(tmp_path: Path) -> None:
    with running("actions = [shell('echo one; echo two >&2; printf three')]", tmp_path) as launch:
        assert launch.wait() == 0
        for line in ("[sh-1] one", "[sh-1] two", "[sh-1] three", "process has finished cleanly"):
            assert line in launch.output
        log = next((tmp_path / "log").glob("*/launch.log")).read_text()
        assert "[sh-1] three" in log


def test_output_mode_log_keeps_stdout_off_the_screen_but_not_stderr(tmp_path: Path) -> None:
    quiet = "ExecuteProcess(cmd=['sh', '-c', 'echo hidden; echo seen >&2'], name='quiet', output='log')"
    with running(f"actions = [{quiet}]", tmp_path) as launch:
        assert launch.wait() == 0
        assert "[quiet-1] seen" in launch.output
        assert "hidden" not in launch.output
        assert "[quiet-1] hidden" in next((tmp_path / "log").glob("*/launch.log")).read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_launch_reaches_every_process_as_sigint(number: int, tmp_path: Path) -> None:
    with running(f"actions = [shell({POLITE!r}), shell({POLITE!r})]", tmp_path) as launch:
        launch.wait_for("ready", 2)
        launch.signal(number)
        assert launch.wait() == 0
        assert launch.output.count("got INT") == 2
        assert "SIGTERM'" not in launch.output


def test_sigint_escalates_to_sigterm_and_sigkill(tmp_path: Path) -> None:
    stubborn = f"shell({STUBBORN!r}, sigterm_timeout='0.3', sigkill_timeout='0.3')"
    with running(f"actions = [{stubborn}]", tmp_path) as launch:
        launch.wait_for("ready")
        launch.signal(signal.SIGINT)
        launch.wait()
        sent = re.findall(r"sending signal '(\w+)'", launch.output)
        assert sent == ["SIGINT", "SIGTERM", "SIGKILL"]
        assert "exit code -9" in launch.output


def test_a_second_interrupt_does_not_cut_the_orderly_end_short(tmp_path: Path) -> None:
    slow = "trap 'sleep 0.5; echo tidied; exit 0' INT; echo ready; while :; do sleep 0.1; done"
    with running(f"actions = [shell({slow!r})]", tmp_path) as launch:
        launch.wait_for("ready")
        launch.signal(signal.SIGINT)
        launch.wait_for("sending signal")
        launch.signal(signal.SIGINT)
        assert launch.wait() == 0
        assert "tidied" in launch.output
        assert launch.output.count("sending signal") == 1


@pytest.mark.parametrize(
    ("on_exit", "code", "status"),
    [("Shutdown(reason='it is needed')", 3, 1), ("Shutdown()", 0, 0), ("[EmitEvent(event=ShutdownEvent())]", 3, 1)],
)
def test_a_required_process_ends_the_others_and_its_failure_is_the_launchs(
    on_exit: str, code: int, status: int, tmp_path: Path
) -> None:
    actions = f"actions = [shell({POLITE!r}), shell('sleep 0.5; exit {code}', on_exit={on_exit})]"
    with running(actions, tmp_path) as launch:
        assert launch.wait() == status
        assert "got INT" in launch.output


def test_a_process_that_fails_without_being_required_lets_the_others_run(tmp_path: Path) -> None:
    with running("actions = [shell('exit 3'), shell('sleep 0.5; echo finished')]", tmp_path) as launch:
        assert launch.wait() == 0
        assert "finished" in launch.output


def test_an_error_in_an_exit_handler_ends_the_launch_with_1(tmp_path: Path) -> None:
    actions = f"""
def fail(context):
    raise RuntimeError("no bridge, no motion")
actions = [shell({POLITE!r}), shell('sleep 0.5', on_exit=[OpaqueFunction(function=fail)])]
"""
    with running(actions, tmp_path) as launch:
        assert launch.wait() == 1
        assert "no bridge, no motion" in launch.output
        assert "got INT" in launch.output


def test_a_command_that_does_not_exist_is_named_and_ends_the_launch_with_1(tmp_path: Path) -> None:
    with running(f"actions = [shell({POLITE!r}), ExecuteProcess(cmd=['/no/such/program'])]", tmp_path) as launch:
        assert launch.wait() == 1
        assert "cannot start '/no/such/program'" in launch.output


def test_respawn_starts_a_process_again_until_the_launch_ends(tmp_path: Path) -> None:
    with running("actions = [shell('echo born; exit 1', respawn=True, respawn_delay=0.1)]", tmp_path) as launch:
        launch.wait_for("[sh-1] born", 3)
        launch.signal(signal.SIGINT)
        assert launch.wait() == 0


def test_respawn_gives_up_after_its_number_of_retries(tmp_path: Path) -> None:
    with running("actions = [shell('echo born; exit 1', respawn=True, respawn_max_retries=2)]", tmp_path) as launch:
        assert launch.wait() == 0
        assert launch.output.count("[sh-1] born") == 3


def test_handlers_of_exits_and_shutdown_run_in_order(tmp_path: Path) -> None:
    actions = """
first = shell('exit 4')
def report(event, context):
    return [LogInfo(msg=f"ended with {event.returncode}"), shell('echo second')]
actions = [
    RegisterEventHandler(OnProcessExit(target_action=first, on_exit=report)),
    RegisterEventHandler(OnShutdown(on_shutdown=[LogInfo(msg="shutting down")])),
    first,
]
"""
    with running(actions, tmp_path) as launch:
        assert launch.wait() == 0
        places = [launch.output.index(text) for text in ("ended with 4", "[sh-2] second", "shutting down")]
        assert places == sorted(places)


def test_no_orphans_after_kill_9_of_the_launch(tmp_path: Path) -> None:
    with running(f"actions = [shell({POLITE!r}), shell({POLITE!r})]", tmp_path) as launch:
        launch.wait_for("ready", 2)
        pids = [int(text) for text in re.findall(r"ready (\d+)", launch.output)]
        launch.process.kill()
        launch.wait()
        for pid in pids:
            wait_gone(pid)


def test_after_kill_9_even_stubborn_processes_end(tmp_path: Path) -> None:
    with running(f"actions = [shell({STUBBORN!r})]", tmp_path) as launch:
        launch.wait_for("ready")
        pid = int(re.findall(r"ready (\d+)", launch.output)[0])
        launch.process.kill()
        launch.wait()
        wait_gone(pid)


def test_what_a_process_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    with running("actions = [shell('sleep 600 & echo left $!')]", tmp_path) as launch:
        assert launch.wait() == 0
        wait_gone(int(re.findall(r"left (\d+)", launch.output)[0]))
