"""Which build of torch to install: the one for processors, never a CUDA one unless the user names an index that holds one.

The decision is made on pip's dry-run report, before anything is downloaded: the CUDA build and its libraries are several GB.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sernf_setup.errors import NotOnIndexError, SetupError
from sernf_setup.pins import Pin, normalise

INDEX_VARIABLE = "SERNF_TORCH_INDEX"
NO_TORCH = "none"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_DEFAULT_SOURCES: tuple[tuple[str, ...], ...] = ((), ("--index-url", CPU_INDEX))
_CUDA_PACKAGE = re.compile(r"(nvidia|cuda|triton|pytorch-triton)(-|$)")

Report = Callable[[Sequence[str]], Mapping[str, Any]]
"""pip's dry-run report for the given additional arguments; raises SetupError when pip finds nothing."""


@dataclass(frozen=True, kw_only=True)
class TorchBuild:
    """What to install, and with which arguments of pip it is found."""

    pins: tuple[Pin, ...]
    arguments: tuple[str, ...]


def choose(torch: Pin, others: Sequence[Pin], index: str | None, report: Report) -> TorchBuild:
    """`index` is the user's choice; without one, pip's own index is tried, then PyTorch's index of processor builds.

    From an index that the user named, libraries that the build needs and `others` does not hold are taken too.
    """
    if index == NO_TORCH:
        return TorchBuild(pins=(), arguments=())
    if index:
        named = ("--index-url", index)
        known = {pin.name for pin in others} | {torch.name}
        packages = [package["metadata"] for package in report(named)["install"]]
        found = [Pin(name=normalise(meta["name"]), version=meta["version"]) for meta in packages]
        return TorchBuild(pins=(torch, *(pin for pin in found if pin.name not in known)), arguments=named)
    seen = []
    for arguments in _DEFAULT_SOURCES:
        try:
            packages = [package["metadata"] for package in report((*arguments, "--no-deps"))["install"]]
        except SetupError as error:
            if not arguments and not isinstance(error, NotOnIndexError):
                raise
            seen.append(f"{' '.join(arguments) or 'own index of pip'}: expected {error.expected}, got {error.got[:120]}")
            continue
        cuda = cuda_reason(packages)
        if cuda is None:
            return TorchBuild(pins=(torch,), arguments=arguments)
        seen.append(f"{' '.join(arguments) or 'own index of pip'}: {cuda}")
    raise SetupError(
        f"a build of {torch} for processors",
        "; ".join(seen),
        f"name an index that has one, or one with CUDA if you want that: {INDEX_VARIABLE}=URL ./sernf ...; "
        f"{INDEX_VARIABLE}={NO_TORCH} leaves torch and the policy out",
    )


def cuda_reason(packages: Sequence[Mapping[str, Any]]) -> str | None:
    """Why the packages (metadata of pip's report) are a CUDA build, or None."""
    for package in packages:
        name, version = normalise(package["name"]), package["version"]
        if _CUDA_PACKAGE.match(name):
            return f"a CUDA build, which brings {name}"
        if name == "torch":
            local = version.partition("+")[2]
            if local == "cpu":
                continue
            requirements = [text for text in package.get("requires_dist", ()) if "extra ==" not in text]
            needs = [_requirement_name(requirement) for requirement in requirements]
            cuda = next((need for need in needs if _CUDA_PACKAGE.match(need)), None)
            if local.startswith(("cu", "rocm", "xpu")) or cuda is not None:
                return f"torch {version}, a build for GPUs" + (f" that needs {cuda}" if cuda else "")
    return None


def _requirement_name(requirement: str) -> str:
    match = re.match(r"[\w.-]+", requirement)
    return normalise(match[0]) if match else ""
