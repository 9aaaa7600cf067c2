"""Evaluation of a teacher: a made-up one that does nothing holds the cube and turns it not at all."""

import json

import pytest
import torch

from sernf_policy.checkpoint_files import CheckpointError
from sernf_sim.physics import load_physics
from sernf_teacher.cube_model import JOINTS
from sernf_teacher.cube_observation import SIZE
from sernf_teacher.evaluation import evaluate_teacher, randomisation_of
from sernf_teacher.ppo import ActorCritic
from sernf_teacher.teacher_weights import save_teacher


@pytest.fixture
def still(tmp_path):
    networks = ActorCritic(SIZE, JOINTS, (8,))
    with torch.no_grad():
        networks.actor[-1].weight.zero_()
    save_teacher(tmp_path / "still", networks, level=7.0, samples=0, seed=0)
    return tmp_path / "still.safetensors"


def test_a_teacher_that_does_nothing_never_succeeds(still):
    result = evaluate_teacher(weights=still, episodes=6, seed=1, randomised=0.0, episode_s=1.0)
    assert result["episodes"] == 6 and result["successes"] == 0
    assert result["failures"].get("no full turn", 0) + result["failures"].get("dropped", 0) == 6
    extra = result["extra"]
    assert {"rpm", "degrees_per_episode", "drops_per_min", "mean_fingertips", "mean_contact_force_n"} <= extra.keys()
    assert abs(extra["degrees_per_episode"]) < 20.0
    assert extra["mean_fingertips"] > 2.0
    json.dumps(result)


def test_same_seed_same_result(still):
    first, again = (evaluate_teacher(weights=still, episodes=3, seed=2, episode_s=0.5) for _ in range(2))
    assert first == again


def test_the_twin_has_the_twins_physics(still):
    table = randomisation_of(load_physics("twin"))
    assert table.friction_scale == (0.65, 0.65) and table.mass_scale == (1.5, 1.5) and table.delay_s == (0.02, 0.02)
    assert evaluate_teacher(weights=still, episodes=2, seed=1, twin=True, episode_s=0.2)["twin"] is True


def test_missing_weights_are_refused(tmp_path):
    with pytest.raises(CheckpointError):
        evaluate_teacher(weights=tmp_path / "none.safetensors", episodes=1, seed=0)
