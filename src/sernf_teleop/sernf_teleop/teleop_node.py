"""`teleop`: one operator device, polled at control rate, as a source of joint commands.

Publishes `joint_command` (source `teleop`, or `demonstrator` for the scripted one) and diagnostics; listens to `joint_states`,
`bridge_state`, `task_state` and its device's topics; with device demonstrator serves `teleop/demonstrate` and `teleop/cancel`.
A device in fault, like a teleop that dies, sends nothing: the bridge holds the robot and gives it to nobody else.
"""

from __future__ import annotations

import importlib
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.qos import QoSProfile
from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from sernf_msgs.msg import BridgeState, JointCommand, TaskState
from sernf_node import DiagnosticLevel, Diagnostics, SernfNode, run_node
from sernf_node.stamps import IncreasingStamps
from sernf_robot.joints import JOINTS
from sernf_robot.kinematics import Kinematics
from sernf_robot.limits import load_limits
from sernf_teleop.button_calls import ButtonCalls
from sernf_teleop.config import TeleopConfig
from sernf_teleop.devices import DEVICES
from sernf_teleop.devices.demonstrator import Progress, ScriptedOperator
from sernf_teleop.jog import Jogger, joint_vector
from sernf_teleop.operator_device import Button, Input
from sernf_teleop.session import BridgeView, Outgoing, SessionConfig, TeleopSession
from sernf_teleop.synergies import HandSynergies

COMMANDS = QoSProfile(depth=10)
STATES = QoSProfile(depth=50)
SHOW_PERIOD_S = 0.1
MODES = {
    value: name.removeprefix("MODE_").lower()
    for name, value in (
        (name, getattr(BridgeState, name))
        for name in ("MODE_UNARMED", "MODE_HOLD", "MODE_TRACK", "MODE_HOME", "MODE_FAULT", "MODE_STOPPED")
    )
}


