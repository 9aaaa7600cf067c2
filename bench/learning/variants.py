"""What is compared: SERNF, baselines and ablations, on the same demonstrations, with the same steps and the same acting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import flow_matching as flow_matching  # enters the flow "flow_matching"

from sernf_learner.task_settings import SEEING


@dataclass(frozen=True, kw_only=True)
class Variant:
    """`overrides`: of sernf_learner.learning_config. `imitation_of`: whose imitation it starts from; empty: its own."""

    text: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    imitation_of: str = ""


VARIANTS = {
    "sernf": Variant(text="normalizing flow, chunk critic"),
    "gaussian": Variant(text="Gaussian chunks: the same network without couplings", overrides={"policy.blocks": 0}),
    "flow_matching": Variant(
        text="flow-matching chunks (8 Euler steps), best of N by the same chunk critic, as in QC (arXiv 2507.07969)",
        overrides={"policy.flow": "flow_matching", "acting.density_quantile": 0.0},
    ),
    "per_step_critic": Variant(
        text="the critic judges single actions instead of chunks", overrides={"critic.steps": 1}, imitation_of="sernf"
    ),
    "no_conservative_term": Variant(
        text="the actor follows the critic alone",
        overrides={"actor.nll_weight": 0.0, "actor.q_weight": 1.0, "guard.patience": 1_000_000},
        imitation_of="sernf",
    ),
    "seen": Variant(
        text="from two cameras and the joints instead of the objects' poses",
        overrides={**SEEING, "cameras": ({"name": "front"}, {"name": "wrist"})},
    ),
    "no_augmentation": Variant(text="without copies of windows", overrides={"augmentation.copies": 0}),
}

ACTING = {
    "one_candidate": {"candidates": 1},
    "sixteen_candidates": {"candidates": 16},
    "execute_5": {"player.execute_steps": 5},
    "execute_15": {"player.execute_steps": 15},
}
"""Ways of acting that SERNF's last weights are tried with besides their own."""
