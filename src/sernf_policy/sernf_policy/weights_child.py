"""The process that loads, compiles and checks weights beside the running policy: `python -m sernf_policy.weights_child`.

It reads requests from stdin and answers on stdout (`sernf_policy.frames`), one after the other, at low priority, and ends when
its parent is gone. Whatever a file does to it, the policy's process does not feel it.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any

import torch

from sernf_policy import frames
from sernf_policy.check_config import CheckConfig
from sernf_policy.checkpoint import load_checkpoint
from sernf_policy.checkpoint_files import CheckpointError, both_files
from sernf_policy.engine import Graphs
from sernf_policy.loaded_weights import WeightsDescription
from sernf_policy.runtime import MISSING, CompileError, PolicyRuntime
from sernf_policy.weights_check import WeightsRefused, check_weights
from sernf_robot.config import ConfigError, from_mapping
from sernf_robot.limits import load_limits


def load(request: dict[str, Any]) -> tuple[WeightsDescription, Graphs]:
    """Weights that have passed every check. Raises CheckpointError, CompileError, WeightsRefused and ConfigError."""
    names = tuple(request["joint_names"])
    checkpoint = load_checkpoint(Path(request["file"]), expected_sha256=request["sha256"], joint_names=names)
    limits = load_limits(Path(request["limits_file"]), names)
    runtime = PolicyRuntime(checkpoint, threads=request["threads"])
    if runtime.graphs is None:
        raise CompileError(f"expected ONNX Runtime, got: {MISSING}; install onnx and onnxruntime as in requirements.txt")
    check_weights(checkpoint, runtime, limits, from_mapping(CheckConfig, request["check"], where="check"))
    info = checkpoint.info
    description = WeightsDescription(
        file=str(both_files(Path(request["file"]))[0]),
        version=info.version,
        sha256=info.sha256,
        stage=info.stage,
        parent_sha256=info.parent_sha256,
        layout=info.layout,
        acting=runtime.acting,
        has_critic=runtime.has_critic,
        likelihood=info.likelihood,
    )
    return description, runtime.graphs


def answer(descriptor: int, request: dict[str, Any]) -> None:
    """Do what `request` asks for and say how it went. Raises PipeClosed."""
    try:
        description, graphs = load(request)
    except (CheckpointError, CompileError, WeightsRefused, ConfigError) as error:
        frames.send(descriptor, {"refused": str(error)})
    except Exception as error:  # noqa: BLE001  top of the process: a bug here must not end the loading of other weights
        traceback.print_exc()
        frames.send(descriptor, {"refused": f"{request['file']}: {error!r}; see the traceback in the log of the policy"})
    else:
        eyes = [graphs.eyes[view.name] for view in description.layout.cameras]
        frames.send(descriptor, {"description": description.as_mapping()}, (graphs.sampling, graphs.likelihood, *eyes))


def main() -> None:
    """Serve until stdin ends."""
    # What libraries print must not get between the answers.
    answers = os.dup(1)
    os.dup2(2, 1)
    torch.set_num_threads(1)
    try:
        frames.send(answers, {"ready": True})
        while True:
            request, _ = frames.receive(0, timeout_s=None)
            answer(answers, request)
    except frames.PipeClosed:
        sys.exit(0)


if __name__ == "__main__":
    main()
