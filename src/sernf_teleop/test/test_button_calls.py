"""Buttons call services without waiting, and every call ends in one line."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterator

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger
from teleop_fixtures import CONFIG

from sernf_msgs.srv import EndEpisode, ResetScene, SetSource, StartEpisode
from sernf_teleop.button_calls import ButtonCalls
from sernf_teleop.operator_device import Button

TIMEOUT_S = 20.0


class Office:
    """Services that answer, one that hangs, and the buttons that call them."""

    def __init__(self) -> None:
        os.environ.setdefault("ROS_DOMAIN_ID", "18")
        rclpy.init()
        self.requests: list[object] = []
        self._node, self._server, self._hanging = Node("buttons"), Node("server"), Node("hanging")
        for service, name in (
            (Trigger, "hw_bridge/stop"),
            (SetSource, "hw_bridge/set_source"),
            (ResetScene, "sim/reset"),
            (StartEpisode, "recorder/start_episode"),
            (EndEpisode, "recorder/end_episode"),
        ):
            self._server.create_service(service, name, self._answer)
        # Its node is never spun.
        self._hanging.create_service(Trigger, "hw_bridge/home", self._answer)
        config = dataclasses.replace(CONFIG, operator_name="ada", service_timeout_s=0.5)
        self.calls = ButtonCalls(self._node, config, scene_seed=lambda: 42, new_seed=lambda: 43)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._executor.add_node(self._server)

    def _answer(self, request: object, response: Trigger.Response) -> Trigger.Response:
        self.requests.append(request)
        response.success, response.message = len(self.requests) < 3, "as you wish"
        return response

    def press(self, button: Button, service: str) -> None:
        """Press once the service is known."""
        self.until(lambda: self.calls._clients[service].service_is_ready())
        self.calls.press(button)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < deadline, self.calls.results
            self._executor.spin_once(timeout_sec=0.05)
            self.calls.check()

    def told(self, text: str) -> None:
        self.until(lambda: any(text in line for line in self.calls.results))

    def close(self) -> None:
        self.calls.destroy()
        self._executor.shutdown()
        for node in (self._node, self._server, self._hanging):
            node.destroy_node()
        rclpy.try_shutdown()


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    yield made
    made.close()


def test_an_episode_is_started_and_ended_in_the_operator_s_name_and_refusals_are_told(office: Office) -> None:
    office.press(Button.START_EPISODE, "recorder/start_episode")
    office.told("start episode: ok: as you wish")
    start = office.requests[-1]
    assert isinstance(start, StartEpisode.Request)
    assert (start.task, start.operator_name, start.source, start.seed) == ("duck", "ada", "teleop", 42)
    office.press(Button.FAILURE, "recorder/end_episode")
    office.told("end failure: ok")
    end = office.requests[-1]
    assert isinstance(end, EndEpisode.Request)
    assert (end.label, end.labelled_by) == ("failure", "operator:ada")
    office.press(Button.SELECT_POLICY, "hw_bridge/set_source")
    office.told("select policy: refused: as you wish")
    select = office.requests[-1]
    assert isinstance(select, SetSource.Request)
    assert select.source == "policy"
    office.press(Button.NEW_SCENE, "sim/reset")
    office.told("new scene: refused")
    reset = office.requests[-1]
    assert isinstance(reset, ResetScene.Request)
    assert reset.seed == 43


def test_a_service_that_hangs_is_given_up_and_does_not_block_the_others(office: Office) -> None:
    office.press(Button.HOME, "hw_bridge/home")
    office.calls.press(Button.HOME)
    assert any("home: still waiting" in line for line in office.calls.results)
    office.press(Button.STOP, "hw_bridge/stop")
    office.told("stop: ok")
    office.told("home: no answer")
    assert not any(line.endswith("...") for line in office.calls.results)


def test_a_service_that_is_missing_is_named(office: Office) -> None:
    office.calls.press(Button.ARM)
    assert office.calls.results == ("arm: no service hw_bridge/clear_fault; is its node running?",)


def test_buttons_that_are_the_teleoperation_s_own_call_nothing(office: Office) -> None:
    for button in (Button.QUIT, Button.STAY_ENGAGED):
        office.calls.press(button)
    assert office.calls.results == ()
