"""From teacher to student: what is recorded is what happened, corrections alone are imitated, a killed distillation goes on."""

import numpy as np
import pytest
import torch

from sernf_learner.episode import Ending
from sernf_learner.evaluation import evaluate
from sernf_learner.learning_config import task_config
from sernf_learner.rewards import RewardConfig, step_rewards
from sernf_learner.training_data import worth_imitating
from sernf_policy.checkpoint import load_checkpoint
from sernf_policy.policy import ChunkPolicy
from sernf_sim.tasks.cube_scene import ARM_RAD, CENTER_M
from sernf_teacher.cube_env import CubeEnv, CubeEnvConfig, Truth
from sernf_teacher.cube_geometry import cube_quaternion, cube_rotation
from sernf_teacher.cube_model import JOINTS
from sernf_teacher.cube_observation import SIZE
from sernf_teacher.curriculum import STAGES, TOP
from sernf_teacher.distil import DistilConfig, Distillation
from sernf_teacher.distil_rollouts import DistilRollouts
from sernf_teacher.evaluation import is_teacher
from sernf_teacher.grasps import load_grasps
from sernf_teacher.ppo import ActorCritic
from sernf_teacher.student_view import HELD, StudentNoise, StudentView, all_joints
from sernf_teacher.teacher_weights import Teacher

TINY = {
    "batch": 16, "policy.blocks": 1, "policy.hidden": 16, "policy.affine_hidden": 16, "policy.encoder_hidden": 16,
    "policy.code_size": 8, "device": "cpu",
}  # fmt: skip
SETTINGS = task_config("cube", TINY)
LAYOUT = SETTINGS.layout("cube")


def make_teacher():
    torch.manual_seed(0)
    return Teacher(ActorCritic(SIZE, JOINTS, (16,)), {"level": float(TOP)})


def collect(student=None, ticks=30, copies=4, **config):
    env = CubeEnv(CubeEnvConfig(copies=copies, ring_share=0.0, **config), load_grasps(), STAGES[TOP], 5)
    rollouts = DistilRollouts(env, make_teacher(), LAYOUT, SETTINGS.imitation_acting.player, 5)
    return rollouts.run(ticks, student, 0.3)


def test_what_the_teacher_does_is_recorded_tick_by_tick():
    episodes, drive = collect(episode_steps=12)
    assert sum(map(len, episodes)) == 4 * 30
    assert drive.turns_per_minute == drive.drops_per_minute == 0.0
    for episode in episodes:
        assert not episode.taken_over.any()
        np.testing.assert_allclose(episode.commanded_position_rad[1:], episode.action_rad[:-1], atol=1e-12)
        moves = np.abs(episode.action_rad - episode.commanded_position_rad)
        assert moves[:, :HELD].max() == 0.0 and 0.0 < moves[:, HELD:].max() <= 0.1 + 1e-9
        assert np.linalg.norm(episode.object_pose[0, 0, :3] - CENTER_M) < 0.03
        assert step_rewards(episode, RewardConfig(turning="cube"), 0.99).shape == (len(episode),)
    assert any(episode.ending is Ending.TIMEOUT and len(episode) == 12 for episode in episodes)


def test_the_student_drives_and_only_whole_chunks_of_the_teacher_are_imitated():
    torch.manual_seed(1)
    student = ChunkPolicy(LAYOUT, SETTINGS.policy)
    taught, _ = collect()
    vectors = torch.zeros(40, LAYOUT.observation_size)
    chunks = torch.from_numpy(np.array([taught[0].action_rad[:8]] * 40)).float()
    student.fit_normaliser(vectors, chunks + 0.01 * torch.randn(chunks.shape))
    episodes, drive = collect(student.eval(), ticks=200)
    share = np.mean(np.concatenate([episode.taken_over for episode in episodes]))
    assert 0.2 < share < 0.8
    assert drive.drops_per_minute > 0.0, "it knows nothing yet"
    found = 0
    for episode in episodes:
        assert episode.taken_over[0], "else all that the student did would be imitated"
        worth_it = worth_imitating(episode, LAYOUT.horizon, 2, SETTINGS.reward)
        found += int(worth_it.sum())
        for start in np.flatnonzero(worth_it):
            assert episode.taken_over[start : start + LAYOUT.horizon].all()
    assert found > 50
    student_moves = np.concatenate([(e.action_rad - e.commanded_position_rad)[~e.taken_over] for e in episodes])
    assert np.abs(student_moves[:, HELD:]).max() > 0.1, "nobody holds it to the teacher's small steps"
    assert np.abs(student_moves[:, :HELD]).max() == 0.0


