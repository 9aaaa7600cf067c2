"""A set-up killed anywhere goes on from there, one with nothing to do does nothing, and a change rebuilds only itself."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sernf_setup.child import Child
from sernf_setup.environment import Environment
from sernf_setup.errors import SetupError
from sernf_setup.lock import exclusive
from sernf_setup.preparation import prepare
from sernf_setup.progress import Progress

sys.path.insert(0, str(Path(__file__).parent))
from fake_machine import PINS, FakeTools, halves, make_clone

USER = {"PATH": os.environ["PATH"]}
ALL_CALLS = 9
"""venv, pip twice, torch report, two downloads, install, mend, stand-ins, colcon, environment: at least so many."""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    make_clone(tmp_path)
    return tmp_path


def set_up(clone: Path, monkeypatch: pytest.MonkeyPatch, kill_at: int = 0, user: dict[str, str] | None = None) -> FakeTools:
    tools = FakeTools(root=clone, kill_at=kill_at)
    monkeypatch.setattr(Child, "run", lambda child, name, command, **options: tools.run(child, name, command, **options))
    prepare(clone, USER if user is None else user, Progress(stream=io.StringIO()))
    return tools


def test_killed_at_every_call_the_next_run_finishes(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = len(set_up(clone, monkeypatch).calls)
    assert whole >= ALL_CALLS
    for kill_at in range(1, whole + 1):
        for folder in (".venv", ".sernf", "build", "install", "log"):
            shutil.rmtree(clone / folder, ignore_errors=True)
        with pytest.raises(KeyboardInterrupt):
            set_up(clone, monkeypatch, kill_at)
        set_up(clone, monkeypatch)
        assert halves(clone) == [], f"after a kill in call {kill_at}"
        assert set_up(clone, monkeypatch).calls == [], f"after a kill in call {kill_at}"


def test_killed_again_and_again_it_still_gets_there(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kill_at in (2, 1, 4, 3, 3, 2, 1):
        try:
            set_up(clone, monkeypatch, kill_at)
        except KeyboardInterrupt:
            continue
    set_up(clone, monkeypatch)
    assert halves(clone) == []


def test_downloads_survive_a_kill_during_the_install(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = set_up(clone, monkeypatch).calls
    last_install = len(calls) - calls[::-1].index("install")
    for folder in (".venv", ".sernf", "build", "install"):
        shutil.rmtree(clone / folder)
    with pytest.raises(KeyboardInterrupt):
        set_up(clone, monkeypatch, last_install)
    assert "download" not in set_up(clone, monkeypatch).calls


@pytest.mark.parametrize(
    ("touched", "expected"),
    [
        ("src/alpha_msgs/A.msg", ["colcon", "environment"]),
        ("src/beta/setup.py", ["colcon", "environment"]),
        ("src/beta/beta/module.py", []),
        ("src/beta/test/test_it.py", []),
    ],
)
def test_a_change_rebuilds_only_what_depends_on_it(
    clone: Path, monkeypatch: pytest.MonkeyPatch, touched: str, expected: list[str]
) -> None:
    set_up(clone, monkeypatch)
    (clone / touched).parent.mkdir(exist_ok=True)
    (clone / touched).write_text("# changed\n", encoding="utf-8")
    assert set_up(clone, monkeypatch).calls == expected


def test_a_new_pin_installs_only_itself(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(clone, monkeypatch)
    (clone / "requirements.txt").write_text(PINS.replace("rich==15.0.0", "rich==15.0.1"), encoding="utf-8")
    asked: list[list[str]] = []
    tools = FakeTools(root=clone)

    def run(child: Child, name: str, command: list[str], **options: object) -> str:
        asked.append([word for word in command if "==" in word])
        return tools.run(child, name, command, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Child, "run", run)
    prepare(clone, USER, Progress(stream=io.StringIO()))
    assert [pins for pins in asked if pins] == [["rich==15.0.1"]]
    assert "colcon" not in tools.calls


@pytest.mark.parametrize("lost", [".venv", "install", "build", "install/beta", ".sernf", ".venv/bin/python"])
def test_what_is_deleted_is_made_again(clone: Path, monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    set_up(clone, monkeypatch)
    path = clone / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    set_up(clone, monkeypatch)
    assert set_up(clone, monkeypatch).calls == []
    assert (clone / ".venv" / "bin" / "python").exists()
    assert (clone / "install" / "beta").exists()
    assert (clone / "build" / "beta").exists()


def test_a_package_without_source_is_removed(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(clone, monkeypatch)
    shutil.rmtree(clone / "src" / "beta")
    set_up(clone, monkeypatch)
    assert not (clone / "install" / "beta").exists()
    assert (clone / "install" / "alpha_msgs").exists()


def test_a_clone_that_was_moved_is_set_up_anew(clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    set_up(clone, monkeypatch)
    moved = tmp_path.with_name(tmp_path.name + "-moved")
    clone.rename(moved)
    assert "venv" in set_up(moved, monkeypatch).calls


def test_the_choice_of_torch_is_remembered(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(clone, monkeypatch, user={**USER, "SERNF_TORCH_INDEX": "none"})
    assert set_up(clone, monkeypatch).calls == []
    assert "torch-report" in set_up(clone, monkeypatch, user={**USER, "SERNF_TORCH_INDEX": ""}).calls


def test_a_folder_that_cannot_be_written_is_an_error_that_says_so(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clone / ".sernf").write_text("in the way", encoding="utf-8")
    with pytest.raises(SetupError, match="write under"):
        set_up(clone, monkeypatch)


HOLD = """
import sys; sys.path.insert(0, sys.argv[1])
from pathlib import Path
from sernf_setup.lock import exclusive
with exclusive(Path(sys.argv[2]), print):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_set_ups_never_run_at_once(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(root / "tools"), str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        said: list[str] = []
        with pytest.raises(SetupError, match="other set-up"), exclusive(tmp_path / "lock", said.append, timeout_s=0.5):
            pass
        assert str(other.pid) in said[0]
        other.stdin.close()
        with exclusive(tmp_path / "lock", said.append, timeout_s=30.0):
            pass


def test_an_orphan_keeps_the_lock_until_it_ends(tmp_path: Path) -> None:
    with exclusive(tmp_path / "lock", lambda text: None) as lock:
        child = os.posix_spawn(
            sys.executable, [sys.executable, "-c", "input()"], {**os.environ}, file_actions=_keep(lock, tmp_path)
        )
    with pytest.raises(SetupError, match="other set-up"), exclusive(tmp_path / "lock", lambda text: None, timeout_s=0.5):
        pass
    os.kill(child, 9)
    os.waitpid(child, 0)
    with exclusive(tmp_path / "lock", lambda text: None, timeout_s=30.0):
        pass


def _keep(lock: int, folder: Path) -> list[tuple[int, int, int]]:
    """Standard input that never ends, and the lock as an inherited descriptor."""
    reader, _ = os.pipe()
    return [(os.POSIX_SPAWN_DUP2, reader, 0), (os.POSIX_SPAWN_DUP2, lock, 200)]


def test_the_environment_goes_in_front_and_keeps_the_users_entries() -> None:
    made = Environment(key="k", front={"PATH": ["/venv/bin"]}, fixed={"ROS_DISTRO": "kilted"}, default={"MUJOCO_GL": "egl"})
    applied = made.applied_to({"PATH": "/bin:/venv/bin", "MUJOCO_GL": "glfw", "PYTHONHOME": "/x"})
    assert applied == {"PATH": "/venv/bin:/bin", "MUJOCO_GL": "glfw", "ROS_DISTRO": "kilted"}


def test_progress_tells_each_step_and_counts_downloads() -> None:
    stream = io.StringIO()
    progress = Progress(stream=stream)
    with progress.step("downloads", download=True):
        time.sleep(0.02)
    with progress.step("build"):
        pass
    assert progress.download_s >= 0.02
    assert "downloads: done in" in stream.getvalue()
    assert "build: done in" in stream.getvalue()
