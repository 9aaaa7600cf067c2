"""No installed dependency, direct or indirect, is under the GPL; what has no licence in its metadata is known."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

CHECKED_BY_HAND = {"docutils": "public domain and BSD; the only GPL file is an Emacs mode that the wheel lacks"}
WITHOUT_METADATA = {
    "orca_sim": "states none: loaded where it is installed, never copied (NOTICE)",
    "cmeel-qhull": "Qhull licence, free with attribution, in its package",
    "setuptools": "MIT, in its package",
}
_ROS = re.compile(r"ros-|rclpy|rcutils|rcl_|rmw_|rosidl|ament_|.*_(msgs|interfaces|srvs)$|std_srvs")


def pinned() -> set[str]:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))


def test_no_dependency_is_under_the_gpl() -> None:
    bad, unknown = [], []
    wanted = pinned()
    for package in importlib.metadata.distributions():
        name = package.metadata["Name"]
        if re.sub(r"[-_.]+", "-", name).lower() not in wanted:
            continue
        classifiers = [text for text in package.metadata.get_all("Classifier") or [] if text.startswith("License")]
        said = (
            " ".join(filter(None, [package.metadata.get("License-Expression"), *classifiers]))
            or package.metadata.get("License")
            or ""
        )
        if re.search(r"\b(A?GPL|GNU (Affero )?General Public)", said.split("\n", maxsplit=1)[0]) and name not in CHECKED_BY_HAND:
            bad.append(f"{name}: {said[:80]}")
        if not said.strip() and not _ROS.match(name) and name not in WITHOUT_METADATA:
            unknown.append(name)
    assert bad == []
    assert unknown == [], "find out their licence; add it to NOTICE and here"


def test_emacs_mode_of_docutils_is_not_installed() -> None:
    files = importlib.metadata.distribution("docutils").files or []
    assert not [file for file in files if file.suffix == ".el"]
