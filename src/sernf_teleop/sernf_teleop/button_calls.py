"""An operator's buttons as service calls: asynchronous, with timeouts, and with one line that says how each ended."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from sernf_msgs.srv import EndEpisode, ResetScene, SetSource, StartEpisode
from sernf_teleop.config import TeleopConfig
from sernf_teleop.operator_device import Button

SHOWN_RESULTS = 4
LABELS = {Button.SUCCESS: "success", Button.FAILURE: "failure", Button.DISCARD: "discard"}


@dataclass(frozen=True, kw_only=True)
class _Pending:
    text: str
    future: Future[Any]
    client: Client[Any, Any]
    deadline_s: float


class ButtonCalls:
    """Calls the services of bridge, recorder and simulation; never waits."""

    def __init__(self, node: Node, config: TeleopConfig, scene_seed: Callable[[], int], new_seed: Callable[[], int]) -> None:
        """`scene_seed`: of the present scene, 0 if there is none. `new_seed`: draws one for the next scene."""
        self._node = node
        self._config = config
        self._scene_seed = scene_seed
        self._new_seed = new_seed
        self._pending: list[_Pending] = []
        self._results: deque[str] = deque(maxlen=SHOWN_RESULTS)
        services: dict[str, type[Any]] = {
            "hw_bridge/stop": Trigger,
            "hw_bridge/home": Trigger,
            "hw_bridge/clear_fault": Trigger,
            "hw_bridge/set_source": SetSource,
            "sim/reset": ResetScene,
            "recorder/start_episode": StartEpisode,
            "recorder/end_episode": EndEpisode,
        }
        self._clients = {name: node.create_client(service, name) for name, service in services.items()}

    @property
    def results(self) -> tuple[str, ...]:
        """The last answers, oldest first, and what is still waited for."""
        return (*self._results, *(f"{pending.text} ..." for pending in self._pending))

    def press(self, button: Button) -> None:
        """Call what `button` stands for."""
        name, request = self._request(button)
        if not name:
            return
        client = self._clients[name]
        text = button.value.replace("_", " ")
        if any(pending.text == text for pending in self._pending):
            self._tell(f"{text}: still waiting for the answer to the last one")
        elif not client.service_is_ready():
            self._tell(f"{text}: no service {name}; is its node running?")
        else:
            timeout_s = self._config.end_episode_timeout_s if button in LABELS else self._config.service_timeout_s
            pending = _Pending(
                text=text, future=client.call_async(request), client=client, deadline_s=time.monotonic() + timeout_s
            )  # fmt: skip
            self._pending.append(pending)

    def check(self) -> None:
        """Take answers and give up on what has been waited for long enough; called at control rate."""
        now_s = time.monotonic()
        for pending in list(self._pending):
            if pending.future.done():
                response = pending.future.result()
                self._tell(f"{pending.text}: {'ok' if response.success else 'refused'}: {response.message}".removesuffix(": "))
            elif now_s > pending.deadline_s:
                pending.client.remove_pending_request(pending.future)
                self._tell(f"{pending.text}: no answer from {pending.client.srv_name}; see the log of its node")
            else:
                continue
            self._pending.remove(pending)

    def destroy(self) -> None:
        """Destroy the clients."""
        for client in self._clients.values():
            self._node.destroy_client(client)

    def _tell(self, text: str) -> None:
        self._results.append(text)
        self._node.get_logger().info(text)

    def _request(self, button: Button) -> tuple[str, Any]:
        """Service and request; '' for buttons that call nothing."""
        config = self._config
        if button in LABELS:
            request = EndEpisode.Request(label=LABELS[button], labelled_by=f"operator:{config.operator_name}")
            return "recorder/end_episode", request
        if button is Button.START_EPISODE:
            return "recorder/start_episode", StartEpisode.Request(
                task=config.task, operator_name=config.operator_name, source="teleop", seed=self._scene_seed()
            )
        if button in (Button.SELECT_TELEOP, Button.SELECT_POLICY):
            return "hw_bridge/set_source", SetSource.Request(source=button.value.removeprefix("select_"))
        if button is Button.NEW_SCENE:
            return "sim/reset", ResetScene.Request(seed=self._new_seed())
        names = {Button.STOP: "hw_bridge/stop", Button.HOME: "hw_bridge/home", Button.ARM: "hw_bridge/clear_fault"}
        return names.get(button, ""), Trigger.Request()
