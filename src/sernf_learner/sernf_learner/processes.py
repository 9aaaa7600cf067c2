"""Where a training computes: on which device, and together with which other processes (data-parallel, started by torchrun).

The first process decides and writes; the others follow. Without torchrun everything here does nothing.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

DEVICES = ("auto", "cpu", "cuda")
PEER_TIMEOUT = datetime.timedelta(minutes=30)
"""how long to wait for the others, who may still be reading bags"""


def chosen_device(name: str) -> torch.device:
    """`auto`: a GPU if there is one. Raises ValueError for a GPU that is not there, and for any other name."""
    if name not in DEVICES:
        raise ValueError(f"device: expected {', '.join(DEVICES[:-1])} or {DEVICES[-1]}, got {name!r}")
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ValueError("device: expected a GPU that torch can use, got none; set device to auto or cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def process_number() -> int:
    """Of this process among those that train together; the first one is 0."""
    return int(os.environ.get("RANK", "0"))


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Belong to the group of processes that torchrun has started, by gloo on processors and NCCL on GPUs."""
    if "RANK" not in os.environ or torch.distributed.is_initialized():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PEER_TIMEOUT)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def agreed(value: Any) -> Any:
    """What the first process says: those that decide each for itself would wait for one another for ever."""
    if not _is_joined():
        return value
    values = [value]
    torch.distributed.broadcast_object_list(values, src=0)
    return values[0]


def mean_metrics(metrics: Mapping[str, float], device: torch.device) -> dict[str, float]:
    """Mean of each figure over all processes, so that all judge alike."""
    if not _is_joined():
        return dict(metrics)
    names = sorted(metrics)
    values = torch.tensor([metrics[name] for name in names], dtype=torch.float64, device=device)
    torch.distributed.all_reduce(values)
    return dict(zip(names, (values / torch.distributed.get_world_size()).tolist(), strict=True))


def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Every process takes the mean gradient of all."""
    if not _is_joined():
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    torch.distributed.all_reduce(flat)
    flat /= torch.distributed.get_world_size()
    for gradient, mean in zip(gradients, torch.split(flat, [gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def _is_joined() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
