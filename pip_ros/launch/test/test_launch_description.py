"""Arguments, substitutions, conditions, groups, includes, and clear errors; only short processes or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import launch.actions
import launch.substitutions
from launch import LaunchDescription, LaunchService
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    GroupAction,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    SetEnvironmentVariable,
    TimerAction,
)
from launch.conditions import IfCondition, UnlessCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import (
    EnvironmentVariable,
    LaunchConfiguration,
    PathJoinSubstitution,
    PythonExpression,
    TextSubstitution,
)


@pytest.fixture(autouse=True)
def log_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))


def run(*entities: Any, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit status and output of a launch of these entities."""
    service = LaunchService()
    service.include_launch_description(LaunchDescription(entities))
    status = service.run()
    return status, capsys.readouterr().out


def said(*entities: Any, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What LogInfo has said in a launch that must end well."""
    status, output = run(*entities, capsys=capsys)
    assert status == 0, output
    return [line.partition(": ")[2] for line in output.splitlines() if "[launch.user]" in line]


def test_substitutions(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAUNCH_TEST_COLOUR", "red")
    x = LaunchConfiguration("x")
    messages = [
        ["x is ", x],
        LaunchConfiguration("y", default="nothing"),
        EnvironmentVariable("LAUNCH_TEST_COLOUR"),
        EnvironmentVariable("LAUNCH_TEST_NONE", default_value=[x, "!"]),
        PathJoinSubstitution(["a", x, "c"]),
        PythonExpression(["2 * ", x, " + sqrt(4)"]),
        TextSubstitution(text="plain"),
    ]
    spoken = said(DeclareLaunchArgument("x", default_value="3"), *(LogInfo(msg=msg) for msg in messages), capsys=capsys)
    assert spoken == ["x is 3", "nothing", "red", "3!", "a/3/c", "8.0", "plain"]


@pytest.mark.parametrize(
    ("text", "expected"), [("true", "if"), ("1", "if"), ("True", "if"), ("false", "unless"), ("0", "unless")]
)
def test_conditions(text: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    both = [LogInfo(msg="if", condition=IfCondition(text)), LogInfo(msg="unless", condition=UnlessCondition(text))]
    assert said(*both, capsys=capsys) == [expected]


def test_a_condition_that_is_neither_true_nor_false_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    status, output = run(LogInfo(msg="never", condition=IfCondition("maybe")), capsys=capsys)
    assert status == 1
    assert "expected true, false, 1 or 0, got 'maybe'" in output


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (DeclareLaunchArgument("robot", description="which one"), "launch argument 'robot' is missing (which one)"),
        (
            DeclareLaunchArgument("robot", default_value=["si", "n"], choices=["sim", "real"]),
            "launch argument 'robot': expected one of sim, real, got 'sin'",
        ),
        (LogInfo(msg=LaunchConfiguration("robt")), "launch configuration 'robt' does not exist"),
        (LogInfo(msg=EnvironmentVariable("LAUNCH_TEST_NONE")), "environment variable 'LAUNCH_TEST_NONE' is not set"),
        (LogInfo(msg=PythonExpression("1 +")), "SyntaxError"),
    ],
)
def test_errors_are_told_and_nothing_after_them_starts(argument: Any, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, output = run(argument, ExecuteProcess(cmd=["echo", "started"], output="screen"), capsys=capsys)
    assert status == 1
    assert message in output
    assert "started" not in output


def test_a_group_keeps_its_arguments_and_environment_to_itself(capsys: pytest.CaptureFixture[str]) -> None:
    shown = LogInfo(msg=[LaunchConfiguration("x", default="-"), EnvironmentVariable("LAUNCH_TEST_Y", default_value="-")])
    inside = [SetEnvironmentVariable("LAUNCH_TEST_Y", "inner"), shown]
    assert said(GroupAction(inside, launch_configurations={"x": "set "}), shown, capsys=capsys) == ["set inner", "--"]


def test_a_group_without_scope_leaves_them_set(capsys: pytest.CaptureFixture[str]) -> None:
    shown = LogInfo(msg=LaunchConfiguration("x", default="-"))
    assert said(GroupAction([shown], scoped=False, launch_configurations={"x": "set"}), shown, capsys=capsys) == ["set", "set"]


INCLUDED = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo
from launch.substitutions import LaunchConfiguration
def generate_launch_description():
    x = DeclareLaunchArgument("x", description="a letter")
    return LaunchDescription([x, LogInfo(msg=["included ", LaunchConfiguration("x")])])
"""


def test_include_gives_arguments_and_names_missing_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "included.launch.py"
    path.write_text(INCLUDED)
    source = PythonLaunchDescriptionSource(str(path))
    assert said(IncludeLaunchDescription(source, launch_arguments=[("x", ["a", "b"])]), capsys=capsys) == ["included ab"]
    status, output = run(IncludeLaunchDescription(source), capsys=capsys)
    assert status == 1
    assert "launch argument 'x' is missing (a letter)" in output
    assert [argument.name for argument in LaunchDescription([IncludeLaunchDescription(source)]).get_launch_arguments()] == ["x"]


def test_opaque_functions_see_the_context_and_add_actions(capsys: pytest.CaptureFixture[str]) -> None:
    def add(context: Any, *words: str, end: str) -> list[LogInfo]:
        return [LogInfo(msg=context.launch_configurations["x"] + word + end) for word in words]

    function = OpaqueFunction(function=add, args=["1", "2"], kwargs={"end": "."})
    assert said(DeclareLaunchArgument("x", default_value="n"), function, capsys=capsys) == ["n1.", "n2."]


def test_timers_act_later_and_keep_the_launch_alive(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(TimerAction(period=0.1, actions=[LogInfo(msg="later")]), LogInfo(msg="now"), capsys=capsys) == ["now", "later"]


def test_processes_get_the_environment_and_the_substituted_command(capsys: pytest.CaptureFixture[str]) -> None:
    process = ExecuteProcess(
        cmd=["sh", "-c", ["echo ", LaunchConfiguration("x"), " $LAUNCH_TEST_Y $LAUNCH_TEST_Z"]],
        additional_env={"LAUNCH_TEST_Z": "zed"},
        output="screen",
        name="echo",
    )
    status, output = run(
        DeclareLaunchArgument("x", default_value="ex"), SetEnvironmentVariable("LAUNCH_TEST_Y", "why"), process, capsys=capsys
    )
    assert status == 0
    assert "[echo-1] ex why zed" in output


def test_shutdown_from_another_thread_ends_a_launch_that_waits(capsys: pytest.CaptureFixture[str]) -> None:
    import threading

    service = LaunchService()
    timer = threading.Timer(0.2, service.shutdown)
    timer.start()
    assert service.run(shutdown_when_idle=False) == 0
    timer.join()


def test_upstream_names_that_are_missing_say_what_to_install() -> None:
    with pytest.raises(ImportError, match="ros-kilted-launch"):
        from launch.actions import LogWarning  # noqa: F401
    with pytest.raises(AttributeError):
        _ = launch.substitutions.NoSuchName
    with pytest.raises(TypeError, match="emulate_tty is not part of this stand-in"):
        ExecuteProcess(cmd=["true"], emulate_tty=True)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ExecuteProcess(cmd="sleep 1"),
        lambda: ExecuteProcess(cmd=["true"], output="loud"),
        lambda: LaunchDescription(["text"]),  # type: ignore[list-item]
        lambda: DeclareLaunchArgument("x", default_value="c", choices=["a", "b"]),
        lambda: OpaqueFunction(function="f"),  # type: ignore[arg-type]
        lambda: LogInfo(msg=3),  # type: ignore[arg-type]
    ],
)
def test_wrong_types_fail_where_they_are_written(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"expected|default"):
        wrong()
