"""How pictures are varied while eyes are trained. Data alone, without torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ImageAugmentation:
    """`shift_px`: most by which a picture is displaced, its edge repeated (DrQ, arXiv 2004.13649). `brightness`, `contrast`,
    `colour`: most by which these are changed, in shares. 0 leaves it out.
    """

    shift_px: int = 3
    brightness: float = 0.15
    contrast: float = 0.15
    colour: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.shift_px <= 32:
            raise ValueError(f"shift_px: expected 0 to 32, got {self.shift_px}")
        for name in ("brightness", "contrast", "colour"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"{name}: expected at least 0 and less than 1, got {getattr(self, name)}")
