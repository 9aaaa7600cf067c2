"""Configuration files are found, and it is said where they were looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from sernf_robot.config import ConfigError
from sernf_robot.config_files import config_path


def test_finds_the_source_tree_s_files() -> None:
    assert config_path("limits.yaml").is_file()


def test_the_variable_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "limits.yaml").write_text("")
    monkeypatch.setenv("SERNF_CONFIG_DIR", str(tmp_path))
    assert config_path("limits.yaml") == tmp_path / "limits.yaml"
    with pytest.raises(ConfigError, match=f"looked in {tmp_path}"):
        config_path("workspace.yaml")
