"""Eyes: every encoder sees, learns where things are and runs as a graph; pretrained weights are read from files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sernf_policy.engine import session
from sernf_policy.layout import CameraView, LayoutError, PolicyLayout
from sernf_policy.pictures import PictureError, seen_part
from sernf_policy.policy import ChunkPolicy, PolicyConfig
from sernf_policy.vision import DINO_MODEL, ENCODERS, DinoEncoder, Eyes, VisionConfig, VisionError
from sernf_policy.vision_graph import eyes_graphs

VIEW = CameraView(name="front", size_px=(56, 42), features=8)
CAMERAS = (VIEW, CameraView(name="wrist", size_px=(32, 32), features=4))


def pictures(count: int, view: CameraView = VIEW) -> torch.Tensor:
    return torch.randint(0, 256, (count, *reversed(view.size_px), 3), dtype=torch.uint8)


@pytest.mark.parametrize("encoder", sorted(ENCODERS))
def test_every_encoder_runs_as_a_graph(encoder: str) -> None:
    torch.manual_seed(0)
    eyes = Eyes(CAMERAS, VisionConfig(encoder=encoder)).eval()
    graphs = eyes_graphs(eyes)
    for view in CAMERAS:
        seen = pictures(1, view)
        with torch.no_grad():
            expected = eyes({view.name: seen})[view.name].numpy()
        got = session(graphs[view.name], 1).run(None, {"picture": seen.numpy()})[0]
        assert got.shape == (1, view.features)
        np.testing.assert_allclose(got, expected, atol=1e-4)


@pytest.mark.parametrize("encoder", ["cnn", "resnet18"])
def test_a_single_picture_is_seen_as_in_a_batch(encoder: str) -> None:
    eyes = Eyes((VIEW,), VisionConfig(encoder=encoder))
    batch = pictures(3)
    together = eyes({"front": batch})["front"]
    torch.testing.assert_close(eyes({"front": batch[1:2]})["front"], together[1:2], atol=1e-4, rtol=1e-4)


def test_the_cnn_learns_where_a_spot_is() -> None:
    torch.manual_seed(0)
    eyes = Eyes((VIEW,), VisionConfig())
    head = torch.nn.Linear(VIEW.features, 2)
    optimiser = torch.optim.Adam([*eyes.parameters(), *head.parameters()], lr=3e-3)
    width, height = VIEW.size_px

    def batch(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        shown = torch.randint(90, 110, (count, height, width, 3), dtype=torch.uint8)
        columns, rows = torch.randint(4, width - 4, (count,)), torch.randint(4, height - 4, (count,))
        for number in range(count):
            shown[number, rows[number] - 3 : rows[number] + 3, columns[number] - 3 : columns[number] + 3, 0] = 250
        return shown, torch.stack([columns / width, rows / height], dim=1)

    for _ in range(150):
        shown, places = batch(32)
        loss = (head(eyes({"front": shown})["front"]) - places).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    shown, places = batch(64)
    with torch.no_grad():
        error = (head(eyes({"front": shown})["front"]) - places).abs().mean()
    assert error < 0.04


def test_frozen_features_stay_frozen_and_the_layer_behind_learns() -> None:
    encoder = DinoEncoder(VIEW, VisionConfig(encoder="dinov2")).train()
    assert not encoder.network.training
    encoder(torch.rand(1, 3, 42, 56)).square().sum().backward()
    assert all(parameter.grad is None for parameter in encoder.network.parameters())
    assert all(parameter.grad is not None for parameter in encoder.head.parameters())


def test_pretrained_weights_are_read_from_a_file(tmp_path: Path) -> None:
    import timm

    torch.manual_seed(1)
    file = tmp_path / "dinov2.safetensors"
    first = DinoEncoder(VIEW, VisionConfig(encoder="dinov2"))
    network = timm.create_model(DINO_MODEL, pretrained=False, img_size=first.size, num_classes=0)
    save_file(network.state_dict(), file)
    read = DinoEncoder(VIEW, VisionConfig(encoder="dinov2", weights=str(file)))
    torch.testing.assert_close(read.network.state_dict(), network.state_dict())


def test_a_missing_file_of_weights_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(VisionError, match="found no such file; nothing is downloaded"):
        DinoEncoder(VIEW, VisionConfig(encoder="dinov2", weights=str(tmp_path / "none.safetensors")))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    save_file({"something": torch.zeros(3)}, file)
    with pytest.raises(VisionError, match="expected weights for"):
        DinoEncoder(VIEW, VisionConfig(encoder="dinov2", weights=str(file)))
    file.write_bytes(b"nonsense")
    with pytest.raises(VisionError, match="not a safetensors file"):
        DinoEncoder(VIEW, VisionConfig(encoder="dinov2", weights=str(file)))


def test_a_policy_puts_what_it_sees_where_its_layout_says() -> None:
    layout = PolicyLayout(
        task="scissors", observation=("image/wrist", "commanded_position", "image/front"), cameras=CAMERAS, horizon=4
    )
    policy = ChunkPolicy(layout, PolicyConfig())
    vectors = torch.randn(2, layout.observation_size)
    seen = policy.seeing(vectors, {view.name: pictures(2, view) for view in CAMERAS})
    commanded = layout.slice_of("commanded_position")
    assert torch.equal(seen[:, commanded], vectors[:, commanded])
    for view in CAMERAS:
        assert not torch.equal(seen[:, layout.slice_of(f"image/{view.name}")], vectors[:, layout.slice_of(f"image/{view.name}")])
    assert policy.seeing(vectors, {}) is vectors


@pytest.mark.parametrize(
    "wrong",
    [
        {"observation": ("commanded_position", "image/front")}, {"cameras": (VIEW,), "observation": ("commanded_position",)},
        {"cameras": (VIEW,), "observation": ("commanded_position", "image/front@2", "image/front")},
    ],
)  # fmt: skip
def test_layouts_whose_cameras_do_not_fit_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(LayoutError, match=r"image|camera"):
        PolicyLayout(task="scissors", **wrong)  # type: ignore[arg-type]


def test_a_part_of_the_picture_is_cut_out_and_resized() -> None:
    view = CameraView(name="front", source_px=(80, 60), crop=(0.5, 0.0, 1.0, 0.5), size_px=(20, 16))
    picture = np.zeros((60, 80, 3), dtype=np.uint8)
    picture[:30, 40:] = (10, 20, 30)
    part = seen_part(picture, view)
    assert part.shape == (16, 20, 3)
    assert (part == (10, 20, 30)).all()


def test_another_size_is_refused() -> None:
    with pytest.raises(PictureError, match="expected pictures of 128 x 128"):
        seen_part(np.zeros((64, 64, 3), dtype=np.uint8), VIEW)


@pytest.mark.parametrize("wrong", [{"crop": (0.5, 0.0, 0.5, 1.0)}, {"size_px": (4, 64)}, {"features": 0}])
def test_views_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(LayoutError):
        dataclasses.replace(VIEW, **wrong)  # type: ignore[arg-type]
