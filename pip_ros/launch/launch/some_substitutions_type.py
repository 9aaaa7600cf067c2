"""The type of arguments that may hold substitutions."""

from __future__ import annotations

from .substitution import SomeSubstitutionsType

__all__ = ["SomeSubstitutionsType"]
