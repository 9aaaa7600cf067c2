"""Image encoders: from a part of a picture to a few numbers of the observation vector, once for each picture.

`cnn`: small, trained from nothing; keypoints by a spatial softmax (arXiv 1504.00702), which says where things are with few
pictures. `resnet18`: torchvision's, group norm instead of batch norm. `dinov2`: frozen features of a vision transformer (arXiv
2304.07193) from a local file of weights, and a trained layer behind them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from sernf_policy.layout import CameraView

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DINO_MODEL, DINO_PATCH_PX = "vit_small_patch14_dinov2.lvd142m", 14


STRIDE = 4
"""Pixels of a picture to one place that the cnn tells apart, each way."""
_EXPECTED_OPERATORS = ("nms", "qnms")


class VisionError(RuntimeError):
    """An encoder that cannot be built; the message says what is missing and where to put it."""


@dataclass(frozen=True, kw_only=True)
class VisionConfig:
    """`encoder`: cnn, resnet18 or dinov2. `channels`: of the cnn, and so its keypoints. `weights`: file of pretrained weights
    (safetensors); dinov2 needs one, resnet18 may have one. Weights of trained policies hold all of it: no file is needed then.
    """

    encoder: str = "cnn"
    channels: int = 32
    weights: str = ""

    def __post_init__(self) -> None:
        if self.encoder not in ENCODERS:
            raise ValueError(f"encoder: expected one of {', '.join(ENCODERS)}, got {self.encoder!r}")
        if self.channels < 4 or self.channels % 4:
            raise ValueError(f"channels: expected a multiple of 4, got {self.channels}")


class CnnEncoder(nn.Module):
    """(B, 3, h, w) in 0..1 -> (B, features)."""

    def __init__(self, view: CameraView, config: VisionConfig) -> None:
        super().__init__()
        width, height = view.size_px
        channels = config.channels
        self.network = nn.Sequential(
            # Overlapping patches at once: as fine a grid as two convolutions of stride 2 would give, in half of the time.
            nn.Conv2d(3, channels, 2 * STRIDE, stride=STRIDE, padding=STRIDE // 2), nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1), nn.SiLU(),
            nn.Conv2d(channels, channels, 1),
        )  # fmt: skip
        # So signals keep their size without layers that normalise them, which would take half of the time.
        for layer in self.network:
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        rows, columns = (size // STRIDE for size in (height, width))
        grid = torch.meshgrid(torch.linspace(-1, 1, rows), torch.linspace(-1, 1, columns), indexing="ij")
        self.register_buffer("places", torch.stack([axis.flatten() for axis in reversed(grid)], dim=1), persistent=False)
        self.head = nn.Sequential(nn.Linear(2 * channels, view.features), nn.LayerNorm(view.features))

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        centred = (2.0 * images - 1.0).contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.training and _multiplies_bfloat16(images.device)):
            maps = self.network(centred)
        keypoints = maps.float().flatten(2).softmax(-1) @ self.places
        features: Tensor = self.head(keypoints.flatten(1))
        return features


class ResnetEncoder(nn.Module):
    """(B, 3, h, w) in 0..1 -> (B, features)."""

    def __init__(self, view: CameraView, config: VisionConfig) -> None:
        super().__init__()
        _torchvision()
        from torchvision.models import resnet18
        from torchvision.transforms import Normalize

        # Statistics over batches would differ between training and a single picture on the robot.
        self.network = resnet18(norm_layer=lambda size: nn.GroupNorm(16, size), num_classes=1)
        if config.weights:
            load_pretrained(self.network, config.weights, leave_out=("fc.",), partly=True)
        self.network.fc = nn.Sequential(nn.Linear(512, view.features), nn.LayerNorm(view.features))
        self.scale = Normalize(IMAGENET_MEAN, IMAGENET_STD)

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        features: Tensor = self.network(self.scale(images))
        return features


class DinoEncoder(nn.Module):
    """(B, 3, h, w) in 0..1 -> (B, features); only the last layer is trained."""

    def __init__(self, view: CameraView, config: VisionConfig) -> None:
        super().__init__()
        _torchvision()
        import timm
        from torchvision.transforms import Normalize

        self.size = tuple(max(1, round(size / DINO_PATCH_PX)) * DINO_PATCH_PX for size in reversed(view.size_px))
        self.network = timm.create_model(DINO_MODEL, pretrained=False, img_size=self.size, num_classes=0)
        if config.weights:
            load_pretrained(self.network, config.weights)
        self.network.eval().requires_grad_(False)
        self.head = nn.Sequential(nn.Linear(2 * self.network.embed_dim, view.features), nn.LayerNorm(view.features))
        self.scale = Normalize(IMAGENET_MEAN, IMAGENET_STD)

    def train(self, mode: bool = True) -> DinoEncoder:
        """The frozen part stays as it runs."""
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        resized = nn.functional.interpolate(images, self.size, mode="bilinear", align_corners=False)
        tokens = self.network.forward_features(self.scale(resized))
        features: Tensor = self.head(torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], dim=-1))
        return features


ENCODERS: dict[str, Callable[[CameraView, VisionConfig], nn.Module]] = {
    "cnn": CnnEncoder, "resnet18": ResnetEncoder, "dinov2": DinoEncoder,
}  # fmt: skip
"""Name -> constructor."""


class Eyes(nn.Module):
    """One encoder for each camera of a layout."""

    def __init__(self, cameras: tuple[CameraView, ...], config: VisionConfig) -> None:
        super().__init__()
        self.cameras = cameras
        self.encoders = nn.ModuleDict({view.name: ENCODERS[config.encoder](view, config) for view in cameras})

    def forward(self, images: dict[str, Tensor]) -> dict[str, Tensor]:
        """Camera -> (B, h, w, 3) uint8 -> camera -> (B, features)."""
        return {name: self.encoders[name](batch.movedim(-1, 1).float() / 255.0) for name, batch in images.items()}


def _multiplies_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster there; where it is emulated it would be slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _torchvision() -> None:
    """Make torchvision importable.

    Its wheel on PyPI is built against torch with CUDA; beside another build its compiled operators are not loaded, and it
    stops at the two whose names it expects. Nothing here uses them.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "does not exist" not in str(error):
            raise
        for name in _EXPECTED_OPERATORS:
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def load_pretrained(network: nn.Module, file: str, *, leave_out: tuple[str, ...] = (), partly: bool = False) -> None:
    """Weights of `network` from a safetensors file. Raises VisionError, which says what to do."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(file).expanduser()
    if not path.is_file():
        raise VisionError(
            f"vision.weights: expected pretrained weights in {path}, found no such file; nothing is downloaded at run time: "
            "save them there with safetensors on a machine that has them, or choose the encoder cnn"
        )
    try:
        tensors = {name: tensor for name, tensor in load_file(path).items() if not name.startswith(leave_out or ("\0",))}
        known = network.state_dict()
        fitting = {name: tensor for name, tensor in tensors.items() if name in known and known[name].shape == tensor.shape}
        missing = [name for name in known if name not in fitting and not name.startswith(leave_out or ("\0",))]
        if missing and not partly:
            raise VisionError(
                f"{path}: expected weights for {len(known)} tensors, got {len(fitting)} that fit; {missing[0]} is missing"
            )
        network.load_state_dict(fitting, strict=False)
    except SafetensorError as error:
        raise VisionError(f"{path}: not a safetensors file: {error}") from error