def test_a_robot_sees_the_cube_late_and_with_errors():
    rng = np.random.default_rng(0)
    noise = StudentNoise(joint_rad=0.0, position_m=0.0, position_bias_m=0.0, rotation_rad=0.0, longest_delay=2)
    view = StudentView(50, noise, rng)
    fingers, yaw = np.zeros((50, JOINTS)), np.zeros(50)
    for tick in range(6):
        position = np.full((50, 3), float(tick))
        joints, pose = view.measure(Truth(fingers, fingers, position, cube_quaternion(yaw, np.zeros((50, 2)))))
        assert joints.shape == (50, 24)
    late = 5 - pose[:, 0]
    assert set(late) == {0.0, 1.0, 2.0}
    bias = joints - all_joints(fingers)
    assert 0.0005 < bias[:, :HELD].std() < 0.002 < 0.003 < bias[:, HELD:].std() < 0.01
    view.begin(np.arange(50))
    _, pose = view.measure(Truth(fingers, fingers, np.full((50, 3), 9.0), cube_quaternion(yaw, np.zeros((50, 2)))))
    assert (pose[:, 0] == 9.0).all(), "a new episode knows nothing of the one before"
    assert np.allclose(all_joints(fingers)[0, : len(ARM_RAD)], ARM_RAD)


def test_errors_of_rotation_are_small_turns():
    rng = np.random.default_rng(0)
    view = StudentView(400, StudentNoise(rotation_rad=0.03, longest_delay=0), rng)
    quaternion = cube_quaternion(rng.uniform(-3, 3, 400), rng.uniform(-0.3, 0.3, (400, 2)))
    fingers = np.zeros((400, JOINTS))
    _, pose = view.measure(Truth(fingers, fingers, np.zeros((400, 3)), quaternion))
    angle = 2 * np.arccos(np.clip(np.abs((pose[:, 3:] * quaternion).sum(-1)), 0, 1))
    assert np.sqrt((angle**2).mean()) == pytest.approx(0.03 * np.sqrt(3), rel=0.1)
    assert np.linalg.norm(pose[:, 3:], axis=-1) == pytest.approx(1.0)


def test_quaternions_and_matrices_of_the_cube_agree():
    rng = np.random.default_rng(1)
    yaw, tilt = rng.uniform(-9, 9, 20), rng.uniform(-0.5, 0.5, (20, 2))
    w, x, y, z = cube_quaternion(yaw, tilt).T
    rotation = cube_rotation(yaw, tilt)
    np.testing.assert_allclose(rotation[:, 0, 0], 1 - 2 * (y * y + z * z), atol=1e-9)
    np.testing.assert_allclose(rotation[:, 1, 0], 2 * (x * y + w * z), atol=1e-9)
    np.testing.assert_allclose(rotation[:, 2, 1], 2 * (y * z + w * x), atol=1e-9)
    np.testing.assert_allclose(rotation[:, 0, 2], 2 * (x * z + w * y), atol=1e-9)


def test_a_killed_distillation_ends_like_one_that_was_not(tmp_path):
    config = DistilConfig(rounds=2, copies=4, ticks=40, first_steps=4, more_steps=3)
    (tmp_path / "whole").mkdir()
    whole = load_checkpoint(Distillation(config, make_teacher(), tmp_path / "whole", TINY).run())
    assert whole.info.stage == "imitation" and whole.info.layout == LAYOUT
    (tmp_path / "killed").mkdir()
    killed = Distillation(config, make_teacher(), tmp_path / "killed", TINY)
    killed._trained = _die_in_round(killed._trained, 1)
    with pytest.raises(KeyboardInterrupt):
        killed.run()
    assert not (tmp_path / "killed" / "student.safetensors").exists()
    resumed = load_checkpoint(Distillation(config, make_teacher(), tmp_path / "killed", TINY).run())
    assert resumed.info.sha256 == whole.info.sha256
    assert (tmp_path / "whole" / "curves.png").stat().st_size > 1000

    student = tmp_path / "whole" / "student.safetensors"
    assert not is_teacher(str(student))
    result = evaluate(task="cube", weights=student, episodes=1, seed=0, physics="twin", workers=1)
    assert result["failures"] == {"held: dropped": 1} and result["extra"]["survival"] == 0.0, "it has learnt nothing"
    assert result["extra"].keys() >= {"rpm", "degrees_per_episode", "drops_per_min", "mean_fingertips", "mean_contact_force_n"}


def _die_in_round(trained, fatal):
    def train(session, round_):
        if round_ == fatal:
            raise KeyboardInterrupt
        trained(session, round_)

    return train


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"copies": 0}, {"ticks": -1}])
def test_impossible_settings_are_named(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected 1 or more"):
        DistilConfig(**wrong)
