"""The whole stack: ``ros2 launch sernf bringup.launch.py``; ``--show-args`` explains every argument.

Everything is checked before anything starts: values, combinations, configuration files, executables. When a node ends:
- hw_bridge: nothing may move without it, so everything else is shut down and the launch exits with a non-zero status.
- episode_recorder, sim_camera, learner: started again. They move nothing; the recorder repairs its unfinished bags at start.
- teleop, policy, episode_runner: not started again. The bridge holds the robot, and what commands it comes back only when
  somebody asks for it.
"""

# Annotations are not postponed here: a launch file is no registered module, and dataclasses would not find the names.
import difflib
import math
import os
from dataclasses import dataclass
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

BACKENDS = {"sim": ("sim", "sim"), "real": ("franka", "orca"), "mock": ("mock", "mock")}
SWITCH = ["true", "false"]
AUTO_SWITCH = ["auto", *SWITCH]
RESPAWN_DELAY_S = 2.0
BEHIND_CONTROL = "nice -n 5"
"""Before the commands of recorder and camera: where processors are scarce, their start must not keep commands waiting.
Not before the learner's: its training has a niceness of its own, which would add to this one."""

Value = bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class Argument:
    """A launch argument."""

    default: str | PathJoinSubstitution
    description: str
    choices: list[str] | None = None


ARGUMENTS = {
    "robot": Argument(
        default="sim",
        choices=list(BACKENDS),
        description="Robot behind the bridge: sim (MuJoCo in real time), real (FR3 and ORCA hand), mock (moves exactly as told).",
    ),
    "arm": Argument(
        default="auto", choices=["auto", "sim", "mock", "franka"], description="Backend of the arm; auto: the one of the robot."
    ),
    "hand": Argument(
        default="auto", choices=["auto", "sim", "mock", "orca"], description="Backend of the hand; auto: the one of the robot."
    ),
    "task": Argument(
        default="duck",
        choices=["duck", "cube", "scissors"],
        description="Task: the scene in simulation, and what episodes are filed under.",
    ),
    "physics": Argument(
        default="nominal",
        choices=["nominal", "twin"],
        description="Physics of the simulation: nominal, or twin, which differs on purpose and stands in for the real robot.",
    ),
    "seed": Argument(default="1", description="Seed of the first simulated scene; integer, 0 or more."),
    "operator": Argument(
        default="auto",
        choices=["auto", "demonstrator", "keyboard", "gamepad", "pose_topic", "none"],
        description="Device of teleop: demonstrator (simulation only), keyboard (in a second terminal: ./sernf teleop), "
        "gamepad (topic joy), pose_topic (glove or VR retargeting), none. auto: demonstrator in simulation, if the task has one, "
        "otherwise none.",
    ),
    "demonstrate": Argument(
        default="auto",
        choices=AUTO_SWITCH,
        description="Loop demonstrations of the task. auto: where the operator is the demonstrator and no policy acts.",
    ),
    "rollouts": Argument(
        default="auto",
        choices=AUTO_SWITCH,
        description="Loop episodes in which the policy acts. auto: where a policy with weights runs on the simulated robot and "
        "nothing is demonstrated.",
    ),
    "policy": Argument(default="auto", choices=AUTO_SWITCH, description="Run the policy. auto: where its node is installed."),
    "weights": Argument(
        default="",
        description="What the policy runs first: a file, or a shipped name; empty: the last shipped stage of the task.",
    ),
    "learner": Argument(
        default="auto", choices=AUTO_SWITCH, description="Run the learner. auto: where sernf_learner is installed."
    ),
    "teleop": Argument(
        default="auto",
        choices=AUTO_SWITCH,
        description="Run teleop. auto: unless the operator is none, or keyboard, which needs a terminal of its own.",
    ),
    "recorder": Argument(default="true", choices=SWITCH, description="Run the episode recorder."),
    "cameras": Argument(
        default="auto",
        choices=AUTO_SWITCH,
        description="Render the simulation's cameras, in a process apart. auto: where the policy of the task sees through them.",
    ),
    "headless": Argument(default="true", choices=SWITCH, description="false: show the simulation in a window."),
    "episodes": Argument(default="runs/episodes", description="Directory of recorded episodes; created when missing."),
    "config": Argument(
        default=PathJoinSubstitution([FindPackageShare("sernf"), "config"]), description="Directory of the configuration files."
    ),
    "control_rate_hz": Argument(default="20.0", description="Rate of joint commands from teleop and policy, 10 to 100 Hz."),
    "bridge_rate_hz": Argument(default="", description="Rate of the bridge's control loop, Hz; empty: as in hw_bridge.yaml."),
    "timing_file": Argument(default="", description="File for the bridge's timing of every tick; empty: none."),
    "policy_timing_file": Argument(default="", description="File for the policy's timing of every tick; empty: none."),
}


