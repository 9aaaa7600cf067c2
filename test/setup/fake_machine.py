"""A small clone and tools that only pretend to work, and that can be killed in the middle of any call.

Each tool first leaves something half made; only a call that is not killed makes it whole. What a real kill leaves is a subset.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sernf_setup.child import Child

PINS = """\
# [pip]
pip==25.3
# [ros]
ros-rclpy==9.1.2
# [python]
numpy==2.4.6
rich==15.0.0
# [torch]
torch==2.13.0
"""
HALF, WHOLE = "half", "whole"


def make_clone(root: Path) -> None:
    """Two packages and one stand-in."""
    (root / "requirements.txt").write_text(PINS, encoding="utf-8")
    for name in ("alpha_msgs", "beta"):
        folder = root / "src" / name
        folder.mkdir(parents=True)
        (folder / "package.xml").write_text(f"<package><name>{name}</name></package>", encoding="utf-8")
    (root / "src" / "alpha_msgs" / "A.msg").write_text("float64 x\n", encoding="utf-8")
    (root / "src" / "beta" / "setup.py").write_text("setup()\n", encoding="utf-8")
    (root / "src" / "beta" / "beta").mkdir()
    (root / "src" / "beta" / "beta" / "module.py").write_text("X = 1\n", encoding="utf-8")
    stand_in = root / "pip_ros" / "ros2cli"
    (stand_in / "ros2cli").mkdir(parents=True)
    (stand_in / "package.xml").write_text("<package><name>ros2cli</name></package>", encoding="utf-8")


@dataclasses.dataclass
class FakeTools:
    """Stands in for `Child.run`. `kill_at` counts calls from 1; 0 kills none."""

    root: Path
    kill_at: int = 0
    calls: list[str] = dataclasses.field(default_factory=list)

    def run(
        self, child: Child, name: str, command: Sequence[str], *, cwd: Path, watch: Callable[[str], None] | None = None
    ) -> str:
        self.calls.append(name)
        tool = getattr(self, "_" + name.replace("-", "_"))
        killed = len(self.calls) == self.kill_at
        answer: str = tool(list(command), HALF if killed else WHOLE, watch)
        if killed:
            raise KeyboardInterrupt
        return answer

    @property
    def _site(self) -> Path:
        return self.root / ".venv" / "lib" / f"python3.{sys.version_info[1]}" / "site-packages"

    def _venv(self, command: list[str], state: str, watch: object) -> str:
        self._site.mkdir(parents=True)
        python = self.root / ".venv" / "bin" / "python"
        python.parent.mkdir()
        python.write_text(state, encoding="utf-8")
        python.chmod(0o755)
        return ""

    def _torch_report(self, command: list[str], state: str, watch: object) -> str:
        report = {"install": [{"metadata": {"name": "torch", "version": "2.13.0+cpu"}}]}
        Path(command[command.index("--report") + 1]).write_text(json.dumps(report), encoding="utf-8")
        return ""

    def _download(self, command: list[str], state: str, watch: object) -> str:
        folder = Path(command[command.index("--wheel-dir") + 1])
        pins = [word for word in command if "==" in word]
        for pin in pins if state == WHOLE else ():
            name, version = pin.split("==")
            (folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl").write_text(state, encoding="utf-8")
        return ""

    def _install(self, command: list[str], state: str, watch: object) -> str:
        for wheel in (Path(word) for word in command if word.endswith(".whl")):
            metadata = self._site / f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
            metadata.mkdir(exist_ok=True)
            (metadata / "RECORD").write_text(state, encoding="utf-8")
        return ""

    def _mend(self, command: list[str], state: str, watch: object) -> str:
        return json.dumps(["/numpy", "/python"])

    def _stand_ins(self, command: list[str], state: str, watch: object) -> str:
        return "[]"

    def _colcon(self, command: list[str], state: str, watch: Callable[[str], None]) -> str:
        names = command[command.index("--packages-select") + 1 : command.index("--cmake-args")]
        for name in names:
            built = self.root / "build" / name / "object.o"
            assert not built.exists() or built.read_text(encoding="utf-8") == WHOLE, f"built on top of half a {built}"
            watch(f"Starting >>> {name}")
            (self.root / "install" / name).mkdir(parents=True, exist_ok=True)
            built.write_text(state if name == names[-1] else WHOLE, encoding="utf-8")
            if state == WHOLE or name != names[-1]:
                watch(f"Finished <<< {name} [1.0s]")
        return ""

    def _environment(self, command: list[str], state: str, watch: object) -> str:
        return f"PATH={self.root}/.venv/bin:/bin\0AMENT_PREFIX_PATH={self.root}/install/beta\0ROS_DISTRO=kilted\0"


def halves(root: Path) -> list[Path]:
    """Files of a finished set-up that were left half made."""
    folders = [root / name for name in (".venv", "build", "install")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if re.fullmatch(HALF, path.read_text(encoding="utf-8"))]
