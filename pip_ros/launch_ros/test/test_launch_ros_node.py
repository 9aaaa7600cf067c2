"""Nodes as processes: what reaches a real rclpy node, and errors before anything starts."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import launch_ros.actions
from launch import LaunchContext, LaunchDescription, LaunchService
from launch.actions import DeclareLaunchArgument, GroupAction, LogInfo
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.parameter_descriptions import ParameterValue, evaluate_parameter_dict
from launch_ros.substitutions import FindPackageShare

NODE = f"""#!{sys.executable}
import json
import sys
import rclpy
from rclpy.utilities import remove_ros_args
rclpy.init()
node = rclpy.create_node("own_name", allow_undeclared_parameters=True, automatically_declare_parameters_from_overrides=True)
print(json.dumps({{
    "name": node.get_fully_qualified_name(),
    "topic": node.resolve_topic_name("chatter"),
    "arguments": remove_ros_args(sys.argv)[1:],
    "parameters": {{name: parameter.value for name, parameter in node.get_parameters_by_prefix("").items()
                   if name not in ("use_sim_time", "start_type_description_service")}},
}}, default=list))
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package `talking` with one executable."""
    (tmp_path / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (tmp_path / "share/ament_index/resource_index/packages/talking").touch()
    (tmp_path / "share/talking").mkdir()
    executable = tmp_path / "lib/talking/talker"
    executable.parent.mkdir(parents=True)
    executable.write_text(NODE)
    executable.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path}{os.pathsep}{os.environ.get('AMENT_PREFIX_PATH', '')}")
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))
    return tmp_path


def run(*entities: Any, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    service = LaunchService()
    service.include_launch_description(LaunchDescription(entities))
    status = service.run()
    return status, capsys.readouterr().out


def heard(*entities: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    """What the node says about itself."""
    status, output = run(*entities, capsys=capsys)
    assert status == 0, output
    return json.loads(next(line for line in output.splitlines() if line.startswith("[talker-1] {")).partition("] ")[2])


def test_name_namespace_arguments_remappings_and_parameters_reach_the_node(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = package / "parameters.yaml"
    file.write_text("/**:\n  ros__parameters:\n    from_file: 1\n    overridden: file\n")
    node = Node(
        package="talking",
        executable="talker",
        name=[LaunchConfiguration("prefix"), "_talker"],
        namespace="cell",
        output="screen",
        arguments=["--loud", LaunchConfiguration("prefix")],
        remappings=[("chatter", ["gossip_", LaunchConfiguration("prefix")])],
        parameters=[
            str(file),
            {
                "overridden": "dict",
                "text": "12",
                "rate_hz": LaunchConfiguration("rate"),
                "as_text": ParameterValue(LaunchConfiguration("rate"), value_type=str),
                "on": True,
                "inner": {"deep": [1, 2.5]},
                "names": ["a", "b"],
            },
        ],
    )
    values = [DeclareLaunchArgument("prefix", default_value="left"), DeclareLaunchArgument("rate", default_value="20.0")]
    said = heard(*values, GroupAction([PushRosNamespace("lab"), node]), capsys=capsys)
    assert said == {
        "name": "/lab/cell/left_talker",
        "topic": "/lab/cell/gossip_left",
        "arguments": ["--loud", "left"],
        "parameters": {
            "from_file": 1,
            "overridden": "dict",
            "text": "12",
            "rate_hz": 20.0,
            "as_text": "20.0",
            "on": True,
            "inner.deep": [1.0, 2.5],
            "names": ["a", "b"],
        },
    }


def test_a_node_without_further_words_keeps_its_own_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert heard(Node(package="talking", executable="talker", output="screen"), capsys=capsys)["name"] == "/own_name"


def test_package_share(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, output = run(LogInfo(msg=FindPackageShare("talking")), capsys=capsys)
    assert status == 0
    assert f": {package}/share/talking" in output


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"package": "silent", "executable": "talker"}, "package 'silent' is not installed"),
        ({"package": "talking", "executable": "taker"}, "expected an executable 'taker'"),
        ({"package": "talking", "executable": "talker", "parameters": ["/no/such.yaml"]}, "/no/such.yaml does not exist"),
        (
            {"package": "talking", "executable": "talker", "parameters": [{"rate_hz": ParameterValue("x", value_type=float)}]},
            "parameter 'rate_hz': expected a float, got 'x'",
        ),
    ],
)
def test_what_cannot_run_is_named(keywords: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, output = run(Node(**keywords), capsys=capsys)
    assert status == 1
    assert message in output
    assert "process started" not in output


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (ParameterValue("3"), 3),
        (ParameterValue("3", value_type=float), 3.0),
        (ParameterValue("true"), True),
        (ParameterValue("[1, 2]", value_type=list[int]), [1, 2]),
        (ParameterValue(5, value_type=int), 5),
        ("3", "3"),
        ((1, 2), [1, 2]),
    ],
)
def test_parameter_values(value: Any, expected: Any) -> None:
    result = evaluate_parameter_dict(LaunchContext(), {"p": value})["p"]
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize("value", [ParameterValue(True, value_type=int), ParameterValue("{a: 1}"), [1, "a"], None])
def test_values_that_no_parameter_can_hold(value: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        evaluate_parameter_dict(LaunchContext(), {"p": value})


def test_upstream_names_that_are_missing_say_what_to_install() -> None:
    with pytest.raises(ImportError, match="ros-kilted-launch-ros"):
        _ = launch_ros.actions.ComposableNodeContainer
