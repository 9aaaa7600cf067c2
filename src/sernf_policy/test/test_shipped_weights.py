"""Names of weights become files, and what is not there is said with what is."""

from __future__ import annotations

from pathlib import Path

import pytest

from sernf_policy import shipped_weights as module
from sernf_policy.shipped_weights import ShippedWeightsError, shipped_weights, weights_path


@pytest.fixture
def share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The weights of task juggle, in an install prefix."""
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path}")
    folder = tmp_path / "share/sernf_policy/weights/juggle"
    folder.mkdir(parents=True)
    return folder


def ship(folder: Path, *names: str) -> None:
    for name in names:
        (folder / f"{name}.safetensors").touch()


def test_the_last_stage_that_is_there_is_the_default(share: Path) -> None:
    ship(share, "imitation", "teacher")
    assert weights_path("", "juggle") == share / "imitation.safetensors"
    ship(share, "offline")
    assert weights_path("", "juggle") == share / "offline.safetensors"
    ship(share, "online")
    assert weights_path("", "juggle") == share / "online.safetensors"
    assert list(shipped_weights("juggle")) == ["imitation", "offline", "online", "teacher"]


def test_names_and_paths(share: Path, tmp_path: Path) -> None:
    ship(share, "imitation", "teacher")
    ship(tmp_path, "own")
    assert weights_path("teacher", "juggle") == share / "teacher.safetensors"
    assert weights_path(str(tmp_path / "own.safetensors"), "juggle") == tmp_path / "own.safetensors"
    assert weights_path(str(tmp_path / "own"), "juggle") == tmp_path / "own"


def test_the_source_tree_comes_first(share: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tmp_path / "src/sernf_policy"
    (tree / "weights/juggle").mkdir(parents=True)
    ship(tree / "weights/juggle", "online")
    ship(share, "online", "imitation")
    monkeypatch.setattr(module, "__file__", str(tree / "sernf_policy/shipped_weights.py"))
    assert weights_path("online", "juggle") == tree / "weights/juggle/online.safetensors"
    assert weights_path("imitation", "juggle") == share / "imitation.safetensors"


def test_what_is_missing_is_said_with_what_there_is(share: Path) -> None:
    with pytest.raises(ShippedWeightsError, match="no weights are shipped for task juggle"):
        weights_path("", "juggle")
    ship(share, "imitation", "teacher")
    with pytest.raises(ShippedWeightsError, match="shipped for task juggle: imitation, teacher"):
        weights_path("onlin", "juggle")
    with pytest.raises(ShippedWeightsError, match=r"there is no file /no/such\.safetensors"):
        weights_path("/no/such.safetensors", "juggle")
