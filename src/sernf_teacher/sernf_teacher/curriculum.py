"""From a cube that hangs on springs to one that falls when it is let go: the stages, and who decides how fast to go through them.

A level is a number: whole ones are rows of `STAGES`, between them everything is interpolated. The order matters: the vertical
spring must be gone before gravity comes, else the policy learns to let the cube hang in it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, fields

from sernf_teacher.cube_batch import Help


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Conditions at one level. `nearness`: share of the reward's gate that asks only for fingertips near the cube, not for touch.
    `randomisation`: strength of it. `speed_rad_s`: up to which turning faster earns more. `gentleness`: factor on what force and
    jerky actions cost; `caution`: on what a drop costs. `exploration`: standard deviation of actions. `divergence_nats`: of the
    policy in one update. `step_s`: physics step, from this level on.
    """

    name: str
    help: Help
    nearness: float = 0.0
    randomisation: float = 0.0
    speed_rad_s: float = 0.8
    gentleness: float = 1.0
    caution: float = 1.0
    exploration: float = 0.4
    divergence_nats: float = 0.015
    step_s: float = 0.01


_SPRINGS = Help(lift_n_m=60.0, sideways_n_m=60.0, upright_nm_rad=0.05, viscosity_n_s_m=4.0, gravity=0.0)
_WEAK = Help(lift_n_m=30.0, sideways_n_m=30.0, upright_nm_rad=0.025, viscosity_n_s_m=4.0, gravity=0.0)
_NO_LIFT = Help(lift_n_m=0.0, sideways_n_m=30.0, upright_nm_rad=0.025, viscosity_n_s_m=4.0, gravity=0.0)
_VISCOUS = Help(viscosity_n_s_m=4.0, gravity=0.0)
_NONE = Help()

STAGES: tuple[Stage, ...] = (
    Stage(name="near", help=_SPRINGS, nearness=1.0, exploration=0.6),
    Stage(name="touching", help=_SPRINGS, exploration=0.5),
    Stage(name="weaker springs", help=_WEAK, exploration=0.45),
    Stage(name="no vertical spring", help=_NO_LIFT),
    Stage(name="no springs", help=_VISCOUS),
    Stage(name="full weight", help=_NONE, exploration=0.3),
    Stage(name="randomised", help=_NONE, randomisation=0.7, exploration=0.28, step_s=0.005, gentleness=2.0),
    Stage(name="fast", help=_NONE, randomisation=1.0, exploration=0.26, speed_rad_s=1.4, step_s=0.005, gentleness=4.0),
    # Wider than what is measured: what a policy meets at the edge of its experience it drops. Dear drops, for haste pays: a
    # second of care at the start costs more turns than one drop in ten. Small updates, for large ones undo what is rare.
    Stage(
        name="beyond",
        help=_NONE,
        randomisation=1.4,
        exploration=0.2,
        divergence_nats=0.006,
        speed_rad_s=1.4,
        step_s=0.005,
        gentleness=6.0,
        caution=50.0,
    ),
)
TOP = len(STAGES) - 1
MEASURED = dataclasses.replace(STAGES[TOP], name="measured", randomisation=1.0)
"""Full weight and the table of randomisation as it stands: what a teacher is measured in."""


def conditions(level: float) -> Stage:
    """Conditions at `level`, 0 to TOP; name and physics step are those of the stage last reached. Raises ValueError outside."""
    if not 0.0 <= level <= TOP:
        raise ValueError(f"level: expected 0 to {TOP}, got {level}")
    below = min(int(level), TOP - 1)
    low, high, share = STAGES[below], STAGES[below + 1], level - below
    reached = high if share >= 1.0 else low

    def between(start: float, end: float) -> float:
        return start + share * (end - start)

    help_ = Help(**{field.name: between(getattr(low.help, field.name), getattr(high.help, field.name)) for field in fields(Help)})
    numbers = ("nearness", "randomisation", "speed_rad_s", "gentleness", "caution", "exploration", "divergence_nats")
    return Stage(
        name=reached.name,
        step_s=reached.step_s,
        help=help_,
        **{name: between(getattr(low, name), getattr(high, name)) for name in numbers},
    )


@dataclass(frozen=True, kw_only=True)
class PaceConfig:
    """When the level moves: looked at every `every` iterations, up by `up` while cubes turn faster than `turns_per_minute` and
    fewer than `drops_per_minute` are dropped, down by `down` when more than `retreat` times that are dropped or hardly any turn.
    """

    every: int = 2
    up: float = 0.025
    down: float = 0.0125
    turns_per_minute: float = 3.5
    drops_per_minute: float = 2.0
    retreat: float = 3.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0:
                raise ValueError(f"{name}: expected more than 0, got {value}")


class Pace:
    """Moves the level both ways by what the last iterations showed."""

    def __init__(self, config: PaceConfig, level: float = 0.0) -> None:
        self.config = config
        self.level = level
        self._seen: list[tuple[float, float]] = []

    def update(self, turns_per_minute: float, drops_per_minute: float) -> float:
        """Take in one iteration; returns the level for the next."""
        self._seen.append((turns_per_minute, drops_per_minute))
        if len(self._seen) < self.config.every:
            return self.level
        turns, drops = (sum(values) / len(self._seen) for values in zip(*self._seen))
        self._seen = []
        config = self.config
        if turns > config.turns_per_minute and drops < config.drops_per_minute:
            self.level = min(self.level + config.up, float(TOP))
        elif drops > config.retreat * config.drops_per_minute or turns < 0.3 * config.turns_per_minute:
            self.level = max(self.level - config.down, 0.0)
        return self.level

    def state(self) -> dict[str, object]:
        """For a checkpoint."""
        return {"level": self.level, "seen": list(self._seen)}

    def restore(self, state: dict[str, object]) -> None:
        """Go on from `state`."""
        self.level = float(state["level"])  # type: ignore[arg-type]
        self._seen = [tuple(pair) for pair in state["seen"]]  # type: ignore[attr-defined]
