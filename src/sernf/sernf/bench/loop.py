"""From the joint states to the command, with everything running: simulation, cameras, recorder, learner, policy, a training job.

The policy itself notes the stamp of the joint state that each command was decided on, and the time when the command was handed
to the middleware.
"""

from __future__ import annotations

import os
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from sernf.bench.random_policies import TASK, policy_layout, save_random_policy
from sernf.bench.report import Metric, Report
from sernf.bench.running_policy import RunningPolicy, inside, launch_arguments, missed_ticks, read_ticks, tick_errors_ms
from sernf.bench.training_load import training_job
from sernf.episode_series import PRIVATE_DOMAIN
from sernf.graph import Graph, spinning_node
from sernf_msgs.msg import JointCommand
from sernf_msgs.srv import EndEpisode, StartEpisode
from sernf_policy.checkpoint_files import both_files

RATE_HZ = 20.0
WARM_UP_S = 3.0


def measure(seconds: float, console: Console) -> Report:
    """Raises RuntimeError when the graph does not come up or ends early."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(PRIVATE_DOMAIN))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = both_files(folder / "weights")[0]
        save_random_policy(weights, policy_layout(RATE_HZ), seed=0)
        everything = {"cameras": True, "recorder": True, "learner": find_spec("sernf_learner") is not None}
        arguments = launch_arguments(folder, weights, RATE_HZ, **everything)
        with Graph(arguments, folder / "bringup.log") as graph, spinning_node("bench") as node:
            policy = RunningPolicy(node, graph)
            policy.drive()
            request = StartEpisode.Request(task=TASK, operator_name="bench", source=JointCommand.SOURCE_POLICY)
            policy.calls.call(StartEpisode, "recorder/start_episode", request, timeout_s=30.0)
            console.print(f"measuring for {seconds:g} s beside cameras, recorder, learner and a training job")
            with training_job():
                time.sleep(WARM_UP_S)
                begin_s = time.monotonic()
                policy.calls.wait_until(lambda: time.monotonic() > begin_s + seconds, seconds + 10.0)
                end_s = time.monotonic()
            policy.calls.call(EndEpisode, "recorder/end_episode", EndEpisode.Request(label="discard", labelled_by="judge"))
        (ticks,) = inside(read_ticks(folder), [(begin_s, end_s)])
    commands = ticks[ticks["commanded"]]
    return Report(
        metrics={
            "state_to_command_ms": Metric.of((commands["sent_ns"] - commands["joints_stamp_ns"]) / 1e6, "ms"),
            "tick_error_ms": Metric.of(tick_errors_ms(ticks, 1.0 / RATE_HZ), "ms"),
        },
        counts={"ticks": len(ticks), "commands": len(commands), "missed_ticks": missed_ticks(ticks, 1.0 / RATE_HZ)},
    )
