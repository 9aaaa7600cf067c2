"""Texts that are only known while a launch file runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .launch_context import LaunchContext


class SubstitutionFailure(RuntimeError):
    """A substitution has no value; the message names it and says what to give."""


class Substitution:
    """A text to be found out by ``perform``."""

    def perform(self, context: LaunchContext) -> str:
        """The text under ``context``. Raises SubstitutionFailure."""
        raise TypeError(f"{type(self).__name__} must override perform(context)")

    def describe(self) -> str:
        """How to show it before it is performed."""
        return f"{type(self).__name__}()"


SomeSubstitutionsType = str | Path | Substitution | Iterable[str | Path | Substitution]
"""A text, a path, a substitution, or several of them to be joined without separator."""


class TextSubstitution(Substitution):
    """A text that is known already."""

    def __init__(self, *, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"TextSubstitution: expected text to be a str, got {type(text).__name__}")
        self.text = text

    def perform(self, context: LaunchContext) -> str:
        return self.text

    def describe(self) -> str:
        return repr(self.text)


def normalize_to_list_of_substitutions(subs: SomeSubstitutionsType) -> list[Substitution]:
    """Bring any allowed form into a list of substitutions."""
    if isinstance(subs, Substitution):
        return [subs]
    if isinstance(subs, (str, Path)):
        return [TextSubstitution(text=str(subs))]
    if isinstance(subs, Iterable):
        return [part for item in subs for part in normalize_to_list_of_substitutions(item)]
    raise TypeError(f"expected a text, a path, a substitution or a list of them, got {type(subs).__name__}: {subs!r}")


def perform_substitutions(context: LaunchContext, subs: Sequence[Substitution]) -> str:
    """The joined text of a list of substitutions."""
    return "".join(context.perform_substitution(sub) for sub in subs)


def describe_substitutions(subs: Sequence[Substitution]) -> str:
    """How to show a list of substitutions before it is performed."""
    return " + ".join(sub.describe() for sub in subs) if subs else "''"
