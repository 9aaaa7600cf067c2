"""Cameras fail in many ways: each is named, stops the policy, and ends when it ends."""

from __future__ import annotations

import numpy as np
import pytest

from sernf_policy.camera_watch import CameraConfig, CameraWatch
from sernf_policy.layout import CameraView

MS = 1_000_000
PERIOD_NS = 100 * MS
FRONT = CameraView(name="front", source_px=(64, 48), size_px=(32, 32))
WRIST = CameraView(name="wrist", source_px=(64, 48), size_px=(32, 32))


class Cameras:
    """Two that work, until told otherwise."""

    def __init__(self) -> None:
        self.watch = CameraWatch(CameraConfig())
        self.now_ns = 1_000_000 * MS
        self.encodings = {"front": "rgb8", "wrist": "rgb8"}
        self.size = (48, 64)
        self.silent: set[str] = set()
        self.frozen: set[str] = set()
        self.late_ns: dict[str, int] = {}
        self._rng = np.random.default_rng(0)
        self._content = dict.fromkeys(self.encodings, b"")

    def run(self, frames: int) -> str:
        """The obstacle after so many more frames, 20 ms after the last."""
        for _ in range(frames):
            self.now_ns += PERIOD_NS
            stamps = {}
            for name, encoding in self.encodings.items():
                if name in self.silent:
                    continue
                if name not in self.frozen:
                    self._content[name] = self._rng.bytes(100)
                stamps[name] = self.now_ns - self.late_ns.get(name, 20 * MS)
                self.watch.arrived(name, stamps[name], encoding, self._content[name])
            if len(stamps) == 2 and abs(stamps["front"] - stamps["wrist"]) < 50 * MS:
                pictures = {name: np.zeros((*self.size, 3), dtype=np.uint8) for name in stamps}
                self.watch.matched(min(stamps.values()), pictures)
        return self.watch.obstacle(self.now_ns + 20 * MS, (FRONT, WRIST))


@pytest.fixture
def cameras() -> Cameras:
    working = Cameras()
    assert working.run(10) == ""
    return working


def test_before_the_first_picture_the_camera_is_named() -> None:
    assert CameraWatch(CameraConfig()).obstacle(0, (FRONT,)).startswith("camera/front/image_raw: no picture yet")


def test_a_policy_without_cameras_does_not_care() -> None:
    assert CameraWatch(CameraConfig()).obstacle(0, ()) == ""


def test_a_silent_camera(cameras: Cameras) -> None:
    cameras.silent = {"wrist"}
    assert cameras.run(1) == ""
    assert cameras.run(4).startswith("camera/wrist/image_raw: the newest picture is ")
    cameras.silent = set()
    assert cameras.run(1) == ""


def test_a_frozen_camera(cameras: Cameras) -> None:
    cameras.frozen = {"front"}
    assert cameras.run(3) == ""
    assert "frozen" in cameras.run(1)
    cameras.frozen = set()
    assert cameras.run(1) == ""


def test_a_camera_that_lags(cameras: Cameras) -> None:
    cameras.late_ns = {"front": 500 * MS}
    assert "is 0.5" in cameras.run(6)
    cameras.late_ns = {}
    assert cameras.run(1) == ""


def test_cameras_whose_clocks_differ(cameras: Cameras) -> None:
    watch = cameras.watch
    assert (watch.received, watch.matched_pictures) == (20, 20)
    cameras.late_ns = {"front": 120 * MS}
    assert cameras.run(6).startswith("cameras front, wrist: no pictures taken within 0.05 s of each other")
    assert (watch.received, watch.matched_pictures) == (32, 20)
    cameras.late_ns = {}
    assert cameras.run(1) == ""


def test_another_resolution(cameras: Cameras) -> None:
    cameras.size = (96, 128)
    assert cameras.run(1).startswith("camera/front/image_raw: expected pictures of 64 x 48, got 128 x 96")
    cameras.size = (48, 64)
    assert cameras.run(1) == ""


def test_another_encoding_waits_for_somebody_to_look(cameras: Cameras) -> None:
    cameras.encodings["wrist"] = "bgr8"
    assert cameras.run(1).startswith("camera/wrist/image_raw: expected rgb8 as before, got bgr8")
    cameras.watch.accept_encodings()
    assert cameras.run(1) == ""


def test_an_encoding_that_nobody_can_accept(cameras: Cameras) -> None:
    cameras.encodings["front"] = "mono8"
    cameras.run(1)
    cameras.watch.accept_encodings()
    assert cameras.run(1).startswith("camera/front/image_raw: expected pictures as rgb8 or bgr8, got mono8")
    cameras.encodings["front"] = "rgb8"
    assert cameras.run(1) == ""


@pytest.mark.parametrize("wrong", [{"oldest_s": 0.0}, {"slop_s": 11.0}, {"most_repeats": 0}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        CameraConfig(**wrong)  # type: ignore[arg-type]