DEMONSTRATED = ("duck", "scissors")
"""Tasks with a scripted demonstrator."""
SEEN = ("scissors",)
"""Tasks whose policies see through cameras."""


class ArgumentError(RuntimeError):
    """An argument, or a combination of them, that cannot work."""


@dataclass(frozen=True, kw_only=True)
class Bringup:
    """The arguments, checked. `episodes`, `config`: absolute. `bridge_rate_hz`: None for the configuration file's."""

    arm: str
    hand: str
    task: str
    physics: str
    seed: int
    operator: str
    demonstrate: bool
    rollouts: bool
    policy: bool
    weights: str
    learner: bool
    teleop: bool
    recorder: bool
    cameras: bool
    viewer: bool
    episodes: Path
    config: Path
    control_rate_hz: float
    bridge_rate_hz: float | None
    timing_file: str
    policy_timing_file: str

    @property
    def simulated(self) -> bool:
        """Whether there is a simulated world (arm or hand in it)."""
        return "sim" in (self.arm, self.hand)


def read_arguments(values: dict[str, str]) -> Bringup:
    """Check the values and settle every auto. Raises ArgumentError."""
    arm, hand = BACKENDS[values["robot"]]
    arm = arm if values["arm"] == "auto" else values["arm"]
    hand = hand if values["hand"] == "auto" else values["hand"]
    all_simulated = arm == hand == "sim"
    operator = values["operator"]
    if operator == "auto":
        operator = "demonstrator" if all_simulated and values["task"] in DEMONSTRATED else "none"
    policy = _settle(values["policy"], is_installed("sernf_policy", "policy_node"))
    weights = _absolute_file(values["weights"])
    # Without weights the policy waits for those that the learner will announce, and the robot demonstrates meanwhile.
    policy_acts = policy and (weights != "" or has_shipped_weights(values["task"]))
    nothing_else = not policy_acts and values["rollouts"] != "true"
    demonstrate = _settle(values["demonstrate"], operator == "demonstrator" and values["teleop"] != "false" and nothing_else)
    bringup = Bringup(
        arm=arm,
        hand=hand,
        task=values["task"],
        physics=values["physics"],
        seed=_integer("seed", values["seed"], lowest=0),
        operator=operator,
        demonstrate=demonstrate,
        rollouts=_settle(values["rollouts"], policy_acts and all_simulated and not demonstrate),
        policy=policy,
        weights=weights,
        learner=_settle(values["learner"], is_installed("sernf_learner", "learner_node")),
        teleop=_settle(values["teleop"], operator not in ("none", "keyboard")),
        recorder=values["recorder"] == "true",
        cameras=_settle(values["cameras"], "sim" in (arm, hand) and values["task"] in SEEN),
        viewer=values["headless"] == "false",
        episodes=Path(values["episodes"]).expanduser().absolute(),
        config=Path(values["config"]).expanduser().absolute(),
        control_rate_hz=_number("control_rate_hz", values["control_rate_hz"], lowest=10.0, highest=100.0),
        bridge_rate_hz=_number("bridge_rate_hz", values["bridge_rate_hz"], lowest=50.0, highest=1000.0)
        if values["bridge_rate_hz"]
        else None,
        timing_file=values["timing_file"],
        policy_timing_file=values["policy_timing_file"],
    )
    _check_combination(bringup, all_simulated=all_simulated)
    return bringup


