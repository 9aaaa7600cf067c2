"""Helpers for launch files that handle substitutions themselves."""

from __future__ import annotations

from .substitution import normalize_to_list_of_substitutions, perform_substitutions

__all__ = ["normalize_to_list_of_substitutions", "perform_substitutions"]
