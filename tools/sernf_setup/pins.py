"""The file of pins: which package in which version, for which Python, in which section.

A line that this module does not understand is an error: a pin that is silently skipped would be a package silently missing.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sernf_setup.errors import SetupError

SECTIONS = ("pip", "ros", "python", "torch")
_SECTION = re.compile(r"# \[(\w+)\]")
_PIN = re.compile(r'(?P<name>[a-z0-9-]+)==(?P<version>[\w.+!-]+)(?:; python_version (?P<op>>=|<) "3\.(?P<minor>\d+)")?')
_COMPARE: dict[str, Callable[[int, int], bool]] = {">=": operator.ge, "<": operator.lt}


@dataclass(frozen=True, kw_only=True, order=True)
class Pin:
    """One package (normalised name) in one version."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


def normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read_pins(path: Path, python_minor: int) -> dict[str, list[Pin]]:
    """Section -> pins that hold for Python 3.`python_minor`."""
    sections: dict[str, list[Pin]] = {name: [] for name in SECTIONS}
    current: list[Pin] | None = None
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        line = raw.strip()
        header = _SECTION.match(line)
        if header is not None:
            if header[1] not in sections:
                raise _bad(path, number, f"a section out of {SECTIONS}", line)
            current = sections[header[1]]
        elif line and not line.startswith("#"):
            match = _PIN.fullmatch(line)
            if match is None or current is None:
                raise _bad(path, number, '`name==version` or `name==version; python_version OP "3.N"` inside a section', line)
            if match["op"] is None or _COMPARE[match["op"]](python_minor, int(match["minor"])):
                current.append(Pin(name=match["name"], version=match["version"]))
    names = [pin.name for pins in sections.values() for pin in pins]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SetupError(
            f"each package once in {path.name} for Python 3.{python_minor}", ", ".join(twice), "remove one of its lines"
        )
    return sections


def installed(site_packages: Path) -> dict[str, str]:
    """Normalised name -> version of everything installed, from the names of the metadata folders; local parts (`+cpu`) cut."""
    found = {}
    for folder in site_packages.glob("*.dist-info"):
        name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
        if (folder / "RECORD").is_file():
            found[normalise(name)] = version.partition("+")[0]
    return found


def wheel_of(pin: Pin, folder: Path) -> Path | None:
    """The downloaded wheel of a pin, if it is there."""
    for path in folder.glob("*.whl"):
        name, version = path.name.split("-")[:2]
        if normalise(name) == pin.name and version.partition("+")[0] == pin.version.partition("+")[0]:
            return path
    return None


def _bad(path: Path, number: int, expected: str, got: str) -> SetupError:
    return SetupError(f"{expected} in {path.name} line {number}", repr(got), "correct the line; docs/setup.md shows the format")