def _check_combination(bringup: Bringup, *, all_simulated: bool) -> None:
    if bringup.operator == "demonstrator" and bringup.task not in DEMONSTRATED:
        raise ArgumentError(
            f"operator: there is a demonstrator for {', '.join(DEMONSTRATED)}, none for {bringup.task}; use another operator"
        )
    if bringup.operator == "demonstrator" and not all_simulated:
        raise ArgumentError(
            f"operator: the demonstrator needs arm and hand simulated, got arm {bringup.arm} and hand {bringup.hand}; "
            "use robot:=sim or another operator"
        )
    if bringup.operator == "keyboard" and bringup.teleop:
        raise ArgumentError(
            "operator: the keyboard needs a terminal of its own; leave teleop:=auto and run ./sernf teleop in a second terminal"
        )
    if bringup.demonstrate and not (bringup.operator == "demonstrator" and bringup.teleop):
        raise ArgumentError(
            f"demonstrate: expected operator demonstrator and teleop, got {bringup.operator} and teleop {bringup.teleop}; "
            "use demonstrate:=false"
        )
    if bringup.rollouts and bringup.demonstrate:
        raise ArgumentError("demonstrate, rollouts: expected at most one of them, got both; the robot does one thing at a time")
    if bringup.rollouts and not (bringup.policy and all_simulated):
        raise ArgumentError(
            f"rollouts: expected a policy on a simulated robot, got policy {bringup.policy}, arm {bringup.arm} and hand "
            f"{bringup.hand}; on a real robot a person sets the scene and judges: ./sernf rollouts in a second terminal"
        )
    for name in ("cameras", "viewer"):
        if getattr(bringup, name) and not bringup.simulated:
            raise ArgumentError(
                f"{'headless:=false' if name == 'viewer' else 'cameras:=true'}: there is no simulation to see; "
                "real cameras are published by their own drivers on camera/<name>/image_raw"
            )


def is_installed(package: str, executable: str) -> bool:
    """Whether an executable of a package is there."""
    try:
        return (Path(get_package_prefix(package)) / "lib" / package / executable).is_file()
    except PackageNotFoundError:
        return False


def has_shipped_weights(task: str) -> bool:
    """Whether weights for the task are installed with the policy."""
    try:
        folder = Path(get_package_prefix("sernf_policy")) / "share/sernf_policy/weights" / task
    except PackageNotFoundError:
        return False
    return any(folder.glob("*.safetensors"))


def _settle(value: str, automatic: bool) -> bool:
    return automatic if value == "auto" else value == "true"


def _absolute_file(text: str) -> str:
    """An existing file's absolute path; anything else as it is, for it may be a shipped name."""
    path = Path(text).expanduser()
    return str(path.absolute()) if text and path.is_file() else text


