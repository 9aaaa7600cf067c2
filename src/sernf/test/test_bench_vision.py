"""Which command came of which picture, and the parts of the vision bench that need no graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sernf.bench import vision
from sernf_policy.layout import SEEN_OBSERVATION, PolicyLayout
from sernf_policy.policy_node import TIMING_COLUMNS
from sernf_policy.vision import VisionConfig
from sernf_sim.video_camera_node import read_video

MS = 1_000_000


def tick(pictures_ms: int, sent_ms: int, *, commanded: bool = True) -> tuple[int, int, int, int, int, bool]:
    return 0, 0, 0, pictures_ms * MS, sent_ms * MS, commanded


def test_the_first_command_of_each_picture_counts_and_those_without_one_are_missing() -> None:
    rows = [tick(0, 20), tick(100, 130), tick(100, 150), tick(200, 240, commanded=False), tick(300, 345)]
    found = vision.commanded_ms(np.array(rows, dtype=TIMING_COLUMNS), np.array([100, 200, 300]) * MS)
    assert found.tolist() == [30.0, 45.0]


def test_cameras_play_noisy_pictures_of_both_views(tmp_path: Path) -> None:
    videos = vision._record(tmp_path)
    assert list(videos) == ["front", "wrist"]
    for file in videos.values():
        frames = read_video(file)
        assert len(frames) == vision.VIDEO_FRAMES
        assert frames[0].shape == (128, 128, 3)
        assert not np.array_equal(frames[0], frames[1])


def test_encoder_and_training_are_measured() -> None:
    layout = PolicyLayout(task="duck", observation=SEEN_OBSERVATION, cameras=vision.CAMERAS)
    durations_s = vision._encode(layout, VisionConfig())
    assert len(durations_s) == vision.ENCODER_CALLS * 9 // 10
    assert min(durations_s) > 0.0
    assert vision._train(0.1) > 0.0
