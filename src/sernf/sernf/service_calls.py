"""Service calls from a worker thread while another thread spins the node: with timeouts, and with errors that say what to do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.client import Client
from rclpy.node import Node

POLL_S = 0.02


class CallError(RuntimeError):
    """A service is missing, did not answer in time, or refused; the message says which and why."""


class Interrupted(RuntimeError):
    """The waiting was ended by `ServiceCalls.interrupt`."""


class ServiceCalls:
    """Clients of one node, created on first use."""

    def __init__(self, node: Node, check: Callable[[], None] = lambda: None) -> None:
        """`check` is called while waiting; what it raises ends the waiting."""
        self._node = node
        self._check = check
        self._clients: dict[str, Client[Any, Any]] = {}
        self._interrupted = threading.Event()

    def interrupt(self) -> None:
        """Make every present and later wait raise Interrupted."""
        self._interrupted.set()

    def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `condition()`; False after `timeout_s`. Raises Interrupted."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if self._interrupted.wait(POLL_S):
                raise Interrupted("interrupted while waiting")
            self._check()
            if time.monotonic() > deadline:
                return False
        return True

    def is_ready(self, service_type: type[Any], name: str) -> bool:
        """Whether somebody serves it at this moment."""
        return bool(self._client(service_type, name).service_is_ready())

    def wait_for_service(self, service_type: type[Any], name: str, timeout_s: float) -> None:
        """Raises CallError when the service does not appear."""
        client = self._client(service_type, name)
        if not self.wait_until(client.service_is_ready, timeout_s):
            raise CallError(
                f"service {name} did not appear within {timeout_s:g} s; is its node running? See: sernf ros2 service list"
            )

    def call(self, service_type: type[Any], name: str, request: Any = None, *, timeout_s: float = 10.0) -> Any:
        """Response of the service, with `success` true if it has that. Raises CallError on silence and refusal."""
        self.wait_for_service(service_type, name, timeout_s)
        future = self._client(service_type, name).call_async(service_type.Request() if request is None else request)
        if not self.wait_until(future.done, timeout_s):
            future.cancel()
            raise CallError(f"service {name} did not answer within {timeout_s:g} s; its node hangs or has died, see its log")
        response = future.result()
        if not getattr(response, "success", True):
            raise CallError(f"{name} refused: {response.message}")
        return response

    def _client(self, service_type: type[Any], name: str) -> Client[Any, Any]:
        if name not in self._clients:
            self._clients[name] = self._node.create_client(service_type, name)
        return self._clients[name]
