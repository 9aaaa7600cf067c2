"""The base of every SERNF node: a lifecycle node that starts by itself, with a typed configuration.

Parameters: `config_file` (YAML, see sernf_robot.config), one parameter per field of the configuration dataclass, nested ones with
a dot (`control.rate_hz`), which win over the file, and `autostart` (default true: configure and activate at start). A parameter
that is none of these refuses the configuration. Errors in hooks are logged with their traceback and end in
the lifecycle's error handling; with autostart they end the process with exit status 1, so that a launch file sees it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from sernf_robot.config import ConfigError, from_mapping, load_config

ConfigT = TypeVar("ConfigT")

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
LONGEST_WAIT_S = 5.0
NOT_CONFIGURATION = ("autostart", "config_file", "use_sim_time", "start_type_description_service", "qos_overrides")


class SernfNode(LifecycleNode, Generic[ConfigT]):
    """Subclasses override the four hooks; each may raise.

    `setup` creates publishers, subscriptions and pure objects from `self.config`; `start` begins work; `stop` ends it; `teardown`
    destroys what `setup` made. When `setup`, `start` or `stop` raises, `teardown` follows at once: it must cope with half-made
    things.
    """

    def __init__(self, name: str, config_class: type[ConfigT]) -> None:
        super().__init__(name, automatically_declare_parameters_from_overrides=True)
        self._config_class = config_class
        self._config: ConfigT | None = None
        self.stop_requested: Future[None] = Future()
        """completes at a stop signal and at the lifecycle's shutdown; then the process ends"""
        self.is_shut_down = False
        self._declare("autostart", True, "configure and activate at start")
        self._declare("config_file", "", "YAML file of the configuration")
        for field in dataclasses.fields(config_class):  # type: ignore[arg-type]
            self._declare(field.name, None, "")

    @property
    def config(self) -> ConfigT:
        """The configuration; only between configure and cleanup."""
        if self._config is None:
            raise RuntimeError(f"{self.get_name()} is not configured")
        return self._config

    def setup(self) -> None:
        """Create what the node needs from `self.config`."""

    def start(self) -> None:
        """Begin work."""

    def stop(self) -> None:
        """End work."""

    def teardown(self) -> None:
        """Destroy what `setup` created."""

    def read_config(self) -> ConfigT:
        """Configuration from file and parameters; raises ConfigError."""
        overrides: dict[str, Any] = {}
        for name, parameter in self.get_parameters_by_prefix("").items():
            if parameter.type_ == Parameter.Type.NOT_SET or name.partition(".")[0] in NOT_CONFIGURATION:
                continue
            value = parameter.value if isinstance(parameter.value, (bool, int, float, str)) else list(parameter.value)
            *groups, key = name.split(".")
            mapping = overrides
            for group in groups:
                mapping = mapping.setdefault(group, {})
            mapping[key] = value
        path = str(self.get_parameter("config_file").value)
        if path:
            return load_config(self._config_class, path, overrides)
        return from_mapping(self._config_class, overrides, where=f"parameters of {self.get_name()}")

    def _declare(self, name: str, default: Any, description: str) -> None:
        if not self.has_parameter(name):
            self.declare_parameter(name, default, ParameterDescriptor(description=description, dynamic_typing=default is None))

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle: read the configuration, then `setup`."""
        try:
            self._config = self.read_config()
        except ConfigError as error:
            self.get_logger().fatal(str(error))
            return TransitionCallbackReturn.FAILURE
        if self._run(self.setup) is not TransitionCallbackReturn.SUCCESS:
            self.on_cleanup(state)
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle: publishers on, then `start`."""
        result = super().on_activate(state)
        return self._run(self.start) if result is TransitionCallbackReturn.SUCCESS else result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle: `stop`."""
        result = self._run(self.stop)
        return super().on_deactivate(state) if result is TransitionCallbackReturn.SUCCESS else result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle: `teardown`."""
        result = self._run(self.teardown)
        self._config = None
        return result

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle: `stop` if active, `teardown` if configured; then the process ends."""
        stopped = self._run(self.stop) if state.label == "active" else TransitionCallbackReturn.SUCCESS
        torn_down = self.on_cleanup(state) if self._config is not None else TransitionCallbackReturn.SUCCESS
        self.is_shut_down = True
        self.request_stop()
        return torn_down if stopped is TransitionCallbackReturn.SUCCESS else stopped

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle: a hook has raised; `teardown`, then unconfigured."""
        return self.on_cleanup(state) if self._config is not None else TransitionCallbackReturn.SUCCESS

    def _run(self, hook: Callable[[], None]) -> TransitionCallbackReturn:
        # rclpy swallows what lifecycle callbacks raise: the traceback has to be logged here.
        try:
            hook()
        except Exception as error:  # noqa: BLE001  top of a callback
            self.get_logger().fatal(f"{hook.__name__} failed: {error}\n{traceback.format_exc()}")
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def request_stop(self) -> None:
        """End the process soon; from any thread."""
        if not self.stop_requested.done():
            self.stop_requested.set_result(None)

    def autostart(self) -> bool:
        """Configure and activate if the parameter `autostart` says so; False when that failed."""
        if not self.get_parameter("autostart").value:
            return True
        if self.trigger_configure() is not TransitionCallbackReturn.SUCCESS:
            return False
        return self.trigger_activate() is TransitionCallbackReturn.SUCCESS


def run_node(create: Callable[[], SernfNode[Any]], *, args: list[str] | None = None) -> None:
    """Run one node until SIGINT or SIGTERM; then `stop` and `teardown` run while ROS still works.

    A lifecycle shutdown ends the process too. Exits with status 1 when the node could not start or a callback raised. A second
    signal ends the process at once.
    """
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    node: SernfNode[Any] | None = None
    failed = True
    try:
        node = create()
        with _stop_signals(node.request_stop):
            if node.autostart():
                spin_until(node, node.stop_requested)
                failed = False
            if not node.is_shut_down and node.trigger_shutdown() is not TransitionCallbackReturn.SUCCESS:
                failed = True
    except Exception:  # noqa: BLE001  top of the process
        logger = rclpy.logging.get_logger("sernf_node") if node is None else node.get_logger()
        logger.fatal(f"ends because of an error:\n{traceback.format_exc()}")
        if node is not None and not node.is_shut_down:
            node.trigger_shutdown()
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    if failed:
        sys.exit(1)


def spin_until(node: Node, done: Future[Any]) -> None:
    """Run the callbacks of `node` in this thread until `done` has a result; what a callback raises comes out here."""
    executor = EventsExecutor()
    executor.add_node(node)
    while not done.done():
        # Never without a timeout: on some C++ libraries EventsExecutor's endless wait becomes a busy loop that cannot be stopped.
        executor.spin_until_future_complete(done, timeout_sec=LONGEST_WAIT_S)
    executor.remove_node(node)


@contextlib.contextmanager
def _stop_signals(on_signal: Callable[[], None]) -> Iterator[None]:
    """Call `on_signal` at SIGINT or SIGTERM, from a thread of its own: Python's handlers wait for the executor to return."""
    receiver, sender = socket.socketpair()
    sender.setblocking(False)

    def wait() -> None:
        with receiver:
            while number := receiver.recv(1):
                if number[0] in STOP_SIGNALS:
                    on_signal()

    previous = {number: signal.signal(number, _once_only) for number in STOP_SIGNALS}
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=wait, name="signals", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in previous.items():
            signal.signal(number, handler)
        sender.close()


def _once_only(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_DFL)
