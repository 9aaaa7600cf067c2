"""Real processes die, freeze, raise and lie about the time: each ends in the documented safe state; episodes stay readable."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rclpy.qos import qos_profile_sensor_data
from running_graph import RunningGraph, running_graph
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from sernf.service_calls import CallError
from sernf_msgs.msg import BridgeState
from sernf_msgs.srv import ResetScene
from sernf_teleop.episodes import list_episodes, read_dataset


@pytest.fixture
def mock_graph(tmp_path: Path) -> Iterator[RunningGraph]:
    with running_graph(tmp_path, robot="mock") as running:
        yield running


def completed_episode(graph: RunningGraph) -> str:
    """Record one short labelled episode; a policy must be commanding."""
    episode = graph.start_episode()
    time.sleep(1.0)
    graph.end_episode()
    return episode


def test_kill_9_of_the_recorder_disturbs_nobody_and_loses_at_most_the_last_moment(mock_graph: RunningGraph) -> None:
    mock_graph.arm("policy")
    with mock_graph.commander():
        mock_graph.wait_for_mode(BridgeState.MODE_TRACK)
        completed = completed_episode(mock_graph)
        cut = mock_graph.start_episode()
        time.sleep(2.5)
        recorders = mock_graph.publishers("episode_event")
        mock_graph.kill("episode_recorder_node")
        # DDS believes the dead one to be alive for up to 20 s, and a request to it is never answered.
        mock_graph.wait(lambda: mock_graph.publishers("episode_event").isdisjoint(recorders), 40.0, "the dead recorder's end")
        mock_graph.wait(lambda: bool(mock_graph.publishers("episode_event")), 30.0, "the recorder's respawn")
        assert mock_graph.bridge is not None
        assert mock_graph.bridge.mode == BridgeState.MODE_TRACK
        assert mock_graph.refusals() == set()
        after = completed_episode(mock_graph)
    episodes = {episode.episode_id: episode for episode in list_episodes(mock_graph.episodes)}
    assert episodes[completed].label == episodes[after].label == "success"
    assert episodes[cut].label == ""
    assert episodes[cut].recovered
    assert episodes[cut].topic("joint_states").messages > 100  # type: ignore[union-attr]


def test_kill_9_of_the_bridge_ends_the_graph_with_an_error_and_keeps_the_episodes(tmp_path: Path) -> None:
    with running_graph(tmp_path, robot="mock") as graph:
        graph.arm("policy")
        with graph.commander():
            graph.wait_for_mode(BridgeState.MODE_TRACK)
            completed = completed_episode(graph)
            cut = graph.start_episode()
            time.sleep(1.5)
            graph.kill("hw_bridge_node")
            status = graph.graph.wait(40.0)
        assert status != 0
    dataset = read_dataset(tmp_path / "episodes")
    labels = {episode.episode_id: episode.label for episode in dataset.episodes}
    assert labels == {completed: "success", cut: ""}
    assert dataset.broken == ()


def test_kill_9_of_teleop_during_a_demonstration_holds_then_faults_until_somebody_arms_again(tmp_path: Path) -> None:
    with running_graph(tmp_path, robot="sim", operator="demonstrator", recorder=False) as graph:
        graph.calls.call(ResetScene, "sim/reset", ResetScene.Request(seed=3), timeout_s=60.0)
        graph.arm("demonstrator")
        graph.calls.call(Trigger, "teleop/demonstrate", timeout_s=60.0)
        graph.wait_for_mode(BridgeState.MODE_TRACK)
        time.sleep(1.0)
        graph.kill("teleop_node")
        graph.wait_for_mode(BridgeState.MODE_HOLD, 5.0)
        state = graph.wait_for_mode(BridgeState.MODE_FAULT, 10.0)
        assert state.reason
        assert max(abs(speed) for speed in state.executed_velocity_rad_s) == 0.0
        graph.arm("none")


def test_kill_9_of_the_camera_leaves_control_alone_and_pictures_come_back(tmp_path: Path) -> None:
    with running_graph(tmp_path, robot="sim", cameras=True, recorder=False) as graph:
        images: list[Image] = []
        graph.node.create_subscription(Image, "camera/front/image_raw", images.append, qos_profile_sensor_data)
        graph.arm("policy")
        with graph.commander():
            graph.wait_for_mode(BridgeState.MODE_TRACK)
            graph.wait(lambda: len(images) > 3, 40.0, "pictures")
            graph.kill("sim_camera_node")
            time.sleep(1.0)
            images.clear()
            graph.wait(lambda: len(images) > 3, 40.0, "pictures after the camera's respawn")
            assert graph.bridge is not None
            assert graph.bridge.mode == BridgeState.MODE_TRACK
            assert graph.refusals() == set()


@pytest.mark.parametrize(
    ("injected", "fault"),
    [
        ("frozen", "arm_frozen"),
        ("read_raises", "arm_read_failed"),
        ("write_raises", "arm_write_failed"),
        ("not_finite", "arm_not_finite"),
        ("drift", "tracking_error"),
    ],
)
def test_a_failing_arm_latches_a_fault_that_only_a_re_arm_clears(mock_graph: RunningGraph, injected: str, fault: str) -> None:
    mock_graph.arm("policy")
    with mock_graph.commander():
        mock_graph.wait_for_mode(BridgeState.MODE_TRACK)
        mock_graph.set_parameter("hw_bridge", "arm_fault", injected)
        state = mock_graph.wait_for_mode(BridgeState.MODE_FAULT)
        assert state.fault == fault
        mock_graph.set_parameter("hw_bridge", "arm_fault", "none")
        time.sleep(1.0)
        assert mock_graph.wait_for_mode(BridgeState.MODE_FAULT, 1.0).fault == fault, "a fault must not clear itself"
    stood_at = mock_graph.wait_for_mode(BridgeState.MODE_FAULT).executed_position_rad
    mock_graph.arm("none")
    assert mock_graph.bridge is not None
    moved = [abs(a - b) for a, b in zip(mock_graph.bridge.executed_position_rad, stood_at, strict=True)]
    assert max(moved) < 0.3, "the re-arm seeds the target from the measured pose"


def test_a_disconnected_arm_refuses_to_arm_and_says_so(mock_graph: RunningGraph) -> None:
    mock_graph.arm("policy")
    mock_graph.set_parameter("hw_bridge", "arm_fault", "disconnected")
    mock_graph.wait_for_mode(BridgeState.MODE_FAULT)
    with pytest.raises(CallError, match="hw_bridge/clear_fault refused"):
        mock_graph.calls.call(Trigger, "hw_bridge/clear_fault")


@pytest.mark.parametrize(("jump_s", "reason"), [(-3600.0, "stale"), (3600.0, "future")])
def test_a_policy_whose_clock_jumps_is_refused_and_the_robot_holds(mock_graph: RunningGraph, jump_s: float, reason: str) -> None:
    offset_s = [0.0]
    mock_graph.arm("policy")
    with mock_graph.commander(clock_offset_s=lambda: offset_s[0]):
        mock_graph.wait_for_mode(BridgeState.MODE_TRACK)
        offset_s[0] = jump_s
        mock_graph.wait_for_mode(BridgeState.MODE_HOLD, 5.0)
        mock_graph.wait_for_mode(BridgeState.MODE_FAULT, 10.0)
        assert mock_graph.bridge is not None
        assert mock_graph.bridge.commands_rejected > 0
        assert reason in mock_graph.graph.log_tail(200)
        offset_s[0] = 0.0
        mock_graph.arm("policy")
        mock_graph.wait_for_mode(BridgeState.MODE_TRACK)
