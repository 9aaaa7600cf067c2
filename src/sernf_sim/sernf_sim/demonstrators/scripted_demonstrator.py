"""What scripted demonstrators share: a script that yields joint targets, and ends well, badly or out of reach."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

from sernf_robot.kinematics import FloatArray, NotReachableError
from sernf_sim.demonstrators.demonstrator import ACT_PERIOD_S, Observation
from sernf_sim.demonstrators.motion import ARM, SmoothMotion
from sernf_sim.demonstrators.wander import STRAYING_RAD, Wander

logger = logging.getLogger(__name__)


class ScriptedDemonstrator(ABC):
    """Subclasses say what they make of an observation, and `_begin` a script at each `reset`; it does not stray while careful."""

    def __init__(self, motion: SmoothMotion, rng: np.random.Generator) -> None:
        self._motion, self._wander = motion, Wander(rng, 0.0, ACT_PERIOD_S)
        self._careful = True
        self._script: Iterator[FloatArray] = iter(())
        self.phase = "idle"
        self.done = True

    def stray(self) -> None:
        """From now on with a hand that is not steady, see `wander`."""
        self._wander.spread_rad = STRAYING_RAD

    @abstractmethod
    def reset(self, observation: Observation) -> None:
        """Begin an attempt at the robot's present pose; draws the style of this attempt."""

    @abstractmethod
    def _see(self, observation: Observation) -> None:
        """A moment later."""

    def act(self, observation: Observation) -> FloatArray:
        """Joint targets (24,) rad for the next 50 ms."""
        self._see(observation)
        try:
            target = next(self._script)
            target[ARM] += self._wander.step(careful=self._careful)
            return target
        except StopIteration:
            self.done, self.phase = True, "done"
        except NotReachableError as error:
            logger.info("the attempt ends: %s", error)
            self.done, self.phase = True, "out of reach"
        return self._motion.target_rad.copy()

    def _freely(self, way: Iterator[FloatArray]) -> Iterator[FloatArray]:
        """Along `way`, on which nothing depends on where exactly the hand is."""
        self._careful = False
        yield from way
        self._careful = True

    def _begin(self, script: Iterator[FloatArray], observation: Observation) -> None:
        """At the robot's present pose."""
        self._motion.start(np.asarray(observation.joint_position_rad, dtype=np.float64))
        self._see(observation)
        self._wander.start()
        self._careful = True
        self._script, self.done = script, False