def _integer(name: str, text: str, *, lowest: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise ArgumentError(f"{name}: expected an integer, got '{text}'") from None
    if value < lowest:
        raise ArgumentError(f"{name}: expected {lowest} or more, got {value}")
    return value


def _number(name: str, text: str, *, lowest: float, highest: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not lowest <= value <= highest:
        raise ArgumentError(f"{name}: expected a number from {lowest:g} to {highest:g}, got '{text}'")
    return value


def check_names(argv: list[str]) -> list[LaunchDescriptionEntity]:
    """Arguments that nobody declared: ArgumentError for what looks like a misspelling, otherwise a message.

    Not an error in general: a launch file that includes this one has arguments of its own.
    """
    messages: list[LaunchDescriptionEntity] = []
    for word in argv:
        name = word.partition(":=")[0]
        if name in ARGUMENTS:
            continue
        close = difflib.get_close_matches(name, ARGUMENTS, n=1)
        if close:
            raise ArgumentError(f"unknown launch argument '{name}'; did you mean '{close[0]}'?")
        messages.append(LogInfo(msg=f"bringup knows no launch argument '{name}'; see --show-args"))
    return messages


def make_nodes(bringup: Bringup) -> list[Node]:
    """The nodes to run, each with its file of the configuration directory, if it has one. Raises ArgumentError."""
    if not (bringup.config / "hw_bridge.yaml").is_file():
        raise ArgumentError(f"config: expected a file hw_bridge.yaml in {bringup.config}, found none")
    task = {"task": bringup.task}
    bridge: dict[str, Value] = {"arm": bringup.arm, "hand": bringup.hand, **task}
    bridge |= {"physics": bringup.physics, "seed": bringup.seed}
    if bringup.timing_file:
        bridge["timing_file"] = str(Path(bringup.timing_file).expanduser().absolute())
    if bringup.bridge_rate_hz is not None:
        bridge["control.rate_hz"] = bringup.bridge_rate_hz
    teleop = {"device": bringup.operator, "rate_hz": bringup.control_rate_hz, **task}
    if bringup.operator == "demonstrator" and bringup.cameras:
        teleop["demonstrator.strays"] = True
    runner = {**task, "seed": bringup.seed, "record": bringup.recorder}
    runner["source"] = "policy" if bringup.rollouts else "demonstrator"
    policy: dict[str, Value] = {"rate_hz": bringup.control_rate_hz, **task}
    if bringup.weights:
        policy["weights"] = bringup.weights
    if bringup.policy_timing_file:
        policy["timing_file"] = str(Path(bringup.policy_timing_file).expanduser().absolute())
    respawn = {"respawn": True, "respawn_delay": RESPAWN_DELAY_S}
    behind = {"prefix": BEHIND_CONTROL}
    required = {"on_exit": [OpaqueFunction(function=_end_without_bridge)]}
    # On SIGINT the recorder closes an episode, training saves its state, a real arm comes to rest: they get time before SIGTERM.
    patient = {"sigterm_timeout": "20"}
    recorder: dict[str, Value] = {"directory": str(bringup.episodes)}
    wanted = [
        (True, "sernf_hw_bridge", "hw_bridge", bridge, required | patient),
        (bringup.cameras, "sernf_sim", "sim_camera", {}, respawn | behind),
        (bringup.viewer and has_display(), "sernf_sim", "sim_viewer", {}, {}),
        (bringup.teleop, "sernf_teleop", "teleop", teleop, {}),
        (bringup.recorder, "sernf_teleop", "episode_recorder", recorder, respawn | behind | patient),
        (bringup.demonstrate or bringup.rollouts, "sernf", "episode_runner", runner, {}),
        (bringup.policy, "sernf_policy", "policy", policy, {}),
        (bringup.learner, "sernf_learner", "learner", {}, respawn | patient),
    ]
    return [_node(bringup, package, name, parameters, keywords) for is_on, package, name, parameters, keywords in wanted if is_on]


def _node(bringup: Bringup, package: str, name: str, parameters: dict[str, Value], keywords: dict[str, object]) -> Node:
    config_file = bringup.config / f"{name}.yaml"
    if config_file.is_file():
        parameters = {"config_file": str(config_file), **parameters}
    if not is_installed(package, f"{name}_node"):
        raise ArgumentError(f"{name}_node of package {package} is not installed; build the workspace, or switch the node off")
    return Node(
        package=package,
        executable=f"{name}_node",
        name=name,
        output="screen",
        parameters=[parameters] if parameters else [],
        **keywords,
    )


def _end_without_bridge(context: LaunchContext) -> None:
    if not context.is_shutdown:
        # An error, and not a Shutdown action: only it makes the launch exit with a non-zero status.
        raise RuntimeError("hw_bridge has ended: nothing can move without it, shutting down")


def has_display() -> bool:
    """Whether a window can be opened."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def bring_up(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Messages and nodes for the arguments."""
    messages = check_names(list(context.argv))
    bringup = read_arguments({name: context.launch_configurations[name] for name in ARGUMENTS})
    if bringup.viewer and not has_display():
        messages.append(LogInfo(msg="no window: neither DISPLAY nor WAYLAND_DISPLAY is set; everything else runs"))
    if bringup.operator == "keyboard":
        messages.append(LogInfo(msg="keyboard: run ./sernf teleop in a second terminal"))
    return [*messages, *make_nodes(bringup)]


def generate_launch_description() -> LaunchDescription:
    """Entry point of ros2 launch."""
    arguments = [
        DeclareLaunchArgument(name, default_value=argument.default, description=argument.description, choices=argument.choices)
        for name, argument in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, SetEnvironmentVariable("PYTHONUNBUFFERED", "1"), OpaqueFunction(function=bring_up)])
