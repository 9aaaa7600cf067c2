"""A stage step by step: it learns, goes on exactly where it was, and notices when it destroys the policy."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from learning_data import LAYOUT, config, demonstrations
from torch import Tensor, nn

from sernf_learner.guard import Guard, TrainingHalted
from sernf_learner.learner_state import read_about, read_state, write_state
from sernf_learner.learning_config import GuardConfig
from sernf_learner.losses import Metrics
from sernf_learner.session import TrainingSession
from sernf_learner.training_job import Stage
from sernf_policy.checkpoint import Checkpoint, load_checkpoint
from sernf_policy.runtime import PolicyRuntime

STEPS = 8


@pytest.fixture(scope="module")
def parents(tmp_path_factory: pytest.TempPathFactory) -> dict[Stage, Checkpoint | None]:
    """Weights that each stage may start from."""
    folder, found = tmp_path_factory.mktemp("weights"), {Stage.IMITATION: None}
    for stage, following, steps in ((Stage.IMITATION, Stage.CRITIC_WARMUP, 150), (Stage.CRITIC_WARMUP, Stage.OFFLINE_RL, 20)):
        trained = session(stage, found[stage], steps, actor__average=0.05)
        trained.run(steps)
        trained.save(folder / stage.value)
        found[following] = load_checkpoint(folder / stage.value)
    found[Stage.ONLINE_RL] = found[Stage.OFFLINE_RL]
    return found


def session(stage: Stage, parent: Checkpoint | None, steps: int = STEPS, **overrides: object) -> TrainingSession:
    return TrainingSession(stage, LAYOUT, demonstrations(), config(**overrides), parent, 5, steps)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("stage", [Stage.IMITATION, Stage.OFFLINE_RL])
@pytest.mark.parametrize("at", [1, 4, 7])
def test_a_restored_session_goes_on_as_if_never_interrupted(
    stage: Stage, at: int, parents: dict[Stage, Checkpoint | None], tmp_path: Path
) -> None:
    make = functools.partial(
        session,
        stage,
        parents[stage],
        policy__dropout=0.2,
        actor__q_weight=0.5,
        actor__prior_weight=0.5,
        actor__sharpness=1.0,
        actor__every=2,
    )
    straight, first = make(), make()
    straight.run(STEPS)
    first.run(at)
    write_state(tmp_path / "state", first.tensors(), {"about": "ä"})
    torch.manual_seed(99)
    second = make()
    second.restore(read_state(tmp_path / "state"))
    assert second.step == at and read_about(tmp_path / "state") == {"about": "ä"}
    assert same(first.tensors(), second.tensors())
    second.run(STEPS)
    assert same(straight.tensors(), second.tensors())
    shas = [one.save(tmp_path / name).sha256 for name, one in (("a", straight), ("b", second), ("b", second))]
    assert len(set(shas)) == 1


def test_imitation_learns_the_centre_first_and_then_the_likelihood() -> None:
    imitation = session(Stage.IMITATION, None, 300, actor__learning_rate=5e-3, centring_share=0.5)
    losses: dict[str, list[float]] = {"centre_error": [], "nll": []}

    def note(_step: int, metrics: Metrics) -> None:
        for name, values in losses.items():
            values += [metrics[name]] if name in metrics else []

    imitation.run(300, note)
    assert [len(values) for values in losses.values()] == [150, 150]
    for values in losses.values():
        assert np.mean(values[-10:]) < np.mean(values[:10]) - 0.05


def test_the_running_policy_gives_the_likelihood_that_training_saw(
    parents: dict[Stage, Checkpoint | None], tmp_path: Path
) -> None:
    """Getting the normalisation wrong once gave success 0.00."""
    trained = session(Stage.OFFLINE_RL, parents[Stage.OFFLINE_RL])
    trained.run(STEPS)
    trained.save(tmp_path / "weights")
    loaded = load_checkpoint(tmp_path / "weights")
    windows = trained.data.windows(16)
    observation = {"vector": windows.vector}
    with torch.no_grad():
        expected = trained.learner.average.log_prob(observation, windows.chunk)
        torch.testing.assert_close(loaded.policy.log_prob(observation, windows.chunk), expected)
    runtime = PolicyRuntime(loaded)
    planned = runtime.plan(windows.vector[0].numpy(), np.random.default_rng(0))
    chunk = torch.as_tensor(planned.position_rad, dtype=torch.float32)[None]
    with torch.no_grad():
        expected = trained.learner.average.log_prob({"vector": windows.vector[:1]}, chunk)
    assert planned.log_prob / LAYOUT.chunk_size == pytest.approx(float(expected) / LAYOUT.chunk_size, abs=0.02)
    assert runtime.acting.player.execute_steps == 2


def test_critic_warmup_leaves_the_actor_alone(parents: dict[Stage, Checkpoint | None]) -> None:
    warm = session(Stage.CRITIC_WARMUP, parents[Stage.CRITIC_WARMUP])
    before = {name: value.clone() for name, value in warm.learner.average.state_dict().items()}
    warm.run(STEPS)
    assert same(before, dict(warm.learner.average.state_dict()))


class Toy(nn.Module):
    """Values chunks by how far they go, so there is always more to be had off the data."""

    def __init__(self, size: float) -> None:
        super().__init__()
        self.size = nn.Parameter(torch.tensor(size))

    def forward(self, vector: Tensor, chunk: Tensor) -> Tensor:
        return self.size * (chunk - vector[:, None, 24:48]).mean((1, 2)).expand(2, -1)


OFF_THE_DATA = {
    "actor__rl_learning_rate": 3e-3, "actor__average": 0.5, "guard__patience": 3, "critic_training__learning_rate": 1e-9,
}  # fmt: skip


def push(parents: dict[Stage, Checkpoint | None], size: float, **overrides: object) -> TrainingSession:
    pushed = session(Stage.OFFLINE_RL, parents[Stage.OFFLINE_RL], 200, **{**OFF_THE_DATA, **overrides})
    pushed.learner.critic, pushed.learner.critic_target = Toy(size), Toy(size)  # type: ignore[assignment]
    pushed._good_policy, pushed._good_critic = pushed._copies()
    return pushed


def test_a_policy_that_leaves_the_data_halts_and_its_last_good_weights_are_kept(
    parents: dict[Stage, Checkpoint | None], tmp_path: Path
) -> None:
    pushed = push(parents, 1e-3, actor__nll_weight=1e-6, actor__q_weight=50.0)
    seen: list[tuple[float, float]] = []

    def note(step: int, metrics: dict[str, float]) -> None:
        if "nll_samples_frozen" in metrics:
            seen.append((metrics["nll_samples_frozen"] - metrics["nll_frozen_own"], metrics["nll"]))

    with pytest.raises(TrainingHalted, match="less likely under the flow"):
        pushed.run(200, note)
    assert pushed.step < 200 and pushed.guard.bad == pushed.config.guard.patience
    assert seen[0][0] < pushed.config.guard.divergence_nats < seen[-1][0]
    vectors = pushed.data.windows(64).vector
    frozen = pushed.learner.frozen
    assert frozen is not None
    with torch.no_grad():
        sampled = [policy.sample({"vector": vectors}).chunk[:, 0] for policy in (pushed.learner.average, pushed._good_policy)]
        strayed, kept = (float(-frozen.log_prob({"vector": vectors}, chunk).mean()) / LAYOUT.chunk_size for chunk in sampled)
    assert kept < strayed
    pushed._good_critic = None
    pushed.save(tmp_path / "kept", halted=True)
    saved = load_checkpoint(tmp_path / "kept").policy.state_dict()
    assert same(dict(saved), dict(pushed._good_policy.state_dict()))


def test_the_conservative_term_keeps_the_policy_on_the_data(parents: dict[Stage, Checkpoint | None]) -> None:
    held = push(parents, 1e-3, actor__nll_weight=1.0, actor__q_weight=0.02)
    held.run(40)
    assert held.guard.bad == 0


def test_values_that_cannot_be_earned_halt_training(parents: dict[Stage, Checkpoint | None]) -> None:
    boastful = push(parents, 1e-3)
    boastful.learner.critic_target = _Constant()  # type: ignore[assignment]
    with pytest.raises(TrainingHalted, match="exceed what can be earned"):
        boastful.run(200)
    assert boastful.step == 3 * boastful.config.guard.every


class _Constant(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.size = nn.Parameter(torch.tensor(1.0), requires_grad=False)

    def forward(self, vector: Tensor, chunk: Tensor) -> Tensor:
        return torch.full((2, len(vector)), 1.2)


def test_the_guard_counts_bad_measurements_in_a_row_and_nothing_else() -> None:
    guard = Guard(GuardConfig(patience=2, divergence_nats=1.0))
    bad, good = ({"nll_samples_frozen": value, "nll_frozen_own": 0.0} for value in (2.0, 0.5))
    none = {"nll": 1.0}
    assert not guard.check(bad)
    assert guard.check(none) and guard.bad == 1
    assert guard.check(good) and guard.bad == 0
    assert not guard.check(bad)
    with pytest.raises(TrainingHalted, match=r"raise actor\.nll_weight"):
        guard.check(bad)


def test_what_is_not_a_number_halts_at_once() -> None:
    with pytest.raises(TrainingHalted, match="nll: expected finite"):
        Guard(GuardConfig()).check({"nll": float("nan")})


@pytest.mark.parametrize(
    ("stage", "parent", "message"),
    [
        (Stage.CRITIC_WARMUP, Stage.IMITATION, "train imitation first"),
        (Stage.OFFLINE_RL, Stage.CRITIC_WARMUP, "train critic_warmup first"),
        (Stage.ONLINE_RL, Stage.CRITIC_WARMUP, "train critic_warmup first"),
    ],
)
def test_a_stage_without_what_it_needs_is_refused(
    stage: Stage, parent: Stage, message: str, parents: dict[Stage, Checkpoint | None]
) -> None:
    with pytest.raises(ValueError, match=message):
        session(stage, parents[parent])


def test_a_way_of_acting_that_needs_longer_chunks_is_refused_before_training() -> None:
    with pytest.raises(ValueError, match="need a horizon of at least"):
        session(Stage.IMITATION, None, imitation_acting__player__execute_steps=4)
