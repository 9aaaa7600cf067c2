"""No set-up without an explicit wish ever takes the CUDA build of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from sernf_setup.errors import NotOnIndexError, SetupError
from sernf_setup.pins import Pin
from sernf_setup.torch_build import CPU_INDEX, choose, cuda_reason

TORCH = Pin(name="torch", version="2.13.0")
NUMPY = Pin(name="numpy", version="2.4.6")
CPU = {"name": "torch", "version": "2.13.0+cpu", "requires_dist": ["filelock"]}
CUDA = {"name": "torch", "version": "2.13.0", "requires_dist": ["filelock", 'nvidia-cublas==13.1; platform_system == "Linux"']}
CUDA_LIBRARY = {"name": "nvidia-cublas", "version": "13.1.1.3"}


class FakePip:
    """Answers by index; None stands for an index without torch."""

    def __init__(self, own: Mapping[str, Any] | None, cpu: Mapping[str, Any] | None) -> None:
        self.answers = {"own": own, CPU_INDEX: cpu}
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, arguments: Sequence[str]) -> Mapping[str, Any]:
        self.asked.append(tuple(arguments))
        index = arguments[arguments.index("--index-url") + 1] if "--index-url" in arguments else "own"
        answer = self.answers[index]
        if answer is None:
            raise NotOnIndexError("torch", "no such version", "check")
        return {"install": [{"metadata": package} for package in answer["packages"]]}


def only(*packages: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"packages": packages}


def test_a_processor_build_on_the_own_index_is_taken() -> None:
    build = choose(TORCH, [NUMPY], "", FakePip(own=only(CPU), cpu=None))
    assert build.pins == (TORCH,)
    assert build.arguments == ()


@pytest.mark.parametrize("own", [only(CUDA), None])
def test_otherwise_pytorchs_processor_index_is_asked(own: Mapping[str, Any] | None) -> None:
    build = choose(TORCH, [NUMPY], "", FakePip(own=own, cpu=only(CPU)))
    assert build.pins == (TORCH,)
    assert build.arguments == ("--index-url", CPU_INDEX)


@pytest.mark.parametrize("cpu", [only(CUDA), None])
def test_cuda_everywhere_is_refused_with_the_variable_that_helps(cpu: Mapping[str, Any] | None) -> None:
    with pytest.raises(SetupError, match="SERNF_TORCH_INDEX=URL") as caught:
        choose(TORCH, [NUMPY], "", FakePip(own=only(CUDA), cpu=cpu))
    assert "nvidia-cublas" in str(caught.value)


def test_without_a_network_that_is_what_is_said() -> None:
    def report(arguments: Sequence[str]) -> Mapping[str, Any]:
        raise SetupError("a network connection", "none", "connect")

    with pytest.raises(SetupError, match="network") as caught:
        choose(TORCH, [NUMPY], "", report)
    assert "SERNF_TORCH_INDEX" not in str(caught.value)


def test_the_default_never_asks_for_what_torch_depends_on() -> None:
    pip = FakePip(own=only(CUDA), cpu=only(CPU))
    choose(TORCH, [NUMPY], "", pip)
    assert all("--no-deps" in arguments for arguments in pip.asked)


def test_a_named_index_may_hold_cuda_and_brings_its_libraries_but_no_other_numpy() -> None:
    pip = FakePip(own=None, cpu=None)
    pip.answers["https://example.invalid/cu"] = only(CUDA, CUDA_LIBRARY, {"name": "numpy", "version": "9.9"})
    build = choose(TORCH, [NUMPY], "https://example.invalid/cu", pip)
    assert build.pins == (TORCH, Pin(name="nvidia-cublas", version="13.1.1.3"))


def test_none_leaves_torch_out_without_asking() -> None:
    pip = FakePip(own=None, cpu=None)
    assert choose(TORCH, [NUMPY], "none", pip).pins == ()
    assert pip.asked == []


@pytest.mark.parametrize(
    ("package", "is_cuda"),
    [
        (CPU, False),
        ({**CPU, "version": "2.13.0"}, False),
        (CUDA, True),
        ({**CPU, "version": "2.13.0+cu130"}, True),
        ({**CPU, "version": "2.13.0+rocm7"}, True),
        (CUDA_LIBRARY, True),
        ({"name": "triton", "version": "3.7.1"}, True),
        ({**CPU, "version": "2.13.0", "requires_dist": ['nvidia-x; extra == "cuda"']}, False),
    ],
)
def test_builds_are_told_apart(package: Mapping[str, Any], is_cuda: bool) -> None:
    assert (cuda_reason([package]) is not None) == is_cuda