class TeleopNode(SernfNode[TeleopConfig]):
    """Thin: messages to the session and back."""

    def __init__(self) -> None:
        super().__init__("teleop", TeleopConfig)
        self._destroy: list[Callable[[], object]] = []
        self._scripted: ScriptedOperator | None = None
        self._started: Future[None] | None = None
        self._told = ("", "", "")

    def setup(self) -> None:
        """Build device and session."""
        config = self.config
        limits_path = Path(str(self.get_parameter("config_file").value)).parent / config.limits_file
        limits = load_limits(limits_path, JOINTS)
        limits_rad = (limits.position_min_rad, limits.position_max_rad)
        kinematics = Kinematics()
        device = DEVICES[config.device](config, kinematics)
        self._scripted = device if isinstance(device, ScriptedOperator) else None
        self._device = device
        self._session = TeleopSession(
            device,
            kinematics,
            Jogger(kinematics, *limits_rad, config.jog),
            HandSynergies(config.hand_poses, config.synergies, *limits_rad),
            limits_rad,
            SessionConfig(source=config.source, period_s=config.period_s, bridge_stale_s=config.bridge_stale_s),
            config.jog.max_lead_rad,
        )
        self._scene_seed = 0
        self._stamps = IncreasingStamps()
        self._shown_s = 0.0
        self._wire(device.inputs)

    def _wire(self, inputs: tuple[Input, ...]) -> None:
        self._commands = self.create_publisher(JointCommand, "joint_command", COMMANDS)
        subscriptions = [
            self.create_subscription(JointState, "joint_states", self._on_joint_states, STATES),
            self.create_subscription(BridgeState, "bridge_state", self._on_bridge_state, STATES),
            self.create_subscription(TaskState, "task_state", self._on_task_state, COMMANDS),
            *(self._subscribe(item) for item in inputs),
        ]
        services = []
        if self._scripted is not None:
            services = [
                self.create_service(Trigger, "teleop/demonstrate", self._on_demonstrate),
                self.create_service(Trigger, "teleop/cancel", self._on_cancel),
            ]
        self._calls = ButtonCalls(self, self.config, lambda: self._scene_seed, lambda: random.getrandbits(31) + 1)
        self._diagnostics = Diagnostics(self, self._report, hardware_id=self.config.device)
        self._destroy = [
            self._diagnostics.destroy,
            self._calls.destroy,
            *(lambda service=service: self.destroy_service(service) for service in services),
            *(lambda subscription=subscription: self.destroy_subscription(subscription) for subscription in subscriptions),
            lambda: self.destroy_publisher(self._commands),
        ]

    def _subscribe(self, item: Input) -> Any:
        package, _, name = item.type.split("/")
        message_type = getattr(importlib.import_module(f"{package}.msg"), name)

        def receive(message: Any) -> None:
            item.callback(message, time.monotonic())

        return self.create_subscription(message_type, item.topic, receive, COMMANDS)

    def start(self) -> None:
        """Take hold of the device and begin to poll it."""
        self._session.open()
        self._timer = self.create_timer(self.config.period_s, self._on_timer)
        self.get_logger().info(f"device {self.config.device} as source {self.config.source}, {self.config.rate_hz:g} Hz")

    def stop(self) -> None:
        """Let go of the device; the robot holds."""
        self.destroy_timer(self._timer)
        last = self._session.close()
        if last is not None:
            self._publish(last)

    def teardown(self) -> None:
        """Leave the graph."""
        while self._destroy:
            self._destroy.pop(0)()

    def _joints(self, names: Sequence[str], position_rad: Sequence[float]) -> NDArray[np.float64] | None:
        """Vector in the order of JOINTS; None, and a line in the log, for a message that does not speak of all joints."""
        try:
            return joint_vector(names, position_rad, JOINTS)
        except ValueError as error:
            self.get_logger().error(f"message ignored: {error}", throttle_duration_sec=5.0)
            return None

    def _on_joint_states(self, message: JointState) -> None:
        position_rad = self._joints(message.name, message.position)
        if position_rad is not None:
            self._session.set_measured(position_rad, time.monotonic())

    def _on_bridge_state(self, message: BridgeState) -> None:
        executed_rad = self._joints(message.joint_names, message.executed_position_rad)
        if executed_rad is None:
            return
        self._session.set_bridge(
            BridgeView(
                arrived_s=time.monotonic(),
                mode=MODES.get(message.mode, f"mode {message.mode}"),
                fault=message.fault,
                reason=message.reason,
                selected_source=message.selected_source,
                active_source=message.active_source,
                executed_position_rad=executed_rad,
            )
        )

    def _on_task_state(self, message: TaskState) -> None:
        self._scene_seed = message.seed

    def _on_timer(self) -> None:
        now_s = time.monotonic()
        tick = self._session.tick(now_s)
        if tick.command is not None:
            self._publish(tick.command)
        for button in tick.buttons:
            self._calls.press(button)
        self._calls.check()
        self._tell_changes()
        if now_s - self._shown_s >= SHOW_PERIOD_S:
            self._shown_s = now_s
            self._device.show(self._session.status(self._calls.results))
        if Button.QUIT in tick.buttons:
            os.kill(os.getpid(), signal.SIGINT)

    def _publish(self, command: Outgoing) -> None:
        message = JointCommand(source=self.config.source, joint_names=JOINTS, release=command.release)
        message.position_rad = np.nan_to_num(command.position_rad).tolist() if command.release else command.position_rad.tolist()
        # After a clock that was set back the bridge wants a re-arm.
        stamp_ns = self._stamps.next(time.time_ns())
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
        self._commands.publish(message)

    async def _on_demonstrate(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Answers when the demonstration has started, or why it has not."""
        assert self._scripted is not None
        refused = self._scripted.request()
        if refused:
            response.success, response.message = False, refused
            return response
        self._started = Future()
        await self._started
        response.success = self._scripted.progress is Progress.RUNNING
        response.message = "started" if response.success else self._scripted.outcome
        return response

    def _on_cancel(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        assert self._scripted is not None
        running = self._scripted.cancel()
        response.success, response.message = True, "cancelled" if running else "no demonstration was running"
        return response

    def _tell_changes(self) -> None:
        """Log and publish at once what others wait for: takeover, fault, progress of a demonstration."""
        progress = ""
        if self._scripted is not None:
            progress = self._scripted.progress.value
            if self._started is not None and self._scripted.progress is not Progress.WAITING:
                self._started.set_result(None)
                self._started = None
        told = (self._session.phase.value, self._session.device_fault, progress)
        if told == self._told:
            return
        if told[1] and told[1] != self._told[1]:
            self.get_logger().warning(told[1])
        elif told[0] != self._told[0]:
            self.get_logger().info(f"takeover: {told[0]}")
        if progress == Progress.IDLE.value != self._told[2] and self._scripted is not None and self._scripted.outcome:
            self.get_logger().info(f"demonstration: {self._scripted.outcome}")
        self._told = told
        self._diagnostics.publish()

    def _report(self) -> tuple[DiagnosticLevel, str, dict[str, object]]:
        session = self._session
        values: dict[str, object] = {
            "device": self.config.device,
            "source": self.config.source,
            "takeover": session.phase.value,
            "engagements": session.engagements,
            "obstacle": session.obstacle,
            "device_fault": session.device_fault,
            "motion": session.motion,
        }
        if self._scripted is not None:
            values["demonstration"] = self._scripted.progress.value
            values["demonstration_phase"] = self._scripted.phase
            values["demonstration_outcome"] = self._scripted.outcome
            values["demonstrations"] = self._scripted.count
        if session.device_fault:
            return DiagnosticLevel.ERROR, session.device_fault, values
        return DiagnosticLevel.OK, session.phase.value, values


def main(args: list[str] | None = None) -> None:
    """Entry point; `args` as on a command line."""
    run_node(TeleopNode, args=args)


def run_in_terminal(device: str, config_file: Path, args: Sequence[str] = ()) -> None:
    """Run in the foreground until the operator quits, under a name of its own: the graph's teleop may be the demonstrator.

    `args`: further ROS arguments, for instance `-p rate_hz:=30.0`.
    """
    parameters = ["-p", f"device:={device}", "-p", f"config_file:={config_file.resolve()}"]
    main(["--ros-args", "-r", "__node:=teleop_operator", *parameters, *args])


if __name__ == "__main__":
    main()
