"""Pictures of a bag: what was known at each tick, raw or compressed, cropped as the policy sees it, decoded once."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from recordings import JOINTS, Recording, beat, scripted

from sernf_learner import camera_streams
from sernf_learner.bag_reader import Reading, read_ticks
from sernf_learner.episode_cache import EpisodeCache
from sernf_policy.layout import CameraView
from sernf_teleop.episode_files import EpisodeError

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
FRONT = CameraView(name="front", source_px=(32, 24), crop=(0.5, 0.0, 1.0, 1.0), size_px=(16, 24))
READING = Reading(joint_names=JOINTS, cameras=(FRONT,))


def picture(number: int) -> np.ndarray:
    """(24, 32, 3) RGB; the right half tells its number, the left half something else."""
    shown = np.full((24, 32, 3), 200, dtype=np.uint8)
    shown[:, 16:] = (10 * number, 100, 5 * number)
    return shown


def recorded(codec: str = "", encoding: str = "rgb8", frames: int = 4, late_ms: float = 30.0) -> Recording:
    """Pictures every 100 ms from 0 ms on, which come `late_ms` after they were taken; commands every 50 ms from 100 ms on."""
    recording = scripted(beat(5), end_ms=500)
    for number in range(frames):
        at_ms, shown = 100.0 * number, picture(number)
        if codec:
            data = np.frombuffer(cv2.imencode(f".{codec}", shown[..., ::-1])[1].tobytes(), dtype=np.uint8)
            values = {"format": codec, "data": data}
            recording.add("camera/front/image_raw/compressed", COMPRESSED, at_ms, arrives_ms=at_ms + late_ms, **values)
        else:
            given = shown if encoding == "rgb8" else shown[..., ::-1]
            values = {"height": 24, "width": 32, "encoding": encoding, "step": 96, "data": given.reshape(-1)}
            recording.add("camera/front/image_raw", IMAGE, at_ms, arrives_ms=at_ms + late_ms, **values)
    return recording


@pytest.mark.parametrize("kind", [{}, {"encoding": "bgr8"}, {"codec": "png"}])
def test_a_tick_has_the_newest_picture_that_had_come(tmp_path: Path, kind: dict[str, str]) -> None:
    ticks = read_ticks(recorded(**kind).write(tmp_path / "e"), READING)  # type: ignore[arg-type]
    # Decided at 100, 150, 200, ... ms; pictures had come at 30, 130, 230 ms.
    seen = ticks.images["front"]
    assert seen.shape == (len(ticks), 24, 16, 3)
    assert [int(value) for value in seen[:, 0, 0, 0]] == [0, 10, 10, 20, 20]
    assert (seen[..., 1] == 100).all()


def test_jpeg_loses_a_little(tmp_path: Path) -> None:
    ticks = read_ticks(recorded(codec="jpg").write(tmp_path / "e"), READING)
    np.testing.assert_allclose(ticks.images["front"][-1][:, 4:], picture(2)[:, 20:], atol=6)  # colours blur at the edge


def test_before_the_first_picture_nothing_is_learnt(tmp_path: Path) -> None:
    ticks = read_ticks(recorded(late_ms=80.0 + 100.0).write(tmp_path / "e"), READING)
    assert len(ticks) == 3


def test_an_episode_without_pictures_is_refused(tmp_path: Path) -> None:
    info = scripted(beat(4), end_ms=400).write(tmp_path / "e")
    with pytest.raises(EpisodeError, match="expected pictures of the camera front"):
        read_ticks(info, READING)


def test_pictures_of_another_size_are_refused(tmp_path: Path) -> None:
    other = Reading(joint_names=JOINTS, cameras=(CameraView(name="front", source_px=(64, 48)),))
    with pytest.raises(EpisodeError, match="expected pictures of 64 x 48"):
        read_ticks(recorded().write(tmp_path / "e"), other)


def test_pictures_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info, cache = recorded(codec="png").write(tmp_path / "data" / "e"), EpisodeCache(tmp_path / "cache")
    first = cache.read(info, READING)

    def decoded_again(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(camera_streams, "_rgb", decoded_again)
    again = cache.read(info, READING)
    np.testing.assert_array_equal(again.images["front"], first.images["front"])


def test_another_crop_is_another_reading(tmp_path: Path) -> None:
    info, cache = recorded().write(tmp_path / "data" / "e"), EpisodeCache(tmp_path / "cache")
    left = Reading(joint_names=JOINTS, cameras=(CameraView(name="front", source_px=(32, 24), size_px=(32, 24)),))
    assert cache.read(info, READING).images["front"].shape[2] == 16
    assert cache.read(info, left).images["front"].shape[2] == 32
