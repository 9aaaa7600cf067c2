"""A policy's eyes as ONNX graphs: `picture` (1, h, w, 3) uint8 -> `features` (1, F). Exported by torch."""

from __future__ import annotations

import io
import warnings

import torch
from torch import Tensor, nn

from sernf_policy.vision import Eyes

OPSET = 17


class _Eye(nn.Module):
    """From bytes as they lie in a picture."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, picture: Tensor) -> Tensor:
        features: Tensor = self.encoder(picture.permute(0, 3, 1, 2).float() / 255.0)
        return features


def eyes_graphs(eyes: Eyes) -> dict[str, bytes]:
    """One graph for each camera."""
    return {view.name: _graph(eyes.encoders[view.name], view.size_px) for view in eyes.cameras}


def _graph(encoder: nn.Module, size_px: tuple[int, int]) -> bytes:
    width, height = size_px
    picture, file = torch.zeros((1, height, width, 3), dtype=torch.uint8), io.BytesIO()
    with warnings.catch_warnings():
        # The exporter that needs nothing but torch and onnx; what it says about its successor is no news to our users.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Eye(encoder).eval(), (picture,), file,  # type: ignore[arg-type]  # takes files too, says its documentation
            input_names=["picture"], output_names=["features"], opset_version=OPSET,
            dynamo=False,
        )  # fmt: skip
    return file.getvalue()
