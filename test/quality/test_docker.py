"""What can be checked of docker/ without building: copied files and commands exist, base images are the official ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = sorted((ROOT / "docker").glob("Dockerfile.*"))


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_dockerfile(path: Path) -> None:
    lines = re.sub(r"\\\n", " ", path.read_text(encoding="utf-8")).splitlines()
    steps = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    assert {step[0] for step in steps} <= {"FROM", "SHELL", "ENV", "RUN", "WORKDIR", "COPY", "ARG", "ENTRYPOINT", "CMD"}
    assert steps[0] == ["FROM", "ros:kilted-ros-base"]
    for word, rest in steps:
        if word == "COPY":
            assert (ROOT / rest.split()[0]).exists(), rest
        if word == "RUN" and "apt-get install" in rest:
            assert "apt-get update" in rest
            assert "rm -rf /var/lib/apt/lists/*" in rest


def test_compose() -> None:
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))
    assert set(compose["services"]) == {"robot", "learner"}
    for service in compose["services"].values():
        assert (ROOT / service["build"]["dockerfile"]).is_file()
        assert (ROOT / "docker" / service["build"]["context"]).resolve() == ROOT
        assert service["network_mode"] == "host"
    launch = (ROOT / "launch" / "bringup.launch.py").read_text(encoding="utf-8")
    for argument in compose["services"]["robot"]["command"][1:]:
        assert f'"{argument.partition(":=")[0]}"' in launch


def test_no_learner_means_no_torch_with_cuda_on_the_robot() -> None:
    assert "whl/cpu" in (ROOT / "docker" / "Dockerfile.robot").read_text(encoding="utf-8")
    assert "whl/cu" in (ROOT / "docker" / "Dockerfile.learner").read_text(encoding="utf-8")
