"""`.venv` and what is installed into it: downloads first, into a folder of wheels; then the install, without the network.

While `.venv` is being changed the marker `unfinished` stands; a run that finds it makes `.venv` anew from the wheels that are
already there.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sernf_setup import pins as pin_file
from sernf_setup import torch_build
from sernf_setup.child import Child
from sernf_setup.errors import SetupError
from sernf_setup.layout import Layout, digest, discard
from sernf_setup.mend import mend
from sernf_setup.pins import Pin
from sernf_setup.progress import Progress
from sernf_setup.stamps import matches, write_atomically

_CHUNK = 40
_FROM_ROS_MACHINE = frozenset({"numpy"})
"""ROS 2's own modules are built against the system's numpy: another one in front of it would break them."""

_PATHS_OF_VENV = "import json, numpy, sysconfig; print(json.dumps([numpy.get_include(), sysconfig.get_paths()['include']]))"


@dataclass(frozen=True, kw_only=True)
class Packages:
    """The wanted state of `.venv`. `ros_prefixes` is empty where ROS 2 comes from wheels."""

    layout: Layout
    ros_prefixes: tuple[str, ...]
    torch_index: str | None

    @property
    def _venv_stamp(self) -> Path:
        return self.layout.venv / "sernf-venv.stamp"

    @property
    def _stamp(self) -> Path:
        return self.layout.venv / "sernf-packages.stamp"

    @property
    def _index_file(self) -> Path:
        return self.layout.venv / "sernf-torch-index"

    def python_minor(self) -> int:
        """Of `.venv`, or of the running Python when there is none."""
        try:
            return int(self.layout.site_packages().parent.name.removeprefix("python3."))
        except FileNotFoundError:
            return sys.version_info[1]

    def context(self) -> str:
        """Digest of what everything made here depends on: place, Python, kind of machine."""
        return digest(str(self.layout.root), str(self.python_minor()), *self.ros_prefixes)

    def _wanted_digest(self) -> str:
        return digest(self.layout.pins.read_text(encoding="utf-8"), self._index(), self.context())

    def _index(self) -> str:
        """The user's choice of torch, now or at an earlier run."""
        if self.torch_index is not None:
            return self.torch_index
        try:
            return self._index_file.read_text(encoding="utf-8")
        except OSError:
            return ""

    def is_done(self) -> bool:
        return (
            not self.layout.unfinished.exists()
            and os.access(self.layout.python, os.X_OK)
            and matches(self._venv_stamp, self.context())
            and matches(self._stamp, self._wanted_digest())
        )

    def has_venv(self) -> bool:
        """A whole `.venv` of this place and kind of machine."""
        usable = not self.layout.unfinished.exists() and os.access(self.layout.python, os.X_OK)
        return usable and matches(self._venv_stamp, self.context())

    def make(self, child: Child, progress: Progress) -> None:
        """Bring `.venv` to the wanted state."""
        if not self.has_venv():
            with progress.step("Python environment"):
                self._make_venv(child)
        pins = pin_file.read_pins(self.layout.pins, self.python_minor())
        found = pin_file.installed(self.layout.site_packages())
        with progress.step("downloads: pip and what torch to take", download=True):
            self._renew_pip(pins["pip"], found, child)
            torch = self._choose_torch(pins, found, child)
        wanted = [*([] if self.ros_prefixes else pins["ros"]), *pins["python"]]
        if self.ros_prefixes:
            wanted = [pin for pin in wanted if pin.name not in _FROM_ROS_MACHINE]
        missing = [pin for pin in wanted if found.get(pin.name) != pin.version]
        if missing or torch.pins:
            with progress.step(f"downloads: {len(missing) + len(torch.pins)} packages", download=True):
                self._download(missing, (), child, progress)
                self._download(torch.pins, torch.arguments, child, progress)
            with progress.step("installing packages"):
                self._install([*missing, *torch.pins], child)
        if not self.ros_prefixes:
            with progress.step("mending CMake files of the wheels"):
                numpy_include, python_include = json.loads(
                    child.run("mend", [str(self.layout.python), "-c", _PATHS_OF_VENV], cwd=self.layout.root)
                )
                mend(self.layout.venv / "share", numpy_include, python_include)
        write_atomically(self._index_file, self._index())
        write_atomically(self._stamp, self._wanted_digest())
        self.layout.unfinished.unlink(missing_ok=True)
        discard(self.layout.wheels, self.layout)

    def _make_venv(self, child: Child) -> None:
        discard(self.layout.venv, self.layout)
        write_atomically(self.layout.unfinished, "venv")
        system = ["--system-site-packages"] if self.ros_prefixes else []
        try:
            child.run("venv", [sys.executable, "-m", "venv", *system, str(self.layout.venv)], cwd=self.layout.root)
        except SetupError as error:
            if "ensurepip" not in str(error):
                raise
            version = f"{sys.version_info[0]}.{sys.version_info[1]}"
            raise SetupError(
                "the Python module ensurepip", f"{sys.executable} without it", f"sudo apt install python{version}-venv"
            ) from error
        write_atomically(self._venv_stamp, self.context())
        self.layout.unfinished.unlink()

    def _renew_pip(self, pins: Sequence[Pin], found: Mapping[str, str], child: Child) -> None:
        missing = [pin for pin in pins if found.get(pin.name) != pin.version]
        if missing:
            self._download(missing, (), child, None)
            self._install(missing, child)
            self.layout.unfinished.unlink()

    def _choose_torch(self, pins: Mapping[str, Sequence[Pin]], found: Mapping[str, str], child: Child) -> torch_build.TorchBuild:
        (torch,) = pins["torch"]
        changed = not self._index_file.exists() or self._index_file.read_text(encoding="utf-8") != self._index()
        if found.get(torch.name) == torch.version and not changed:
            return torch_build.TorchBuild(pins=(), arguments=())

        def report(arguments: Sequence[str]) -> Mapping[str, Any]:
            target = self.layout.state / "torch-report.json"
            command = ["install", "--dry-run", "--ignore-installed", "--report", str(target), *arguments, str(torch)]
            child.run("torch-report", self._pip(*command), cwd=self.layout.root)
            answer: Mapping[str, Any] = json.loads(target.read_text(encoding="utf-8"))
            return answer

        return torch_build.choose(torch, [pin for part in pins.values() for pin in part], self._index(), report)

    def _download(self, pins: Sequence[Pin], arguments: Sequence[str], child: Child, progress: Progress | None) -> None:
        """In chunks, because pip keeps what it downloaded only when it ends well."""
        self.layout.wheels.mkdir(parents=True, exist_ok=True)
        needed = [pin for pin in pins if pin_file.wheel_of(pin, self.layout.wheels) is None]
        for start in range(0, len(needed), _CHUNK):
            if progress is not None:
                progress.detail(f"({len(pins) - len(needed) + start} of {len(pins)})")
            chunk = [str(pin) for pin in needed[start : start + _CHUNK]]
            command = self._pip(
                "wheel", "--no-deps", "--prefer-binary", "--wheel-dir", str(self.layout.wheels), *arguments, *chunk
            )
            child.run("download", command, cwd=self.layout.root)

    def _install(self, pins: Sequence[Pin], child: Child) -> None:
        wheels = [pin_file.wheel_of(pin, self.layout.wheels) for pin in pins]
        write_atomically(self.layout.unfinished, "packages")
        command = self._pip(
            "install",
            "--no-index",
            "--no-deps",
            "--force-reinstall",
            "--no-compile",
            *(str(wheel) for wheel in wheels if wheel is not None),
        )
        child.run("install", command, cwd=self.layout.root)

    def _pip(self, *arguments: str) -> list[str]:
        return [str(self.layout.python), "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
