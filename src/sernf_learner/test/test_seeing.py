"""Learning from pictures: the eyes are trained with the imitation, and see for all later stages."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from learning_data import TINY, episode

from sernf_learner.episode import Episode
from sernf_learner.frames import Frames, features_of, varied_images
from sernf_learner.image_augmentation import ImageAugmentation
from sernf_learner.learning_config import LearningConfig, learning_config
from sernf_learner.session import TrainingSession
from sernf_learner.training_job import Stage
from sernf_policy.checkpoint import Checkpoint, load_checkpoint

SEEING: dict[str, Any] = {
    **TINY, "observation": ["joint_position", "commanded_position", "image/front"], "augmentation.copies": 0,
    "cameras": [{"name": "front", "source_px": [32, 24], "size_px": [32, 24], "features": 8}], "imitation_steps": 3,
    "critic_warmup_steps": 3, "offline_rl_steps": 3, "policy.vision.channels": 8,
}  # fmt: skip


def config(**overrides: Any) -> LearningConfig:
    return learning_config({**SEEING, **overrides})


def seen(seed: int, **values: Any) -> Episode:
    """An episode with pictures, each of which stays for two ticks."""
    plain = episode(seed, **values)
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 256, ((len(plain) + 1) // 2, 24, 32, 3), dtype=np.uint8).repeat(2, axis=0)[: len(plain)]
    return dataclasses.replace(plain, images={"front": pictures})


def trained(stage: Stage, parent: Checkpoint | None, path: Path) -> tuple[TrainingSession, Checkpoint]:
    settings = config()
    session = TrainingSession(stage, settings.layout("duck"), [seen(seed) for seed in range(3)], settings, parent, 0)
    session.run(3)
    session.save(path)
    return session, load_checkpoint(path)


def test_every_stage_goes_from_pictures_to_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    session, imitation = trained(Stage.IMITATION, None, tmp_path / "a.safetensors")
    part = imitation.policy.layout.slice_of("image/front")
    assert imitation.held_out is not None
    assert float(imitation.held_out.vector[:, part].abs().sum()) > 0.0
    first = next(session.learner.actor.eyes.parameters()).detach().clone()
    _, critic = trained(Stage.CRITIC_WARMUP, imitation, tmp_path / "b.safetensors")
    _, offline = trained(Stage.OFFLINE_RL, critic, tmp_path / "c.safetensors")
    before, after = (dict(checkpoint.policy.eyes.state_dict()) for checkpoint in (imitation, offline))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not torch.equal(first, torch.zeros_like(first))


def test_imitation_moves_the_eyes() -> None:
    settings = config()
    session = TrainingSession(Stage.IMITATION, settings.layout("duck"), [seen(seed) for seed in range(3)], settings, None, 0)
    before = [parameter.detach().clone() for parameter in session.learner.actor.eyes.parameters()]
    session.run(2)
    moved = [not torch.equal(a, b) for a, b in zip(before, session.learner.actor.eyes.parameters(), strict=True)]
    assert all(moved)


def test_eyes_learn_to_tell_the_way_ahead_and_nobody_carries_what_they_told(tmp_path: Path) -> None:
    def imitate(weight: float) -> tuple[TrainingSession, list[float]]:
        settings = config(**{"actor.foresight_weight": weight})
        session = TrainingSession(Stage.IMITATION, settings.layout("duck"), [seen(seed) for seed in range(3)], settings, None, 0)
        told: list[float] = []
        session.run(2, lambda step, metrics: told.append(metrics.get("foresight_error", -1.0)))
        return session, told

    (with_it, told), (without, nothing) = imitate(1.0), imitate(0.0)
    assert min(told) >= 0.0 and nothing == [-1.0, -1.0]
    eyes = [session.learner.actor.eyes.encoders["front"].head[0].weight for session in (with_it, without)]
    assert not torch.equal(*eyes)
    with_it.save(tmp_path / "a.safetensors")
    assert "foresight" not in str(list(load_checkpoint(tmp_path / "a.safetensors").policy.state_dict()))


def test_a_restored_session_sees_what_it_would_have_seen() -> None:
    settings = config()
    make = lambda: TrainingSession(  # noqa: E731
        Stage.IMITATION, settings.layout("duck"), [seen(seed) for seed in range(3)], settings, None, 0
    )
    through, first, second = make(), make(), make()
    through.run(3)
    first.run(1)
    second.restore(first.tensors())
    second.run(3)
    for one, other in zip(through.learner.actor.parameters(), second.learner.actor.parameters(), strict=True):
        assert torch.equal(one, other)


def test_rows_of_a_later_stage_hold_what_the_eyes_see(tmp_path: Path) -> None:
    _, imitation = trained(Stage.IMITATION, None, tmp_path / "a.safetensors")
    settings = config()
    episodes = [seen(seed) for seed in range(3)]
    session = TrainingSession(Stage.CRITIC_WARMUP, settings.layout("duck"), episodes, settings, imitation, 0)
    windows, part = session.data.windows(64), settings.layout("duck").slice_of("image/front")
    known = np.concatenate([features_of(imitation.policy.eyes, one)["front"] for one in episodes])
    for row in windows.vector[:, part]:
        assert np.abs(known - row.numpy()).max(axis=1).min() < 1e-5


def test_a_picture_that_stays_is_looked_at_once() -> None:
    settings = config()
    session = TrainingSession(Stage.IMITATION, settings.layout("duck"), [seen(0)], settings, None, 0)
    eyes, calls = session.learner.actor.eyes, []
    eyes.register_forward_hook(lambda _module, arguments, _output: calls.append(len(arguments[0]["front"])))
    one = seen(5)
    features = features_of(eyes, one)["front"]
    assert features.shape == (len(one), 8)
    assert sum(calls) == (len(one) + 1) // 2


def test_frames_are_found_by_number() -> None:
    frames, one, other = Frames(), seen(0), seen(1)
    ahead = np.arange(6 * (len(one) + len(other)), dtype=np.float32).reshape(-1, 6)
    assert (frames.add(one, ahead[: len(one)]), frames.add(other, ahead[len(one) :])) == (0, len(one))
    chosen = torch.tensor([3, len(one) + 2])
    taken = frames.take(chosen)["front"].numpy()
    np.testing.assert_array_equal(taken, np.stack([one.images["front"][3], other.images["front"][2]]))
    np.testing.assert_array_equal(frames.ahead(chosen).numpy(), ahead[chosen])


def test_pictures_are_varied_and_left_alone_when_nothing_is_to_be_changed() -> None:
    torch.manual_seed(0)
    batch = {"front": torch.randint(0, 256, (16, 24, 32, 3), dtype=torch.uint8)}
    same = varied_images(batch, ImageAugmentation(shift_px=0, brightness=0.0, contrast=0.0, colour=0.0))
    assert torch.equal(same["front"], batch["front"])
    shifted = varied_images(batch, ImageAugmentation(shift_px=3, brightness=0.0, contrast=0.0, colour=0.0))["front"]
    for number in range(16):
        inner = shifted[number, 6:18, 6:26].float()
        places = [
            float((batch["front"][number, 6 + down : 18 + down, 6 + right : 26 + right].float() - inner).abs().max())
            for down in range(-3, 4)
            for right in range(-3, 4)
        ]
        assert min(places) == 0.0
    tinted = varied_images(batch, ImageAugmentation(shift_px=0))["front"]
    assert not torch.equal(tinted, batch["front"])
