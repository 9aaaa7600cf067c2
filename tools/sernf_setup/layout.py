"""Where things lie, and which kind of machine this is."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Paths of one clone. Everything the set-up makes lies in `.venv`, `.sernf`, `build`, `install` and `log`."""

    root: Path

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def state(self) -> Path:
        return self.root / ".sernf"

    @property
    def wheels(self) -> Path:
        return self.state / "wheels"

    @property
    def logs(self) -> Path:
        return self.state / "log"

    @property
    def temporary(self) -> Path:
        return self.state / "tmp"

    @property
    def trash(self) -> Path:
        return self.state / "trash"

    @property
    def pins(self) -> Path:
        return self.root / "requirements.txt"

    @property
    def unfinished(self) -> Path:
        """Stands while `.venv` is being changed: whoever finds it at the start cannot trust `.venv`."""
        return self.state / "unfinished"

    @property
    def environment(self) -> Path:
        return self.state / "environment.json"

    def site_packages(self) -> Path:
        """Of `.venv`; raises FileNotFoundError when there is none."""
        found = sorted((self.venv / "lib").glob("python3.*/site-packages"))
        if not found:
            raise FileNotFoundError(self.venv / "lib" / "python3.*" / "site-packages")
        return found[-1]


def discard(path: Path, layout: Layout) -> None:
    """Remove a tree: first out of the way in one step, so that an interruption never leaves half of it in place."""
    if not path.exists() and not path.is_symlink():
        return
    layout.trash.mkdir(parents=True, exist_ok=True)
    grave = layout.trash / f"{path.name}-{os.getpid()}-{os.urandom(4).hex()}"
    path.rename(grave)
    empty_trash(layout)


def empty_trash(layout: Layout) -> None:
    shutil.rmtree(layout.trash, ignore_errors=True)


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def machine() -> str:
    return f"{platform.system()} {platform.machine()}"
