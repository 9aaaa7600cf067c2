"""The colcon workspace: builds the packages under `src/` whose build inputs changed, and only these.

Python packages are installed as links, so that an edited module needs no build; their build inputs are what setup.py reads.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sernf_setup.child import Child
from sernf_setup.layout import Layout, digest, discard
from sernf_setup.progress import Progress
from sernf_setup.stamps import matches, write_atomically

_COLCON = "import sys; from colcon_core.command import main; sys.exit(main())"
_NAME = re.compile(r"<name>\s*([\w-]+)\s*</name>")
_FINISHED = re.compile(r"Finished <<< ([\w-]+)")
_STARTED = re.compile(r"Starting >>> ([\w-]+)")
_SHARED_FOLDERS = ("launch", "config")
"""Top-level folders that package `sernf` installs."""


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The packages of one clone; `context` is the digest of place, Python and kind of machine."""

    layout: Layout
    context: str
    wheels: bool

    def packages(self) -> dict[str, Path]:
        """Name -> folder of every package under `src/`."""
        found = {}
        for manifest in sorted((self.layout.root / "src").glob("*/package.xml")):
            match = _NAME.search(manifest.read_text(encoding="utf-8"))
            if match is not None and not (manifest.parent / "COLCON_IGNORE").exists():
                found[match[1]] = manifest.parent
        return found

    def outdated(self) -> dict[str, Path]:
        """The packages that must be built."""
        return {
            name: folder
            for name, folder in self.packages().items()
            if not (matches(self._stamp(name), self._digest(folder)) and (self.layout.root / "build" / name).is_dir())
        }

    def is_done(self) -> bool:
        return matches(self._context_file, self.context) and not self.outdated() and not self._removed()

    def make(self, child: Child, environment: Mapping[str, str], progress: Progress) -> None:
        """Build what is outdated, and remove what has no source any more."""
        if not matches(self._context_file, self.context):
            for folder in ("build", "install", "log"):
                discard(self.layout.root / folder, self.layout)
            write_atomically(self._context_file, self.context)
        for name in self._removed():
            self._discard(name)
        outdated = self.outdated()
        if not outdated:
            return
        for name in outdated:
            if self._marker(name).exists():
                self._discard(name)
        with progress.step(f"building {len(outdated)} of {len(self.packages())} ROS packages"):
            self._build(outdated, replace(child, environment=environment), progress)

    def _build(self, outdated: Mapping[str, Path], child: Child, progress: Progress) -> None:
        running: list[str] = []
        digests = {name: self._digest(folder) for name, folder in outdated.items()}
        for name in outdated:
            write_atomically(self._marker(name), "")

        def watch(line: str) -> None:
            started, finished = _STARTED.search(line), _FINISHED.search(line)
            if started is not None:
                running.append(started[1])
            if finished is not None and finished[1] in digests:
                name = finished[1]
                write_atomically(self._stamp(name), digests[name])
                self._marker(name).unlink(missing_ok=True)
                running[:] = [other for other in running if other != name]
            progress.detail(f"({', '.join(running)})" if running else "")

        child.run("colcon", self._command(list(outdated)), cwd=self.layout.root, watch=watch)

    def _command(self, names: Sequence[str]) -> list[str]:
        options = ["-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={self.layout.python}"]
        if self.wheels:
            options.append("-DSERNF_PYTHON_ONLY=ON")
        command = [str(self.layout.python), "-c", _COLCON, "build", "--symlink-install", "--base-paths", "src"]
        return [*command, "--packages-select", *names, "--cmake-args", *options]

    def _removed(self) -> list[str]:
        known = self.packages()
        markers = (self.layout.root / "install").glob("*/share/*/sernf.stamp")
        return sorted({path.parent.name for path in markers} - set(known))

    def _discard(self, name: str) -> None:
        discard(self.layout.root / "install" / name, self.layout)
        discard(self.layout.root / "build" / name, self.layout)

    @property
    def _context_file(self) -> Path:
        return self.layout.root / "install" / "sernf-context.stamp"

    def _stamp(self, name: str) -> Path:
        return self.layout.root / "install" / name / "share" / name / "sernf.stamp"

    def _marker(self, name: str) -> Path:
        """Stands while a package is being built: an object file may be half written."""
        return self.layout.root / "build" / name / "sernf-unfinished"

    def _digest(self, folder: Path) -> str:
        digests = [self.context, str(self.wheels)]
        digests += [f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in _inputs(folder)]
        if folder.name == "sernf":
            for shared in _SHARED_FOLDERS:
                digests.extend(str(path.relative_to(self.layout.root)) for path in _files(self.layout.root / shared))
        return digest(*digests)


def _inputs(folder: Path) -> Iterator[Path]:
    python_package = (folder / "setup.py").is_file()
    for path in _files(folder):
        top = path.relative_to(folder).parts[0]
        if not python_package or path.suffix != ".py" or path.name == "setup.py":
            if python_package and top in ("test", folder.name):
                continue
            yield path


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not {"__pycache__", ".pytest_cache"} & set(path.parts))
