"""The inference bench: peers that are what they say, costs that can be counted by hand, and a report with every key."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from rich.console import Console

from sernf.bench import inference
from sernf.bench.inference import cost
from sernf.bench.peer_policies import DenoisingPolicy, Step, ddim_steps, flow_matching_steps, parameters
from sernf_policy.critic import ChunkCritic, CriticConfig
from sernf_policy.engine import session
from sernf_policy.inference_graph import sampling_graph
from sernf_policy.layout import DUCK_OBSERVATION, PolicyLayout
from sernf_policy.policy import ChunkPolicy, PolicyConfig

SMALL = PolicyLayout(task="toy", observation=("commanded_position",), joint_names=("fr3_joint1", "fr3_joint2"), horizon=3)
SMALL_CONFIG = PolicyConfig(encoder_hidden=8, code_size=4, blocks=2, hidden=8, affine_hidden=8)


@pytest.mark.parametrize("steps", [flow_matching_steps(8), ddim_steps(10)])
def test_peers_have_the_policys_size(steps: list[Step]) -> None:
    policy = ChunkPolicy(PolicyLayout(task="duck", observation=DUCK_OBSERVATION), PolicyConfig())
    assert parameters(DenoisingPolicy(policy, steps)) == pytest.approx(parameters(policy), rel=0.02)


@pytest.mark.parametrize("steps", [flow_matching_steps(8), ddim_steps(10)])
def test_peers_are_compiled_to_what_they_are(steps: list[Step]) -> None:
    torch.manual_seed(0)
    peer = DenoisingPolicy(ChunkPolicy(SMALL, SMALL_CONFIG), steps).eval()
    vector, latent = torch.randn(1, 2), torch.randn(1, 6)
    answer = session(peer.graph(), threads=1).run(None, {"vector": vector.numpy(), "latent": latent.numpy()})[0]
    np.testing.assert_allclose(answer, peer.sample(vector, latent).numpy(), atol=1e-4)


def test_flow_matching_follows_a_constant_velocity_to_its_end() -> None:
    x = 0.0
    for _, keep, add in flow_matching_steps(8):
        x = keep * x + add * 3.0
    assert x == pytest.approx(3.0)


def test_ddim_with_the_true_noise_finds_the_data() -> None:
    """A network that always knows the noise in x = a * data + s * noise must end at the data."""
    data, noise = 0.7, -1.3
    start = 0.5 * math.pi * 0.99
    x = math.cos(start) * data + math.sin(start) * noise
    for _, keep, add in ddim_steps(10):
        x = keep * x + add * noise
    assert x == pytest.approx(data)


def test_costs_are_counted_by_hand() -> None:
    policy = ChunkPolicy(SMALL, PolicyConfig(encoder_hidden=8, code_size=4, blocks=0, affine_hidden=8))
    once = 2 * 8 + 8 * 8 + 8 * 4 + 4 * 8 + 8 * 8 + 8 * 12
    assert cost(sampling_graph(policy, None, 1), 1)[1] == once + 6 * 6
    assert cost(sampling_graph(policy, None, 5), 5)[1] == once + 5 * 6 * 6
    critic = ChunkCritic(SMALL, CriticConfig(members=2, hidden=8, layers=2, components=3))
    for_each = 6 * 3 + 2 * (3 * 8 + 8 * 8 + 8)
    assert cost(sampling_graph(policy, critic, 5), 5)[1] == once + 2 * 2 * 8 + 5 * (6 * 6 + for_each)
    assert 4 * (once + 6 * 6) < cost(sampling_graph(policy, None, 1), 1)[0] < 4 * (parameters(policy) + 6 * 6 + 200)


def test_the_report_has_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = torch.get_num_threads()
    report = inference.measure(0.1, Console(quiet=True))
    torch.set_num_threads(threads)
    assert {"sample_logprob_ms", "best_of_16_ms"} <= set(report.metrics)
    assert set(report.peers) == {"flow_matching_8", "diffusion_ddim_10"}
    for metric in (*report.metrics.values(), *(peer["sample_ms"] for peer in report.peers.values())):
        assert metric.n > 0 and metric.unit == "ms" and metric.p50 > report.floor["ms"] > 0.0


def test_without_onnx_runtime_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "MISSING", "No module named 'onnxruntime'")
    with pytest.raises(RuntimeError, match="expected ONNX Runtime, got: No module"):
        inference.measure(0.1, Console(quiet=True))
