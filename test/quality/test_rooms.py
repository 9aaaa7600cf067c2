"""Packages import what their manifests say, pure packages know nothing of ROS, and rosdep finds everything it can."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted(path.parent.name for path in (ROOT / "src").glob("*/setup.py"))

ROSDEP_KEYS = {
    "numpy": "python3-numpy",
    "yaml": "python3-yaml",
    "rich": "python3-rich",
    "typer": "python3-typer-pip",
    "matplotlib": "python3-matplotlib",
    "cv2": "python3-opencv",
}
FROM_REQUIREMENTS = {
    "mujoco", "ruckig", "rosbags", "mcap", "gymnasium", "torch", "safetensors", "franky", "franky_sim", "orca_core", "orca_sim",
    "dynamixel_sdk", "zstandard", "onnx", "onnxruntime", "tensorboard", "timm", "torchvision",
}  # fmt: skip
"""No rosdep key in every supported distribution: `./sernf` and docker/ install them from requirements.txt."""

BY_DEFAULT = {"ament_index_python", "rosidl_runtime_py"}
TIES = {("sernf_hw_bridge", "sernf_sim")}
"""Imported only inside backend `sim`; a dependency would close a circle, so package `sernf` depends on both."""


def imports_of(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name.partition(".")[0]) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
                yield path, node.module.partition(".")[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_manifest_names_every_import(package: str) -> None:
    manifest = (ROOT / "src" / package / "package.xml").read_text(encoding="utf-8")
    named = set(re.findall(r"<(?:exec_|run_|build_)?depend>\s*([\w-]+)\s*</", manifest))
    missing = set()
    for path, module in imports_of(ROOT / "src" / package / package):
        if module in sys.stdlib_module_names or module in FROM_REQUIREMENTS | BY_DEFAULT or module == package:
            continue
        key = ROSDEP_KEYS.get(module, module)
        if key not in named and (package, module) not in TIES:
            missing.add(f"{key} ({path.name})")
    assert missing == set(), f"add <exec_depend> to src/{package}/package.xml"


def test_the_facts_of_the_robot_know_nothing_of_ros() -> None:
    modules = {module for _, module in imports_of(ROOT / "src" / "sernf_robot" / "sernf_robot")}
    assert not [module for module in modules if module in ("rclpy", "sernf_node") or module.endswith("_msgs")]


def test_what_rosdep_lacks_is_pinned() -> None:
    pinned = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    names = {"franky": "franky-control"}
    missing = [module for module in FROM_REQUIREMENTS if f"\n{names.get(module, module).replace('_', '-')}==" not in pinned]
    assert missing == []


def test_every_manifest_has_what_rosdep_and_bloom_need() -> None:
    for manifest in (*ROOT.glob("src/*/package.xml"), *ROOT.glob("pip_ros/*/package.xml")):
        text = manifest.read_text(encoding="utf-8")
        assert "<license>Apache-2.0</license>" in text, manifest
        assert re.search(r"<build_type>ament_(python|cmake)</build_type>", text), manifest
        assert f"<name>{manifest.parent.name}</name>" in text, manifest
