"""All steps of the set-up in their order. Nothing to do is found out without taking the lock, in a fraction of a second."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from sernf_setup import environment, ros_machine, torch_build
from sernf_setup.checks import check_machine, facts_of
from sernf_setup.child import Child
from sernf_setup.environment import Environment
from sernf_setup.errors import SetupError
from sernf_setup.layout import Layout, digest, empty_trash
from sernf_setup.lock import exclusive
from sernf_setup.packages import Packages
from sernf_setup.progress import Progress, duration
from sernf_setup.stamps import write_atomically
from sernf_setup.standins import StandIns
from sernf_setup.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The steps for one kind of machine."""

    packages: Packages
    ros: ros_machine.RosMachine | None

    @property
    def layout(self) -> Layout:
        return self.packages.layout

    def stand_ins(self) -> StandIns:
        return StandIns(layout=self.layout, context=self.packages.context())

    def workspace(self) -> Workspace:
        return Workspace(layout=self.layout, context=self.packages.context(), wheels=self.ros is None)

    def base(self) -> dict[str, str]:
        return environment.of_wheels(self.layout) if self.ros is None else environment.of_venv(self.layout)

    def key(self) -> str:
        """What the environment depends on."""
        sources = Path(environment.__file__).read_text(encoding="utf-8")
        return digest(self.packages.context(), sources, *self.workspace().packages())

    def finished(self) -> Environment | None:
        """The environment, when every step is done."""
        if self.packages.is_done() and self.stand_ins().is_done() and self.workspace().is_done():
            return environment.load(self.layout.environment, self.key())
        return None


def prepare(root: Path, user: Mapping[str, str], progress: Progress) -> Environment:
    """Do what is left to do; raises SetupError when something is missing or fails."""
    layout = Layout(root=root)
    steps = _steps(layout, user)
    ready = steps.finished()
    if ready is not None:
        return ready
    progress.say(f"setting up in {root}")
    previous = signal.signal(signal.SIGTERM, _on_terminate)
    try:
        with exclusive(layout.state / "lock", progress.say) as lock:
            made = _make(steps, user, lock, progress)
    except OSError as error:
        free_gb = shutil.disk_usage(root).free / 1e9
        raise SetupError(
            f"to write under {root}",
            f"{error} ({free_gb:.1f} GB free)",
            "give room and the right to write, run again: it goes on from here",
        ) from error
    finally:
        signal.signal(signal.SIGTERM, previous)
    return made


def _steps(layout: Layout, user: Mapping[str, str]) -> Steps:
    ros = ros_machine.find(sys.executable, layout.root, user)
    kind = layout.venv / "sernf-ros-prefixes"
    was_ros = kind.is_file() and kind.read_text(encoding="utf-8").strip()
    if ros is None and was_ros:
        raise SetupError(
            "the ROS 2 with which this clone was set up",
            "none is sourced",
            f"source {was_ros.splitlines()[0]}/setup.bash; or start over with ROS 2 from PyPI: ./sernf clean",
        )
    packages = Packages(
        layout=layout,
        ros_prefixes=() if ros is None else _system_prefixes(ros, layout),
        torch_index=user.get(torch_build.INDEX_VARIABLE),
    )
    return Steps(packages=packages, ros=ros)


def _system_prefixes(ros: ros_machine.RosMachine, layout: Layout) -> tuple[str, ...]:
    """The distribution itself comes last in the list; overlays of the user come and go and need no new set-up."""
    return (ros.distribution, ros.prefixes[-1])


def _make(steps: Steps, user: Mapping[str, str], lock: int, progress: Progress) -> Environment:
    layout = steps.layout
    packages = steps.packages
    check_machine(facts_of(layout.root), wheels=steps.ros is None, fresh=not packages.has_venv())
    empty_trash(layout)
    shutil.rmtree(layout.temporary, ignore_errors=True)
    layout.temporary.mkdir(parents=True)
    plain = {name: value for name, value in user.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    plain |= {"TMPDIR": str(layout.temporary), "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1"}
    child = Child(logs=layout.logs, environment=plain, lock=lock)
    if not packages.is_done():
        packages.make(child, progress)
        if steps.ros is not None:
            write_atomically(layout.venv / "sernf-ros-prefixes", steps.ros.prefixes[-1])
    base = steps.base()
    building = environment.for_build(base, user)
    if not steps.stand_ins().is_done():
        steps.stand_ins().make(child, building)
    workspace = steps.workspace()
    if not workspace.is_done():
        workspace.make(child, building, progress)
    made = environment.capture(layout, base, child, steps.key())
    made.save(layout.environment)
    if progress.download_s > 0:
        progress.say(f"set up; downloads took {duration(progress.download_s)}")
    return made


def _on_terminate(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def clean(layout: Layout) -> None:
    """Remove everything the set-up made."""
    for folder in (layout.venv, *(layout.root / name for name in ("build", "install", "log")), layout.state):
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            raise SetupError(
                f"to remove {os.path.relpath(folder, layout.root)}", "something of it is left", "look who holds or owns it"
            )
