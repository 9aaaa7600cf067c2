"""`policy`: runs the flow policy on the robot, and changes its weights while it runs.

Publishes `joint_command` (source `policy`), `action_chunk`, `policy_version` (what runs) and diagnostics; listens to
`joint_states`, `bridge_state`, the poses of the objects that the weights look at, and `learner/policy_version`; serves
`policy/set_mode`, `policy/load_weights`, `policy/rollback`. A missing input, a takeover or a fault ends commanding; the bridge
holds the robot.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.clock import Clock, ClockType
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from sernf_msgs.msg import ActionChunk, BridgeState, JointCommand, PolicyVersion
from sernf_msgs.srv import LoadWeights, SetPolicyMode
from sernf_node import DiagnosticLevel, Diagnostics, SernfNode, run_node
from sernf_node.realtime import RealtimeReport, ask_for_realtime, freeze_garbage, thaw_garbage
from sernf_node.stamps import IncreasingStamps
from sernf_node.timing_ring import TimingRing
from sernf_policy.camera_input import CameraInput
from sernf_policy.inference_worker import InferenceWorker
from sernf_policy.loaded_weights import LoadedWeights
from sernf_policy.observation_sync import ObservationSync, object_topic
from sernf_policy.policy_messages import (
    CommandMessage,
    JointReader,
    bridge_reading,
    chunk_message,
    position_and_quaternion,
    release_message,
    to_ns,
    version_message,
)
from sernf_policy.policy_node_config import PolicyNodeConfig
from sernf_policy.policy_report import PolicyReport
from sernf_policy.policy_session import Computed, Mode, PolicySession, SessionError
from sernf_policy.tick_schedule import TickSchedule
from sernf_policy.weights_loader import ChildLoader
from sernf_policy.weights_store import WeightsFile, WeightsStore
from sernf_robot.joints import JOINTS

COMMANDS = QoSProfile(depth=10)
STATES = QoSProfile(depth=50)
NEWEST = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SWITCH_INTERVAL_S = 0.0005
"""How long another thread may keep the interpreter from the control thread; Python's default is a control tick's worth."""
THROTTLE_S = 2.0
TIMING_COLUMNS = np.dtype(
    [
        ("due_ns", np.int64), ("start_ns", np.int64), ("joints_stamp_ns", np.int64), ("pictures_stamp_ns", np.int64),
        ("sent_ns", np.int64), ("commanded", np.bool_),
    ]
)  # fmt: skip
"""`due_ns`, `start_ns`: monotonic. Wall clock: `joints_stamp_ns` of the joint state acted on, `pictures_stamp_ns` of the pictures
from which the command's chunk was planned (0 without), `sent_ns` after publishing.
"""


class PolicyNode(SernfNode[PolicyNodeConfig]):
    """Thin: messages to the session and the store, and back. One thread; inference and loading have threads of their own."""

    def __init__(self) -> None:
        super().__init__("policy", PolicyNodeConfig)
        self._clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._realtime = RealtimeReport("ordinary scheduling", False)
        self._destroy: list[Callable[[], object]] = []
        self._objects: dict[str, Callable[[], object]] = {}
        self._cameras: CameraInput | None = None
        self._is_active = False

    def setup(self) -> None:
        """Build everything; nothing is loaded yet."""
        config = self.config
        limits_file = Path(str(self.get_parameter("config_file").value)).parent / config.limits_file
        self._stamps = IncreasingStamps()
        self._schedule = TickSchedule(config.period_s)
        self._sync = ObservationSync(config.staleness, config.cameras)
        self._worker: InferenceWorker[Computed] = InferenceWorker()
        self._session = PolicySession(self._worker, self._sync, config.session, np.random.default_rng(config.seed))
        self._loader = ChildLoader(config.loader, joint_names=JOINTS, limits_file=limits_file, task=config.task)
        self._store = WeightsStore(self._loader, self._fits, auto_load=config.auto_load, swap_timeout_s=config.swap_timeout_s)
        self._timings = TimingRing(TIMING_COLUMNS, config.timing_ticks) if config.timing_file else None
        self._reporter = PolicyReport(self._session, self._store, self._sync, self._schedule)
        self._mode_when_loaded = Mode(config.mode)
        self._wire()

    def _wire(self) -> None:
        self._joints, self._bridge_joints = JointReader(JOINTS), JointReader(JOINTS)
        self._command_message = CommandMessage(JOINTS)
        self._commands = self.create_publisher(JointCommand, "joint_command", COMMANDS)
        self._chunks = self.create_publisher(ActionChunk, "action_chunk", COMMANDS)
        self._versions = self.create_publisher(PolicyVersion, "policy_version", NEWEST)
        subscriptions = [
            self.create_subscription(JointState, "joint_states", self._on_joint_states, STATES),
            self.create_subscription(BridgeState, "bridge_state", self._on_bridge_state, STATES),
            self.create_subscription(PolicyVersion, "learner/policy_version", self._on_announcement, NEWEST),
        ]
        services = [
            self.create_service(SetPolicyMode, "policy/set_mode", self._on_set_mode),
            self.create_service(LoadWeights, "policy/load_weights", self._on_load_weights),
            self.create_service(Trigger, "policy/rollback", self._on_rollback),
        ]
        self._diagnostics = Diagnostics(self, self._report, hardware_id=self.config.task)
        self._destroy = [
            self._loader.close,
            self._worker.close,
            self._diagnostics.destroy,
            *(partial(self.destroy_service, service) for service in services),
            *(partial(self.destroy_subscription, subscription) for subscription in subscriptions),
            *(partial(self.destroy_publisher, publisher) for publisher in (self._commands, self._chunks, self._versions)),
        ]

    def start(self) -> None:
        """Begin to tick, and to load the weights."""
        config = self.config
        self._worker.open()
        self._loader.open()
        if config.priority > 0:
            self._realtime = ask_for_realtime(config.priority)
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        freeze_garbage()
        self._is_active = True
        if self._store.running is None:
            self._store.load(WeightsFile(config.weights), self._on_first_weights)
        self._timer = self.create_timer(config.period_s, self._on_timer, clock=self._clock)
        self._schedule.start(time.monotonic())
        self.get_logger().info(f"task {config.task}, {config.rate_hz:g} Hz, {self._realtime.scheduling}")

    def stop(self) -> None:
        """Give the robot up and stop ticking; the bridge holds."""
        self._is_active = False
        self.destroy_timer(self._timer)
        self._set_mode(Mode.HOLD)
        self._store.close("the policy has been stopped")
        self._session.candidate = None
        self._loader.close()
        self._worker.close()
        thaw_garbage()
        if self._timings is not None:
            self._timings.save(Path(self.config.timing_file))

    def teardown(self) -> None:
        """Leave the graph."""
        for destroy in (*self._destroy, *self._objects.values()):
            destroy()
        self._destroy, self._objects = [], {}
        self._close_cameras()

    def _on_joint_states(self, message: JointState) -> None:
        try:
            position_rad = self._joints.vector(message.name, message.position)
        except ValueError as error:
            self.get_logger().error(f"joint_states ignored: {error}", throttle_duration_sec=THROTTLE_S)
            return
        self._sync.set_joints(to_ns(message.header.stamp), position_rad, time.time_ns())
        if self._is_active:
            self._tick(self._schedule.on_arrival(time.monotonic()))

    def _on_bridge_state(self, message: BridgeState) -> None:
        try:
            reading = bridge_reading(message, self._bridge_joints)
        except ValueError as error:
            self.get_logger().error(f"bridge_state ignored: {error}", throttle_duration_sec=THROTTLE_S)
            return
        self._sync.set_bridge(reading, time.time_ns())

    def _on_object(self, name: str, message: PoseStamped) -> None:
        self._sync.set_object(name, to_ns(message.header.stamp), *position_and_quaternion(message), time.time_ns())

    def _on_timer(self) -> None:
        self._tick(self._schedule.on_timer(time.monotonic()))

    def _tick(self, tick: int | None) -> None:
        """One control tick: the command first, then everything that it does not need."""
        if tick is None:
            return
        start_ns = time.monotonic_ns()
        now_s = start_ns * 1e-9
        decision = self._session.decide(tick, now_s, time.time_ns())
        if decision.command is not None:
            self._commands.publish(self._command_message.fill(decision.command, self._stamps.next(time.time_ns())))
        sent_ns = time.time_ns()
        self._session.prepare(tick, now_s)
        if decision.release:
            self._commands.publish(release_message(self._stamps.next(time.time_ns())))
        if decision.chunk is not None:
            self._chunks.publish(chunk_message(decision.chunk, JOINTS))
        if decision.adopted is not None:
            self._on_adopted(decision.adopted)
        self._store.poll(now_s)
        if self._store.candidate is not self._session.candidate:
            self._offer(self._store.candidate)
        self._reporter.note(tick, decision)
        self._tell_trouble()
        if self._timings is not None:
            due_ns = round(self._schedule.due_s(tick) * 1e9)
            command = decision.command
            pictures_ns = 0 if command is None else command.pictures_stamp_ns
            self._timings.note(due_ns, start_ns, self._sync.joints_stamp_ns, pictures_ns, sent_ns, command is not None)

    def _fits(self, weights: LoadedWeights) -> str:
        layout, config = weights.layout, self.config
        if layout.task != config.task:
            return f"{weights.version}: expected weights for task {config.task}, got some for {layout.task}"
        if abs(layout.step_period_s - config.period_s) > 1e-6:
            theirs_hz = 1.0 / layout.step_period_s
            return (
                f"{weights.version}: expected weights that act at {config.rate_hz:g} Hz as this node does, got some for "
                f"{theirs_hz:g} Hz; start it with rate_hz (bringup: control_rate_hz) {theirs_hz:g}"
            )
        return ""

    def _offer(self, weights: LoadedWeights | None) -> None:
        """Let the session change to `weights`, and hear of the objects and cameras that they look at."""
        self._session.candidate = weights
        for name in () if weights is None else weights.layout.objects:
            if name not in self._objects:
                subscription = self.create_subscription(PoseStamped, object_topic(name), partial(self._on_object, name), COMMANDS)
                self._objects[name] = partial(self.destroy_subscription, subscription)
        cameras = () if weights is None else tuple(view.name for view in weights.layout.cameras)
        if cameras and (self._cameras is None or self._cameras.names != cameras):
            self._close_cameras()
            watch, slop_s = self._sync.cameras, self.config.cameras.slop_s
            self._cameras = CameraInput(self, cameras, watch, slop_s, self._complain)

    def _complain(self, text: str) -> None:
        self.get_logger().error(text, throttle_duration_sec=THROTTLE_S)

    def _close_cameras(self) -> None:
        if self._cameras is not None:
            self._cameras.destroy()
            self._cameras = None

    def _on_adopted(self, weights: LoadedWeights) -> None:
        self._store.adopted(weights)
        self._versions.publish(version_message(weights, time.time_ns()))
        self.get_logger().info(f"{weights.version} runs, {weights.description.file}")
        mode, self._mode_when_loaded = self._mode_when_loaded, Mode.HOLD
        if mode is not Mode.HOLD:
            self._set_mode(mode)

    def _on_first_weights(self, success: bool, message: str) -> None:
        if not success:
            self.get_logger().error(f"no weights run, mode hold: {message}")

    def _on_announcement(self, message: PolicyVersion) -> None:
        self.get_logger().info(f"the learner has {message.version}, {message.file}")
        self._store.announce(WeightsFile(message.file, message.sha256))

    def _set_mode(self, mode: Mode) -> None:
        """Raises SessionError."""
        if self._session.set_mode(mode):
            self._commands.publish(release_message(self._stamps.next(time.time_ns())))
        self.get_logger().info(f"mode {mode.value}")

    def _on_set_mode(self, request: SetPolicyMode.Request, response: SetPolicyMode.Response) -> SetPolicyMode.Response:
        try:
            self._check_active()
            if request.mode not in [mode.value for mode in Mode]:
                raise SessionError(f"expected mode hold, policy, explore or shadow, got '{request.mode}'")
            self._set_mode(Mode(request.mode))
        except SessionError as error:
            on_the_way = f"; {self._store.loading} is on its way" if self._store.loading else ""
            response.success, response.message = False, f"{error}{on_the_way}"
            return response
        self._mode_when_loaded = Mode.HOLD
        response.success, response.message = True, f"mode {request.mode}"
        return response

    async def _on_load_weights(self, request: LoadWeights.Request, response: LoadWeights.Response) -> LoadWeights.Response:
        """Answers when the weights run, or why they do not; ticks go on meanwhile."""
        wanted = WeightsFile(request.file, request.sha256)
        response.success, response.message = await self._when_told(partial(self._store.load, wanted))
        response.version = "" if self._store.running is None else self._store.running.version
        return response

    async def _on_rollback(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = await self._when_told(partial(self._store.roll_back, time.monotonic()))
        return response

    def _when_told(self, ask: Callable[[Callable[[bool, str], None]], None]) -> Future[tuple[bool, str]]:
        """Completes in the control thread, as the executor wants it."""
        told: Future[tuple[bool, str]] = Future()
        try:
            self._check_active()
        except SessionError as error:
            told.set_result((False, str(error)))
        else:
            ask(lambda success, message: told.set_result((success, message)))
        return told

    def _check_active(self) -> None:
        if not self._is_active:
            raise SessionError("the policy is not active; activate it: ros2 lifecycle set /policy activate")

    def _tell_trouble(self) -> None:
        for text in self._reporter.news(time.monotonic()):
            self.get_logger().warning(text)

    def _report(self) -> tuple[DiagnosticLevel, str, dict[str, object]]:
        gc.collect()  # automatic collection is off
        level, message, values = self._reporter.report(time.time_ns())
        values |= {"scheduling": self._realtime.scheduling, "memory_locked": self._realtime.memory_locked}
        return DiagnosticLevel(level), message, values


def main(args: list[str] | None = None) -> None:
    """Entry point; `args` as on a command line."""
    run_node(PolicyNode, args=args)


if __name__ == "__main__":
    main()
