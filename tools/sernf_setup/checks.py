"""What the machine must have before anything is made; each lack is an error that names its remedy.

Facts are gathered by `facts_of` and judged by `check_machine`, so that the judging is tested with made-up machines.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from sernf_setup.errors import SetupError

OLDEST_MINOR, NEWEST_MINOR = 10, 13
NEEDED_GB = 6.0
"""A fresh set-up fills about 4 GB; wheels lie beside it until they are installed."""

OLDEST_GLIBC = (2, 28)


@dataclass(frozen=True, kw_only=True)
class MachineFacts:
    """What matters of a machine; `free_gb` of the file system of the clone."""

    python: tuple[int, int]
    implementation: str
    system: str
    architecture: str
    bits: int
    glibc: tuple[int, int] | None
    has_venv: bool
    has_headers: bool
    compiler: str | None
    make: str | None
    free_gb: float


def facts_of(root: Path) -> MachineFacts:
    library, version = platform.libc_ver()
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    return MachineFacts(
        python=sys.version_info[:2],
        implementation=platform.python_implementation(),
        system=platform.system(),
        architecture=platform.machine(),
        bits=64 if sys.maxsize > 2**32 else 32,
        glibc=(numbers[0], numbers[1]) if library == "glibc" and len(numbers) == 2 else None,
        has_venv=importlib.util.find_spec("venv") is not None and importlib.util.find_spec("ensurepip") is not None,
        has_headers=(Path(sysconfig.get_paths()["include"]) / "Python.h").is_file(),
        compiler=next((found for name in ("c++", "g++", "clang++") if (found := shutil.which(name))), None),
        make=shutil.which("make") or shutil.which("gmake"),
        free_gb=shutil.disk_usage(root).free / 1e9,
    )


def check_machine(facts: MachineFacts, *, wheels: bool, fresh: bool) -> None:
    """Raises SetupError for the first lack. `wheels`: ROS 2 comes from PyPI; `fresh`: there is no environment yet."""
    python = f"{facts.implementation} {facts.python[0]}.{facts.python[1]}"
    if facts.implementation != "CPython" or not (3, OLDEST_MINOR) <= facts.python <= (3, NEWEST_MINOR):
        raise SetupError(
            f"CPython 3.{OLDEST_MINOR} to 3.{NEWEST_MINOR}",
            python,
            "install one of them, or name it: SERNF_PYTHON=python3.12 ./sernf ...",
        )
    if wheels and (facts.system != "Linux" or facts.architecture not in ("x86_64", "AMD64") or facts.bits != 64):
        raise SetupError(
            "Linux on x86-64, the only kind for which PyPI has ROS 2",
            f"{facts.system} on {facts.architecture}, {facts.bits} bit",
            "use docker/ (docs/setup.md), or install ROS 2 Kilted, source its setup.bash and run again",
        )
    if wheels and (facts.glibc is None or facts.glibc < OLDEST_GLIBC):
        got = "another C library" if facts.glibc is None else f"glibc {facts.glibc[0]}.{facts.glibc[1]}"
        raise SetupError("glibc 2.28 or newer", got, "use a newer distribution (Debian 10, Ubuntu 20.04 or later), or docker/")
    version = f"{facts.python[0]}.{facts.python[1]}"
    if not facts.has_venv:
        raise SetupError(
            "the Python modules venv and ensurepip", f"{python} without them", f"sudo apt install python{version}-venv"
        )
    if not facts.has_headers:
        raise SetupError(
            "the header files of Python (Python.h), to build the messages",
            f"{python} without them",
            f"sudo apt install python{version}-dev",
        )
    if facts.compiler is None or facts.make is None:
        lacks = " and ".join(name for name, found in (("C++ compiler", facts.compiler), ("make", facts.make)) if found is None)
        raise SetupError(
            "a C++ compiler and make, to build the messages", f"no {lacks} on PATH", "sudo apt install build-essential"
        )
    if fresh and facts.free_gb < NEEDED_GB:
        raise SetupError(
            f"{NEEDED_GB:.0f} GB free where the clone lies", f"{facts.free_gb:.1f} GB", "free some, or clone onto a larger disk"
        )
