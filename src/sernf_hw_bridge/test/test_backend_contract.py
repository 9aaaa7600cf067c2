"""All backends keep the same contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from backend_contract import CONTRACT
from franky_sim_server import FrankySimServer

from sernf_hw_bridge.backends.franka import FrankaBackend, FrankaConfig, PayloadConfig
from sernf_hw_bridge.backends.mock import MockBackend
from sernf_hw_bridge.backends.orca import OrcaBackend, OrcaConfig
from sernf_hw_bridge.backends.protocol import Backend
from sernf_hw_bridge.backends.sim import SharedWorld, SimBackend
from sernf_robot.config import load_config
from sernf_robot.config_files import config_path
from sernf_robot.joints import ARM_JOINTS, HAND_JOINTS

NO_PAYLOAD = PayloadConfig(mass_kg=0.0, center_m=(0.0, 0.0, 0.0), inertia_kgm2=(0.0,) * 6)


@pytest.fixture(scope="module")
def franky_server() -> Iterator[FrankySimServer]:
    with FrankySimServer() as running:
        yield running


def mock() -> Backend:
    return MockBackend(ARM_JOINTS, np.linspace(-0.5, 0.5, len(ARM_JOINTS)))


def sim_arm() -> Backend:
    return SimBackend(ARM_JOINTS, SharedWorld("duck", "nominal", 0, 0.004))


def sim_hand() -> Backend:
    return SimBackend(HAND_JOINTS, SharedWorld("duck", "twin", 0, 0.004))


def orca() -> Backend:
    return OrcaBackend(load_config(OrcaConfig, config_path("orca.yaml"), {"mock": True, "hand_file": None}))


@pytest.fixture(params=[mock, sim_arm, sim_hand, orca, "franka"], ids=lambda param: getattr(param, "__name__", param))
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    if request.param == "franka":
        server = request.getfixturevalue("franky_server")
        made: Backend = FrankaBackend(FrankaConfig(host=server.host, realtime="ignore", payload=NO_PAYLOAD))
    else:
        made = request.param()
    yield made
    made.disconnect()


@pytest.mark.parametrize("keeps", CONTRACT, ids=lambda check: check.__name__)
def test_contract(keeps: Callable[[Backend], None], backend: Backend) -> None:
    keeps(backend)
