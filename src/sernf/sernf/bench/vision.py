"""From a camera's picture to the command that it led to, with the small network on one thread; the encoder alone; training.

Two cameras, which play a video of the simulation, stamp their pictures at 10 Hz. The policy notes with each command from which
pictures its chunk was planned: the first command of each picture counts. It acts at `RATE_HZ` and plans anew at every tick; what
waits for the next of fewer ticks, as at the 20 Hz of the shipped tasks, comes later, by arithmetic and not for want of speed.
A picture from which no command came is lost, and so is one that is missing between two stamps.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rich.console import Console
from sensor_msgs.msg import Image

from sernf.bench.random_policies import TASK, save_random_policy
from sernf.bench.report import Metric, Report
from sernf.bench.running_policy import RunningPolicy, launch_arguments, read_ticks
from sernf.bench.updates import made_up_episode
from sernf.episode_series import PRIVATE_DOMAIN
from sernf.graph import Graph, spinning_node
from sernf_learner.learning_config import task_config
from sernf_learner.session import TrainingSession
from sernf_learner.training_job import Stage
from sernf_policy.acting import ActingConfig
from sernf_policy.camera_watch import camera_topic
from sernf_policy.checkpoint_files import both_files
from sernf_policy.chunk_player import PlayerConfig
from sernf_policy.engine import session
from sernf_policy.layout import SEEN_OBSERVATION, CameraView, PolicyLayout
from sernf_policy.vision import Eyes, VisionConfig
from sernf_policy.vision_graph import eyes_graphs
from sernf_sim.camera_noise import with_noise
from sernf_sim.cameras import WorldRenderer
from sernf_sim.physics import Physics
from sernf_sim.video_camera_node import write_video
from sernf_sim.world import SimWorld

RATE_HZ, CAMERA_HZ = 50.0, 10.0
CAMERAS = (CameraView(name="front"), CameraView(name="wrist"))
VIDEO_FRAMES = 30
WARM_UP_S, LAST_S = 3.0, 0.3
ENCODER_CALLS = 500
PEER = "resnet18"
TRAINING_SHARE = 0.3

PICTURES = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)

Times = NDArray[np.int64]


def measure(seconds: float, console: Console) -> Report:
    """Raises RuntimeError when the graph does not come up or ends early."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(PRIVATE_DOMAIN))
    torch.set_num_threads(1)
    layout = PolicyLayout(task=TASK, observation=SEEN_OBSERVATION, cameras=CAMERAS, step_period_s=1.0 / RATE_HZ)
    graph_s = seconds * (1.0 - TRAINING_SHARE)
    with tempfile.TemporaryDirectory() as name:
        ticks, stamps = _run(Path(name), layout, graph_s, console)
    images_ms = commanded_ms(ticks, stamps)
    shown = 1 + round(float(stamps[-1] - stamps[0]) * 1e-9 * CAMERA_HZ)
    console.print("measuring the encoder, then training")
    encoder_s, peer_s = (_encode(layout, VisionConfig(encoder=encoder)) for encoder in ("cnn", PEER))
    return Report(
        metrics={
            "image_to_command_ms": Metric.of(images_ms, "ms"),
            "encoder_ms": Metric.of(np.array(encoder_s) * 1e3, "ms"),
        },
        peers={PEER: {"encoder_ms": Metric.of(np.array(peer_s) * 1e3, "ms")}},
        # Half a tick until the next one sees it, and a whole one until its chunk plays.
        floor={"mean_image_to_command_ms": 1.5e3 / RATE_HZ},
        counts={
            "images": shown * len(CAMERAS), "images_lost": (shown - len(images_ms)) * len(CAMERAS),
            "control_rate_hz": RATE_HZ, "train_images_per_s": _train(seconds - graph_s),
        },
    )  # fmt: skip


def commanded_ms(ticks: NDArray[np.void], stamps: Times) -> NDArray[np.float64]:
    """Stamps (n,) of pictures to ms (m,) until the first command that came of each; without those that led to none."""
    commands = ticks[ticks["commanded"]]
    first = dict(zip(commands["pictures_stamp_ns"][::-1].tolist(), commands["sent_ns"][::-1].tolist(), strict=True))
    return np.array([(first[stamp] - stamp) / 1e6 for stamp in stamps.tolist() if stamp in first])


