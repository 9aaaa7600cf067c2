"""`hw_bridge`: the control loop as a ROS node. One thread: ticks, commands and services take turns, so nothing needs a lock.

Publishes `joint_states`, `bridge_state`, diagnostics, and with the simulation what a simulated world shows; takes
`joint_command`; serves `hw_bridge/stop`, `hw_bridge/home`, `hw_bridge/clear_fault`, `hw_bridge/set_source`.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from sernf_hw_bridge.backends.mock import MockBackend
from sernf_hw_bridge.backends.protocol import Backend
from sernf_hw_bridge.backends.registry import BackendOptions, PartName, create_backend
from sernf_hw_bridge.bridge_config import BridgeConfig, parse_fault
from sernf_hw_bridge.bridge_messages import BridgeStateMessage, JointStateMessage, to_ns
from sernf_hw_bridge.control_loop import ControlError, ControlLoop, Mode
from sernf_hw_bridge.measurement import Fault
from sernf_hw_bridge.pose_guard import PATH_MARGIN_M
from sernf_hw_bridge.timings import Timings
from sernf_msgs.msg import BridgeState, JointCommand
from sernf_msgs.srv import SetSource
from sernf_node import DiagnosticLevel, Diagnostics, SernfNode, run_node
from sernf_node.realtime import RealtimeReport, ask_for_realtime, freeze_garbage, thaw_garbage
from sernf_robot.config import load_config
from sernf_robot.joints import JOINTS
from sernf_robot.limits import load_limits
from sernf_robot.pose_checker import PoseCheckConfig, PoseChecker

if TYPE_CHECKING:
    from sernf_hw_bridge.backends.sim import SharedWorld
    from sernf_hw_bridge.sim_publisher import SimPublisher

LOG = logging.getLogger(__name__)
COMMANDS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
STATES = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
FAULT_PARAMETERS: dict[str, PartName] = {"arm_fault": "arm", "hand_fault": "hand"}


class HwBridgeNode(SernfNode[BridgeConfig]):
    """Thin: parameters to configuration, messages to the control loop and back."""

    def __init__(self) -> None:
        super().__init__("hw_bridge", BridgeConfig)
        self._clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._backends: dict[str, Backend] = {}
        self._world: SharedWorld | None = None
        self._sim: SimPublisher | None = None
        self._realtime = RealtimeReport("ordinary scheduling", False)
        self._previous_start_ns = 0
        self._late_ticks = 0
        self._logged = (Mode.UNARMED, "", "")
        self._destroy: list[Callable[[], object]] = []

    def setup(self) -> None:
        """Build and connect; nothing moves before hw_bridge/clear_fault."""
        config = self.config
        limits = load_limits(self._path(config.limits_file), JOINTS)
        workspace = load_config(PoseCheckConfig, self._path(config.workspace_file))
        pose_check = PoseChecker(workspace, margin_m=PATH_MARGIN_M)
        self._backends = self._create_backends()
        self._loop = ControlLoop(self._backends, limits, config.control, pose_check)
        self._destroy.append(self._loop.disconnect)
        self._loop.connect()
        for name, part in FAULT_PARAMETERS.items():
            self._inject(part, getattr(config, name))
        self._timings = Timings(config.timing_ticks) if config.timing_file else None
        self._period_ns = round(config.control.period_s * 1e9)
        self._joint_states_every = config.every(config.joint_states_rate_hz)
        self._bridge_state_every = config.every(config.bridge_state_rate_hz)
        self._wire()
        if self._world is not None:
            from sernf_hw_bridge.sim_publisher import SimPublisher

            self._sim = SimPublisher(self, self._world, config, self._loop)
            self._destroy.append(self._sim.destroy)

    def _path(self, path: Path) -> Path:
        return Path(str(self.get_parameter("config_file").value)).parent / path

    def _create_backends(self) -> dict[str, Backend]:
        config = self.config
        options = BackendOptions(
            home_position_rad=config.control.home_position_rad,
            mock=config.mock,
            world=self._shared_world,
            franka_file=None if config.franka_file is None else self._path(config.franka_file),
            orca_file=None if config.orca_file is None else self._path(config.orca_file),
        )
        return {"arm": create_backend(config.arm, "arm", options), "hand": create_backend(config.hand, "hand", options)}

    def _shared_world(self) -> SharedWorld:
        if self._world is None:
            from sernf_hw_bridge.backends.sim import SharedWorld

            config = self.config
            self._world = SharedWorld(config.task, config.physics, config.seed, config.control.period_s)
        return self._world

    def _wire(self) -> None:
        self._joint_states = self.create_publisher(JointState, "joint_states", STATES)
        self._bridge_state = self.create_publisher(BridgeState, "bridge_state", STATES)
        self._joint_state_message = JointStateMessage(self._loop.joint_names)
        self._bridge_state_message = BridgeStateMessage(self._loop.joint_names)
        commands = self.create_subscription(JointCommand, "joint_command", self._on_command, COMMANDS)
        services = [
            self.create_service(Trigger, "hw_bridge/stop", self._on_stop),
            self.create_service(Trigger, "hw_bridge/home", self._on_home),
            self.create_service(Trigger, "hw_bridge/clear_fault", self._on_clear_fault),
            self.create_service(SetSource, "hw_bridge/set_source", self._on_set_source),
        ]
        diagnostics = Diagnostics(self, self._report, hardware_id=f"{self.config.arm}+{self.config.hand}")
        self.add_on_set_parameters_callback(self._on_parameters)
        self._destroy.append(partial(self.remove_on_set_parameters_callback, self._on_parameters))
        self._destroy.append(diagnostics.destroy)
        self._destroy.extend(partial(self.destroy_service, service) for service in services)
        self._destroy.append(partial(self.destroy_subscription, commands))
        self._destroy.extend(partial(self.destroy_publisher, publisher) for publisher in (self._joint_states, self._bridge_state))

    def start(self) -> None:
        """Begin to tick."""
        if self.config.priority > 0:
            self._realtime = ask_for_realtime(self.config.priority)
        self.get_logger().info(
            f"arm {self.config.arm}, hand {self.config.hand}, {self.config.control.rate_hz:g} Hz, {self._realtime.scheduling}, "
            f"memory {'locked' if self._realtime.memory_locked else 'not locked'}; call hw_bridge/clear_fault to arm"
        )
        freeze_garbage()
        self._previous_start_ns = 0
        self._timer = self.create_timer(self.config.control.period_s, self._on_timer, clock=self._clock)

    def stop(self) -> None:
        """Stop ticking; the parts hold by themselves."""
        self.destroy_timer(self._timer)
        thaw_garbage()
        if self._timings is not None:
            self._timings.save(Path(self.config.timing_file))

    def teardown(self) -> None:
        """Disconnect the parts and leave the graph, in that order."""
        while self._destroy:
            self._destroy.pop(0)()
        self._world = self._sim = None
        self._backends = {}
        if hasattr(self, "_loop"):
            del self._loop

    def _on_timer(self) -> None:
        start_ns = time.monotonic_ns()
        stamp_ns = time.time_ns()
        if self._previous_start_ns and start_ns - self._previous_start_ns > 2 * self._period_ns:
            self._late_ticks += 1
        self._previous_start_ns = start_ns
        now_s = start_ns * 1e-9
        loop = self._loop
        try:
            loop.tick(now_s)
        except Exception as error:
            LOG.exception("the control loop failed; the robot holds")
            loop.fail(Fault("internal_error", f"the control loop failed: {error!r}; restart the bridge and report this"))
        executed_ns = time.time_ns()
        self._publish(stamp_ns, now_s)
        if self._timings is not None:
            self._note_timings(self._timings, start_ns, stamp_ns, executed_ns)

    def _publish(self, stamp_ns: int, now_s: float) -> None:
        loop = self._loop
        for command in loop.executed or ((loop.last_command,) if loop.tick_count % self._bridge_state_every == 0 else ()):
            message = self._bridge_state_message.fill(loop, command, stamp_ns=stamp_ns, now_s=now_s, late_ticks=self._late_ticks)
            self._bridge_state.publish(message)
        if loop.measurement_is_good and loop.tick_count % self._joint_states_every == 0:
            measured_ns = stamp_ns - round((now_s - loop.measured_stamp_s) * 1e9)
            self._joint_states.publish(self._joint_state_message.fill(loop, measured_ns))
        if self._sim is not None:
            self._sim.publish(loop.tick_count, stamp_ns)
        if (loop.mode, loop.fault, loop.reason) != self._logged:
            self._log_mode()

    def _note_timings(self, timings: Timings, start_ns: int, stamp_ns: int, executed_ns: int) -> None:
        timings.tick(start_ns, self._loop.filter_s, (time.monotonic_ns() - start_ns) * 1e-9)
        for command, arrived_s in zip(self._loop.executed, self._loop.executed_arrivals_s, strict=True):
            arrived_ns = stamp_ns - (start_ns - round(arrived_s * 1e9))
            timings.command(command.stamp_ns, arrived_ns, executed_ns)

    def _log_mode(self) -> None:
        loop = self._loop
        self._logged = (loop.mode, loop.fault, loop.reason)
        text = f"{loop.mode.name} {loop.fault} {loop.reason}".strip()
        if loop.mode is Mode.FAULT:
            self.get_logger().error(text)
        elif loop.reason and loop.mode is not Mode.UNARMED:
            self.get_logger().warning(text)
        else:
            self.get_logger().info(text)

    def _on_command(self, message: JointCommand) -> None:
        rejection = self._loop.offer(
            source=message.source,
            stamp_ns=to_ns(message.header.stamp),
            joint_names=message.joint_names,
            position_rad=message.position_rad,
            release=message.release,
            now_s=time.monotonic(),
            now_ns=time.time_ns(),
            chunk_id=message.chunk_id,
            step_in_chunk=message.step_in_chunk,
            weights_sha256=message.weights_sha256,
        )
        if rejection is not None:
            self.get_logger().warning(
                f"command refused, {rejection.name}: {rejection.reason}", throttle_duration_sec=2.0, skip_first=False
            )

    def _on_stop(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._loop.stop("stopped by hw_bridge/stop")
        response.success, response.message = True, "braking; latched until hw_bridge/clear_fault"
        return response

    def _on_home(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._answer(response, lambda: self._loop.home(time.monotonic()), "on the way home")

    def _on_clear_fault(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        answer = self._answer(response, lambda: self._loop.clear_fault(time.monotonic()), "armed, holding the measured pose")
        self._previous_start_ns = 0  # a part's recovery may take seconds: that is not a late tick
        return answer

    def _on_set_source(self, request: SetSource.Request, response: SetSource.Response) -> SetSource.Response:
        return self._answer(response, lambda: self._loop.select(request.source), f"selected source: {request.source}")

    def _answer(self, response, act: Callable[[], None], done: str):  # type: ignore[no-untyped-def]
        try:
            act()
        except (ControlError, ValueError) as error:
            response.success, response.message = False, str(error)
        else:
            response.success, response.message = True, done
        return response

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name in FAULT_PARAMETERS:
                try:
                    self._inject(FAULT_PARAMETERS[parameter.name], str(parameter.value))
                except ValueError as error:
                    return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _inject(self, part: PartName, name: str) -> None:
        fault = parse_fault(name)
        backend = self._backends[part]
        if isinstance(backend, MockBackend):
            backend.fault = fault
        elif fault.value != "none":
            raise ValueError(f"{part}_fault: faults can be injected into the mock only, the {part} is {type(backend).__name__}")

    def _report(self) -> tuple[DiagnosticLevel, str, dict[str, object]]:
        gc.collect()  # automatic collection is off
        loop = self._loop
        values: dict[str, object] = {
            "mode": loop.mode.name,
            "fault": loop.fault,
            "selected_source": loop.selected_source,
            "active_source": loop.active_source,
            "arm": self.config.arm,
            "hand": self.config.hand,
            "ticks": loop.tick_count,
            "late_ticks": self._late_ticks,
            "commands_accepted": loop.commands_accepted,
            "scheduling": self._realtime.scheduling,
            "memory_locked": self._realtime.memory_locked,
            "real_time_hint": self._realtime.hint,
            **{f"rejected_{name}": count for name, count in loop.rejections.items()},
        }
        if loop.mode is Mode.FAULT:
            return DiagnosticLevel.ERROR, loop.reason, values
        if loop.reason:
            return DiagnosticLevel.WARN, loop.reason, values
        if loop.command_is_late:
            return DiagnosticLevel.WARN, "the source sends too slowly", values
        return DiagnosticLevel.OK, loop.mode.name.lower(), values


def main() -> None:
    """Entry point."""
    run_node(HwBridgeNode)


if __name__ == "__main__":
    main()
