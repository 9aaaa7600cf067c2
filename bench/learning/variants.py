"""What is compared: SERNF, baselines and ablations, on the same demonstrations, with the same steps and the same acting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Variant:
    """`overrides`: of sernf_learner.learning_config."""

    text: str
    overrides: Mapping[str, Any] = field(default_factory=dict)


VARIANTS = {
    "sernf": Variant(text="normalizing flow, chunk critic"),
    "gaussian": Variant(text="Gaussian chunk policy: the same network without couplings", overrides={"policy.blocks": 0}),
    "no_conservative_term": Variant(
        text="actor follows the critic alone",
        overrides={"actor.nll_weight": 0.0, "actor.q_weight": 1.0, "guard.patience": 1_000_000},
    ),
    "no_augmentation": Variant(text="without copies of windows", overrides={"augmentation.copies": 0}),
}