def _run(folder: Path, layout: PolicyLayout, seconds: float, console: Console) -> tuple[NDArray[np.void], Times]:
    """The policy's ticks, and the stamps of the pictures that were shown while it was measured."""
    weights = both_files(folder / "weights")[0]
    acting = ActingConfig(player=PlayerConfig(execute_steps=1, blend_steps=0))
    save_random_policy(weights, layout, seed=0, acting=acting)
    videos = _record(folder)
    with Graph(launch_arguments(folder, weights, RATE_HZ), folder / "bringup.log") as graph, spinning_node("bench") as node:
        shown = _Shown(node)
        with subprocess.Popen(_camera_command(videos), stdin=subprocess.DEVNULL) as cameras:
            try:
                policy = RunningPolicy(node, graph)
                policy.drive()
                console.print(f"measuring for {seconds:g} s: two cameras at {CAMERA_HZ:g} Hz, the policy at {RATE_HZ:g} Hz")
                time.sleep(WARM_UP_S)
                begin_ns, begin_s = time.time_ns(), time.monotonic()
                policy.calls.wait_until(lambda: time.monotonic() > begin_s + seconds, seconds + 10.0)
                end_ns = time.time_ns() - round(LAST_S * 1e9)
                if cameras.poll() is not None:
                    raise RuntimeError(f"the cameras ended with status {cameras.returncode} while they were needed")
            finally:
                cameras.terminate()
    stamps = np.array([stamp for stamp in shown.stamps if begin_ns <= stamp < end_ns], dtype=np.int64)
    return read_ticks(folder), stamps


class _Shown:
    """Stamps (ns) of what the first camera showed."""

    def __init__(self, node: Node) -> None:
        self.stamps: list[int] = []
        node.create_subscription(Image, camera_topic(CAMERAS[0].name), self._on_picture, PICTURES)

    def _on_picture(self, message: Image) -> None:
        self.stamps.append(message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec)


def _record(folder: Path) -> Mapping[str, Path]:
    """Camera -> a video of the robot at rest."""
    state = SimWorld(TASK, Physics(), 0).full_state()
    rng, videos = np.random.default_rng(0), {}
    for view in CAMERAS:
        width, height = view.source_px
        with WorldRenderer(TASK, width_px=width, height_px=height) as renderer:
            picture = renderer.render(state, view.name)
        frames = [with_noise(picture, rng)[..., ::-1] for _ in range(VIDEO_FRAMES)]
        videos[view.name] = folder / f"{view.name}.avi"
        write_video(videos[view.name], frames, CAMERA_HZ)
    return videos


def _camera_command(videos: Mapping[str, Path]) -> list[str]:
    parameters = {
        "cameras": f"[{', '.join(videos)}]", "videos": f"[{', '.join(map(str, videos.values()))}]", "rate_hz": CAMERA_HZ,
    }  # fmt: skip
    return [
        sys.executable, "-m", "sernf_sim.video_camera_node", "--ros-args",
        *(word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")),
    ]  # fmt: skip


def _encode(layout: PolicyLayout, config: VisionConfig) -> list[float]:
    """Time (s) of each picture, the cameras in turn."""
    eyes = {name: session(graph, threads=1) for name, graph in eyes_graphs(Eyes(layout.cameras, config).eval()).items()}
    rng, durations_s = np.random.default_rng(0), []
    for number in range(ENCODER_CALLS):
        view = layout.cameras[number % len(layout.cameras)]
        picture = rng.integers(0, 256, (1, *reversed(view.size_px), 3), dtype=np.uint8)
        began_s = time.perf_counter()
        eyes[view.name].run(None, {"picture": picture})
        durations_s.append(time.perf_counter() - began_s)
    return durations_s[ENCODER_CALLS // 10 :]


def _train(seconds: float) -> float:
    """Pictures a second that imitation learns from, on one thread: augmentation, both passes, the flow behind it and all."""
    views = tuple({"name": view.name} for view in CAMERAS)
    config = task_config(TASK, {
        "observation": SEEN_OBSERVATION, "cameras": views, "augmentation.copies": 0, "device": "cpu", "threads": 1,
    })  # fmt: skip
    rng, episodes = np.random.default_rng(0), []
    for number in range(2):
        episode = made_up_episode(number)
        images = {view.name: rng.integers(0, 256, (len(episode), *reversed(view.size_px), 3), dtype=np.uint8) for view in CAMERAS}
        episodes.append(replace(episode, images=images))
    training = TrainingSession(Stage.IMITATION, config.layout(TASK), episodes, config, None, seed=0)
    training.advance()
    updates, began_s = 0, time.perf_counter()
    while updates == 0 or time.perf_counter() < began_s + seconds:
        training.advance()
        updates += 1
    return updates * config.batch * len(CAMERAS) / (time.perf_counter() - began_s)
