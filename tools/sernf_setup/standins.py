"""Makes `pip_ros/` importable, each package only where the real one is missing, and with it the `ros2` command.

A folder without `__init__.py` is no package: `launch/` of this repository is not the real `launch`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sernf_setup.child import Child
from sernf_setup.layout import Layout, digest
from sernf_setup.stamps import matches, write_atomically

_PRESENT = """
import importlib.machinery, json, os, sys
path = [entry for entry in sys.path if not os.path.realpath(entry).startswith(sys.argv[1] + os.sep)]
specs = {name: importlib.machinery.PathFinder.find_spec(name, path) for name in sys.argv[2:]}
print(json.dumps([name for name, spec in specs.items() if spec is not None and spec.origin is not None]))
"""


@dataclass(frozen=True, kw_only=True)
class StandIns:
    """`context` is the digest of place, Python and kind of machine."""

    layout: Layout
    context: str

    def is_done(self) -> bool:
        return matches(self._stamp, self._digest())

    def make(self, child: Child, environment: Mapping[str, str]) -> None:
        folders = self._folders()
        asked = [str(self.layout.python), "-c", _PRESENT, str(self.layout.root / "pip_ros"), *(folder.name for folder in folders)]
        answer = replace(child, environment=environment).run("stand-ins", asked, cwd=self.layout.root)
        present = set(json.loads(answer.strip().splitlines()[-1]))
        missing = [folder for folder in folders if folder.name not in present]
        lines = "".join(f"{folder}\n" for folder in missing)
        write_atomically(self.layout.site_packages() / "sernf_pip_ros.pth", lines)
        command = self.layout.venv / "bin" / "ros2"
        if any(folder.name == "ros2cli" for folder in missing):
            script = "import sys; from ros2cli.main import main; sys.exit(main())"
            write_atomically(command, f'#!/bin/sh\nexec {shlex.quote(str(self.layout.python))} -c {shlex.quote(script)} "$@"\n')
            command.chmod(0o755)
        else:
            command.unlink(missing_ok=True)
        write_atomically(self._stamp, self._digest())

    def _folders(self) -> list[Path]:
        manifests = sorted((self.layout.root / "pip_ros").glob("*/package.xml"))
        return [path.parent for path in manifests if (path.parent / path.parent.name).is_dir()]

    @property
    def _stamp(self) -> Path:
        return self.layout.venv / "sernf-standins.stamp"

    def _digest(self) -> str:
        return digest(self.context, _PRESENT, *(folder.name for folder in self._folders()))
