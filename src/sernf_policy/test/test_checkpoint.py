"""Checkpoints: the same to the last bit in another process, and refused with a reason when anything is wrong with them."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from forgery import forge
from hypothesis import given, settings
from hypothesis import strategies as st
from small_policies import small_critic, small_data, small_policy
from torch import Tensor

from sernf_policy.acting import ActingConfig
from sernf_policy.checkpoint import CheckpointInfo, HeldOut, load_checkpoint, save_checkpoint
from sernf_policy.checkpoint_files import CheckpointError, both_files
from sernf_policy.chunk_player import PlayerConfig
from sernf_robot.joints import JOINTS

ACTING = ActingConfig(temperature=0.5, candidates=4, player=PlayerConfig(execute_steps=2, blend_steps=1))
PUBLISHED = Path(__file__).parent / "checkpoints" / "format_1.safetensors"


def saved(folder: Path, name: str = "duck", *, seed: int = 0, with_critic: bool = True) -> tuple[Path, CheckpointInfo]:
    policy = small_policy(seed=seed)
    held_out = HeldOut.of(policy, *small_data(policy.layout, 12, seed=8))
    info = save_checkpoint(
        folder / name, policy=policy, critic=small_critic(policy) if with_critic else None, acting=ACTING, stage="offline",
        parent_sha256="ab" * 32, data_sha256="cd" * 32, seed=3, metrics={"success": 0.75}, likelihood=held_out.thresholds(policy),
        held_out=held_out,
    )  # fmt: skip
    return folder / f"{name}.safetensors", info


def test_everything_comes_back(tmp_path: Path) -> None:
    path, info = saved(tmp_path)
    loaded = load_checkpoint(path, expected_sha256=info.sha256, joint_names=("fr3_joint3", "fr3_joint2", "fr3_joint1"))
    policy = small_policy()
    assert loaded.info == info and loaded.acting == ACTING
    assert (info.task, info.stage, info.seed, info.metrics) == ("toy", "offline", 3, {"success": 0.75})
    assert info.version == f"toy-offline-{info.sha256[:8]}"
    assert loaded.critic is not None and loaded.held_out is not None and info.likelihood is not None
    for ours, theirs in ((policy, loaded.policy), (small_critic(policy), loaded.critic)):
        assert not theirs.training
        for name, tensor in ours.state_dict().items():
            assert torch.equal(theirs.state_dict()[name], tensor), name


def test_either_file_or_the_bare_name_will_do(tmp_path: Path) -> None:
    path, info = saved(tmp_path)
    for name in (path, path.with_suffix(".json"), path.with_suffix("")):
        assert load_checkpoint(name).info == info


def test_training_and_running_normalise_with_the_same_numbers(tmp_path: Path) -> None:
    """Getting this wrong once cost every success."""
    path, _ = saved(tmp_path)
    loaded, policy = load_checkpoint(path).policy, small_policy()
    vectors, chunks = small_data(policy.layout, 5, seed=2)
    commanded = policy.commanded({"vector": vectors})
    assert torch.equal(loaded.encoder.standardiser(vectors), policy.encoder.standardiser(vectors))
    for one, other in zip(
        loaded.normaliser(loaded.normaliser.scaled(chunks, commanded)),
        policy.normaliser(policy.normaliser.scaled(chunks, commanded)),
        strict=True,
    ):
        assert torch.equal(one, other)


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first, info = saved(tmp_path, "first")
    second, _ = saved(tmp_path, "second")
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".json").read_bytes() == second.with_suffix(".json").read_bytes()
    assert saved(tmp_path, "third", seed=1)[1].sha256 != info.sha256


def test_a_fresh_process_computes_the_same_bits(tmp_path: Path) -> None:
    path, info = saved(tmp_path)
    script = f"""
import torch
from pathlib import Path
from sernf_policy.checkpoint import HeldOut, load_checkpoint
torch.set_num_threads(1)
loaded = load_checkpoint(Path({str(path)!r}), expected_sha256={info.sha256!r})
again = HeldOut.of(loaded.policy, loaded.held_out.vector, loaded.held_out.chunk)
print(torch.equal(again.log_prob, loaded.held_out.log_prob), len(again.log_prob))
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert answer.stdout.split() == ["True", "12"], answer.stderr


