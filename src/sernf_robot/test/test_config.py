"""Configuration files: what is wrong is named by file and key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from sernf_robot.config import ConfigError, from_mapping, load_config


@dataclass(frozen=True, kw_only=True)
class Inner:
    width_m: float


@dataclass(frozen=True, kw_only=True)
class Example:
    period_s: float
    name: str = "example"
    count: int = 3
    kind: Literal["a", "b"] = "a"
    point_m: tuple[float, float] = (0.0, 0.0)
    inner: Inner | None = None
    parts: dict[str, Inner] | None = None

    def __post_init__(self) -> None:
        if self.period_s <= 0:
            raise ValueError(f"period_s: expected a positive number, got {self.period_s}")


def test_reads_nested_values_and_keeps_defaults(tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text("period_s: 1\npoint_m: [1, 2.5]\ninner: {width_m: 0.5}\nparts: {x: {width_m: 2}}\n")
    example = load_config(Example, path)
    assert example == Example(period_s=1.0, point_m=(1.0, 2.5), inner=Inner(width_m=0.5), parts={"x": Inner(width_m=2.0)})


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text("period_s: 1\n")
    assert load_config(Example, path, {"period_s": 2.0}).period_s == 2.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"period_s": 1, "nmae": "x"}, "unknown key 'nmae'; did you mean 'name'"),
        ({"period_ms": 1}, "unknown key 'period_ms': wrong unit, expected 'period_s'"),
        ({}, "missing key 'period_s'"),
        ({"period_s": "fast"}, "period_s: expected a number, got 'fast'"),
        ({"period_s": True}, "period_s: expected a number"),
        ({"period_s": 1, "count": 1.5}, "count: expected a whole number"),
        ({"period_s": 1, "kind": "c"}, "kind: expected one of 'a', 'b'"),
        ({"period_s": 1, "point_m": [1]}, "point_m: expected a list of 2 values"),
        ({"period_s": 1, "inner": {"width_mm": 1}}, "inner: unknown key 'width_mm': wrong unit, expected 'width_m'"),
        ({"period_s": 1, "parts": {"x": {}}}, r"parts\.x: missing key 'width_m'"),
        ({"period_s": -1}, "period_s: expected a positive number"),
    ],
)
def test_names_file_and_key_of_what_is_wrong(content: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        from_mapping(Example, content, where="some.yaml")
    assert str(caught.value).startswith("some.yaml")


@pytest.mark.parametrize("text", ["- 1\n", "a: [1\n", "just text"])
def test_refuses_what_is_not_a_mapping(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        load_config(Example, path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.yaml: cannot be read"):
        load_config(Example, tmp_path / "nothing.yaml")
