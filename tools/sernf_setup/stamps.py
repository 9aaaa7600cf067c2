"""Stamps: a step is done when the stamp inside what it made holds the digest of what it was made from.

A stamp lies inside its artefact, so that deleting the artefact deletes the stamp, and is written last and in one step, so that an
interrupted step has none.
"""

from __future__ import annotations

import os
from pathlib import Path


def matches(stamp: Path, digest: str) -> bool:
    try:
        return stamp.read_text(encoding="utf-8") == digest
    except OSError:
        return False


def write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
