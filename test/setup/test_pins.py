"""The file of pins is whole, exact, and free of what must not be installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sernf_setup.errors import SetupError
from sernf_setup.pins import Pin, installed, read_pins, wheel_of

MINORS = [10, 11, 12, 13]


@pytest.mark.parametrize("minor", MINORS)
def test_the_projects_pins_can_be_read(root: Path, minor: int) -> None:
    sections = read_pins(root / "requirements.txt", minor)
    names = [pin.name for pins in sections.values() for pin in pins]
    assert [pin.name for pin in sections["torch"]] == ["torch"]
    assert {"ros-rclpy", "mujoco", "numpy", "rosbags", "pytest"} <= set(names)
    assert not [name for name in names if re.match(r"nvidia|cuda|triton", name)]
    assert not [name for name in names if name.startswith(("ros-jazzy", "ros-fastrtps"))]


@pytest.mark.parametrize("line", ["numpy", "numpy>=2", "NumPy==2", 'numpy==2; sys_platform == "linux"', "-r other.txt"])
def test_an_inexact_line_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(f"# [python]\n{line}\n", encoding="utf-8")
    with pytest.raises(SetupError, match="line 2"):
        read_pins(path, 11)


def test_a_package_pinned_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text('# [python]\nnumpy==2.4\nnumpy==2.2; python_version < "3.11"\n', encoding="utf-8")
    assert read_pins(path, 12)["python"] == [Pin(name="numpy", version="2.4")]
    with pytest.raises(SetupError, match="once"):
        read_pins(path, 10)


def test_what_is_installed_is_known_and_half_installed_is_not(tmp_path: Path) -> None:
    (tmp_path / "torch-2.13.0+cpu.dist-info").mkdir()
    (tmp_path / "torch-2.13.0+cpu.dist-info" / "RECORD").touch()
    (tmp_path / "half_done-1.0.dist-info").mkdir()
    assert installed(tmp_path) == {"torch": "2.13.0"}


def test_a_wheel_is_found_by_its_package_and_version(tmp_path: Path) -> None:
    (tmp_path / "ros_rclpy-9.1.2-cp311-cp311-manylinux_2_28_x86_64.whl").touch()
    (tmp_path / "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl").touch()
    assert wheel_of(Pin(name="ros-rclpy", version="9.1.2"), tmp_path) is not None
    assert wheel_of(Pin(name="torch", version="2.13.0"), tmp_path) is not None
    assert wheel_of(Pin(name="ros-rclpy", version="9.1.3"), tmp_path) is None
