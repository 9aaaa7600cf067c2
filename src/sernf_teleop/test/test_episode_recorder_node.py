"""The recorder as a process of its own, over DDS, fed by another process at the robot's rates."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from mcap.reader import make_reader
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import JointState

from sernf_msgs.msg import EpisodeEvent, PolicyVersion
from sernf_msgs.srv import EndEpisode, RelabelEpisode, StartEpisode
from sernf_robot.config_files import config_path
from sernf_robot.joints import JOINTS
from sernf_teleop.episodes import EpisodeInfo, list_episodes, messages, read_dataset, read_episode

WAIT_S = 30.0
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
CONTROL = ("/joint_states", "/bridge_state", "/joint_command")
RECORDER = "from sernf_teleop.episode_recorder_node import main; main()"
Start = Callable[..., "subprocess.Popen[str]"]


class Client(Node):
    """Calls the recorder and hears its events."""

    def __init__(self) -> None:
        super().__init__("recorder_client")
        self.events: list[EpisodeEvent] = []
        self.diagnostics: list[tuple[bytes, str]] = []
        self.create_subscription(EpisodeEvent, "episode_event", self.events.append, LATCHED)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        self.diagnostics += [(status.level, status.message) for status in array.status if "recorder" in status.name]

    def wait_until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, "did not happen in time"
            rclpy.spin_once(self, timeout_sec=0.05)

    def call(self, kind: Any, name: str, **fields: Any) -> Any:
        return self.call_service(kind, f"recorder/{name}", kind.Request(**fields))

    def call_service(self, kind: Any, name: str, request: Any) -> Any:
        client = self.create_client(kind, name)
        deadline = time.monotonic() + WAIT_S
        answer = None
        # A killed recorder's service is seen for a while: what goes there is lost.
        while answer is None:
            assert time.monotonic() < deadline, f"{name} did not answer"
            if client.wait_for_service(1.0):
                future = client.call_async(request)
                rclpy.spin_until_future_complete(self, future, timeout_sec=5.0)
                answer = future.result()
        self.destroy_client(client)
        return answer

    def start(self, task: str = "duck") -> Any:
        return self.call(StartEpisode, "start_episode", task=task, operator_name="bo", source="teleop", seed=3)

    def end(self, label: str = "success") -> Any:
        return self.call(EndEpisode, "end_episode", label=label, labelled_by="judge" if label else "")


@pytest.fixture
def client() -> Iterator[Client]:
    rclpy.init()
    node = Client()
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def start_process() -> Iterator[Start]:
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate(timeout=WAIT_S)


def start_recorder(start_process: Start, directory: Path, **parameters: object) -> subprocess.Popen[str]:
    values = {"config_file": config_path("episode_recorder.yaml"), "directory": directory, "start_free_mb": 0.0}
    values |= {"stop_free_mb": 0.0, **parameters}
    ros = [word for key, value in values.items() for word in ("-p", f"{key}:={value}")]
    return start_process("-c", RECORDER, "--ros-args", *ros)


def start_robot(start_process: Start, seconds: float) -> subprocess.Popen[str]:
    robot = start_process(str(Path(__file__).with_name("fake_robot.py")), str(seconds))
    assert robot.stdout is not None
    assert robot.stdout.readline().strip() == "publishing"
    return robot


def wait_for_topics(client: Client, directory: Path) -> None:
    """Until the recorder hears every topic of the fake robot, as a short episode shows."""

    def heard() -> bool:
        client.start("warmup")
        client.wait_until(lambda: time.monotonic() > until)
        episode = read_episode(Path(client.end("discard").path))
        return sum(topic.messages > 0 for topic in episode.topics.values()) >= 6

    deadline = time.monotonic() + WAIT_S
    while True:
        until = time.monotonic() + 0.5
        if heard():
            return
        assert time.monotonic() < deadline, f"{directory}: not all topics are heard"


def check_with_independent_readers(episode: EpisodeInfo) -> None:
    with episode.file.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        assert summary.statistics.message_count == episode.messages
        schemas = {schema.name: schema for schema in summary.schemas.values()}
        assert b"executed_position_rad" in schemas["sernf_msgs/msg/BridgeState"].data
        assert len(list(reader.iter_messages())) == episode.messages
    with Reader(episode.path) as bag:
        assert bag.message_count == episode.messages
        assert {connection.topic for connection in bag.connections} == set(episode.topics)
        assert sum(1 for _ in bag.messages()) == episode.messages


def test_a_session_at_the_robots_rates_loses_nothing(tmp_path: Path, client: Client, start_process: Start) -> None:
    recorder = start_recorder(start_process, tmp_path)
    version = client.create_publisher(PolicyVersion, "policy_version", LATCHED)
    version.publish(PolicyVersion(version="duck-1"))
    robot = start_robot(start_process, 25.0)
    wait_for_topics(client, tmp_path)
    begun = client.start()
    assert begun.success
    seconds = 4.0
    until = time.monotonic() + seconds
    client.wait_until(lambda: time.monotonic() > until)
    ended = client.end()
    assert ended.success
    assert ended.dropped == 0
    assert ended.episode_id == begun.episode_id

    episode = read_episode(Path(ended.path))
    assert (episode.label, episode.seed, episode.operator) == ("success", 3, "bo")
    assert episode.messages == ended.messages
    for name in CONTROL:
        topic = episode.topics[name]
        assert (topic.dropped, topic.control) == (0, True)
    # Exact rates are the publisher's affair on a busy machine; the numbers of the messages say that none is missing.
    assert episode.topics["/joint_states"].messages > 2 * episode.topics["/bridge_state"].messages > 0
    assert episode.topics["/camera/front/image_raw/compressed"].messages > 0
    assert episode.topics["/policy_version"].messages == 1
    states = list(messages(episode, ["/joint_states"]))
    assert list(deserialize_message(states[0].data, JointState).name) == list(JOINTS)
    starts = list(messages(episode, ["/episode_event"]))
    assert deserialize_message(starts[0].data, EpisodeEvent).event == EpisodeEvent.START
    check_with_independent_readers(episode)

    client.wait_until(lambda: any(event.path == ended.path for event in client.events))
    kinds = [event.event for event in client.events if event.episode_id == begun.episode_id]
    assert kinds == [EpisodeEvent.START, EpisodeEvent.SUCCESS]
    changed = client.call(
        RelabelEpisode, "relabel_episode", episode_id=begun.episode_id, label="failure", labelled_by="operator:bo"
    )
    assert changed.success
    assert read_episode(Path(ended.path)).label == "failure"
    client.wait_until(lambda: client.events[-1].event == EpisodeEvent.FAILURE)
    recorder.send_signal(signal.SIGINT)
    assert recorder.wait(WAIT_S) == 0
    robot.kill()


def test_killed_in_an_episode_the_next_recorder_recovers_it(tmp_path: Path, client: Client, start_process: Start) -> None:
    recorder = start_recorder(start_process, tmp_path)
    start_robot(start_process, 60.0)
    wait_for_topics(client, tmp_path)
    complete = {episode.path for episode in list_episodes(tmp_path)}
    client.start()
    file_size = 0

    def has_grown() -> bool:
        nonlocal file_size
        (folder,) = read_dataset(tmp_path).unfinished
        file_size = (folder / f"{folder.name}.mcap").stat().st_size
        return file_size > 1_000_000

    client.wait_until(has_grown)
    recorder.send_signal(signal.SIGKILL)
    recorder.wait(WAIT_S)
    assert {episode.path for episode in list_episodes(tmp_path)} == complete
    start_recorder(start_process, tmp_path)
    client.wait_until(lambda: len(list_episodes(tmp_path)) > len(complete))
    (episode,) = (episode for episode in list_episodes(tmp_path) if episode.path not in complete)
    assert (episode.label, episode.recovered, episode.task) == ("", True, "duck")
    assert all(episode.topics[name].messages > 0 for name in CONTROL)
    check_with_independent_readers(episode)
    assert client.start().success
    assert client.end().success


def test_stopped_in_an_episode_it_keeps_it_without_a_label(tmp_path: Path, client: Client, start_process: Start) -> None:
    recorder = start_recorder(start_process, tmp_path)
    begun = client.start()
    assert "nobody publishes joint_states" in begun.message
    recorder.send_signal(signal.SIGTERM)
    assert recorder.wait(WAIT_S) == 0
    (episode,) = list_episodes(tmp_path)
    assert (episode.label, episode.recovered) == ("", False)
    client.wait_until(lambda: any(event.event == EpisodeEvent.END for event in client.events))


def test_a_disk_that_takes_no_more_costs_one_episode_and_is_told(tmp_path: Path, client: Client, start_process: Start) -> None:
    recorder = start_recorder(start_process, tmp_path)
    start_robot(start_process, 60.0)
    wait_for_topics(client, tmp_path)
    complete = {episode.path for episode in list_episodes(tmp_path)}
    # A size limit for its files fails writes as a full disk does, and needs no mounted file system.
    limits = resource.prlimit(recorder.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(recorder.pid, resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    client.start()
    client.wait_until(lambda: any("File too large" in event.note for event in client.events))
    client.wait_until(lambda: any(level == b"\x02" for level, _ in client.diagnostics))
    answer = client.end()
    assert not answer.success
    assert "File too large" in answer.message
    assert complete <= {episode.path for episode in list_episodes(tmp_path)}
    resource.prlimit(recorder.pid, resource.RLIMIT_FSIZE, limits)
    assert client.start().success
    assert client.end().success
    data = read_dataset(tmp_path)
    assert (data.broken, data.unfinished) == ((), ())
    *earlier, cut, last = data.episodes
    assert complete == {episode.path for episode in earlier}
    assert (cut.episode_id, cut.label, cut.recovered) == (answer.episode_id, "", True)
    assert all(cut.topics[name].messages > 0 for name in CONTROL)
    assert last.label == "success"


def test_configured_twice_in_one_life_it_still_records(tmp_path: Path, client: Client, start_process: Start) -> None:
    start_recorder(start_process, tmp_path)
    start_robot(start_process, 60.0)
    wait_for_topics(client, tmp_path)
    for transition in (
        Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE,
    ):  # fmt: skip
        request = ChangeState.Request(transition=Transition(id=transition))
        assert client.call_service(ChangeState, "episode_recorder/change_state", request).success
    wait_for_topics(client, tmp_path)


def test_wrong_parameters_end_the_process_with_an_error(tmp_path: Path, start_process: Start) -> None:
    recorder = start_recorder(start_process, tmp_path, queue_mb=-1.0)
    assert recorder.wait(WAIT_S) == 1
    assert not list(tmp_path.iterdir())