def test_what_format_1_wrote_can_still_be_read() -> None:
    """This checkpoint is never made anew: when it can no longer be read, neither can anybody's weights."""
    loaded = load_checkpoint(PUBLISHED)
    assert loaded.info.format == 1 and loaded.critic is not None and loaded.held_out is not None
    again = HeldOut.of(loaded.policy, loaded.held_out.vector, loaded.held_out.chunk)
    torch.testing.assert_close(again.log_prob, loaded.held_out.log_prob, atol=1e-3, rtol=1e-5)


def test_loading_and_saving_leave_the_random_numbers_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    load_checkpoint(saved(tmp_path)[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_what_was_loaded_can_be_trained_on(tmp_path: Path) -> None:
    loaded = load_checkpoint(saved(tmp_path)[0])
    vectors, chunks = small_data(loaded.policy.layout, 4)
    loaded.policy.log_prob({"vector": vectors}, chunks).sum().backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in loaded.policy.parameters())


@settings(max_examples=60, deadline=None)
@given(which=st.sampled_from([".safetensors", ".json"]), where=st.floats(0.0, 1.0), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_changes_nothing(which: str, where: float, bit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, info = saved(Path(folder), with_critic=False)
        victim = path.with_suffix(which)
        data = bytearray(victim.read_bytes())
        data[min(int(where * len(data)), len(data) - 1)] ^= 1 << bit
        victim.write_bytes(data)
        refusal = ""
        try:
            unchanged = load_checkpoint(path).info == info
        except CheckpointError as error:
            unchanged, refusal = False, str(error)
        assert (unchanged and which == ".json") or len(refusal.partition(f"{path.stem}.")[2]) > 20


@settings(max_examples=40, deadline=None)
@given(which=st.sampled_from([".safetensors", ".json"]), share=st.floats(0.0, 0.999))
def test_a_truncated_file_is_refused(which: str, share: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, _ = saved(Path(folder), with_critic=False)
        victim = path.with_suffix(which)
        data = victim.read_bytes().rstrip()
        victim.write_bytes(data[: int(share * len(data))])
        with pytest.raises(CheckpointError, match=re.escape(path.stem + which)):
            load_checkpoint(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_a_missing_file_is_named(tmp_path: Path, suffix: str) -> None:
    path, _ = saved(tmp_path)
    path.with_suffix(suffix).unlink()
    with pytest.raises(CheckpointError, match=rf"duck\{suffix}: expected this file, it does not exist"):
        load_checkpoint(path)


def test_other_weights_than_announced_are_refused(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    with pytest.raises(CheckpointError, match=r"expected SHA-256 0000.* as announced"):
        load_checkpoint(path, expected_sha256="0" * 64)


def test_weights_of_another_checkpoint_are_refused(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    other, _ = saved(tmp_path, "other", seed=1)
    path.write_bytes(other.read_bytes())
    with pytest.raises(CheckpointError, match=r"duck\.safetensors: expected SHA-256"):
        load_checkpoint(path)


def test_a_robot_with_other_joints_is_refused(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    with pytest.raises(CheckpointError, match=r"duck\.json: joints: the policy moves 3, the robot has 24"):
        load_checkpoint(path, joint_names=JOINTS)


def _set(*keys: str, value: Any) -> Callable[[dict[str, Any]], object]:
    def change(content: dict[str, Any]) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("format", value=2), "expected checkpoint format 1, got 2"),
        (_set("format", value=None), "expected checkpoint format 1"),
        (_set("layout", "observation", value=["commanded_position", "joint_torque"]), "got 'joint_torque'"),
        (_set("layout", "horizon", value=5), r"expected float32 of shape \(15, 15\), got float32 of shape \(12, 12\)"),
        (_set("layout", "joint_names", value=["a", "b"]), "expected float32 of shape"),
        (_set("layout", "step_period_s", value=5.0), "step_period_s"),
        (_set("policy", "hidden", value=32), "expected float32 of shape"),
        (_set("policy", "blocks", value=4), "expected .* got nothing"),
        (_set("policy", "blocks", value=2), "expected no such tensor"),
        (_set("policy", "hiden", value=3), "unknown key 'hiden'; did you mean 'hidden'"),
        (_set("critic", value=None), "expected no such tensor"),
        (_set("acting", "candidates", value=0), "candidates: expected 1 to 1024"),
        (_set("acting", "player", "execute_steps", value=9), "need a horizon of at least"),
        (_set("units", "joint", value="deg"), "expected joint in rad.*got joint in deg"),
        (_set("units", value={}), "got joint in nothing"),
    ],
)
def test_content_that_does_not_fit_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    path, _ = saved(tmp_path)
    forge(path, content=change)
    with pytest.raises(CheckpointError, match=f"duck.*{message}"):
        load_checkpoint(path)


def _spoil(name: str, value: float) -> Callable[[dict[str, Tensor]], object]:
    def change(tensors: dict[str, Tensor]) -> None:
        tensors[name].view(-1)[0] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_spoil("policy.normaliser.mean", float("nan")), "policy.normaliser.mean: expected finite numbers"),
        (_spoil("critic.network.0.weight", float("inf")), r"critic.network.0.weight: expected finite numbers"),
        (_spoil("held_out.log_prob", float("-inf")), "held_out.log_prob: expected finite numbers"),
        (lambda tensors: tensors.pop("policy.normaliser.low"), "policy.normaliser.low: expected .* got nothing"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "extra: expected no such tensor"),
        (lambda tensors: tensors.update({"held_out.chunk": torch.zeros(2, 4, 3)}), "held_out.chunk: expected"),
        (
            lambda tensors: tensors.update({"policy.normaliser.low": torch.zeros(4, 3).double()}),
            "policy.normaliser.low: .* got float64",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, change: Callable[[dict[str, Tensor]], object], message: str) -> None:
    path, _ = saved(tmp_path)
    forge(path, tensors=change)
    with pytest.raises(CheckpointError, match=rf"duck\.safetensors: {message}"):
        load_checkpoint(path)


def test_the_json_cannot_be_edited_alone(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    content = json.loads(path.with_suffix(".json").read_text())
    content["acting"]["temperature"] = 1.9
    path.with_suffix(".json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"duck\.json: expected what was saved with"):
        load_checkpoint(path)


def test_diverged_weights_are_not_even_written(tmp_path: Path) -> None:
    policy = small_policy()
    with torch.no_grad():
        next(policy.parameters()).view(-1)[0] = float("nan")
    with pytest.raises(CheckpointError, match="training has diverged"):
        save_checkpoint(tmp_path / "bad", policy=policy, acting=ACTING, stage="offline")
    with pytest.raises(CheckpointError, match="finite numbers in metrics"):
        save_checkpoint(tmp_path / "bad", policy=small_policy(), acting=ACTING, stage="offline", metrics={"loss": float("nan")})
    with pytest.raises(CheckpointError, match="need a horizon"):
        save_checkpoint(tmp_path / "bad", policy=small_policy(), acting=ActingConfig(), stage="offline")
    assert not list(tmp_path.iterdir())


def test_rows_of_a_held_out_batch_are_spread_evenly() -> None:
    policy = small_policy()
    batch = HeldOut.of(policy, *small_data(policy.layout, 101))
    few = batch.rows(3)
    assert torch.equal(few.vector, batch.vector[[0, 50, 100]]) and torch.equal(few.log_prob, batch.log_prob[[0, 50, 100]])
    assert len(batch.rows(500).log_prob) == 101


def test_both_files_of_a_dotted_name(tmp_path: Path) -> None:
    weights_file, json_file = both_files(tmp_path / "run.2.json")
    assert (weights_file.name, json_file.name) == ("run.2.safetensors", "run.2.json")


def test_no_field_of_the_information_is_forgotten(tmp_path: Path) -> None:
    path, info = saved(tmp_path)
    assert set(json.loads(path.with_suffix(".json").read_text())) == {field.name for field in dataclasses.fields(info)}
