"""The one error of the set-up: what was expected, what was found, and what to do about it."""

from __future__ import annotations


class SetupError(Exception):
    """Ends the set-up with its message and no traceback."""

    def __init__(self, expected: str, got: str, remedy: str) -> None:
        self.expected, self.got, self.remedy = expected, got, remedy
        super().__init__(f"expected {expected}\n  got      {got}\n  remedy   {remedy}")


class NotOnIndexError(SetupError):
    """The package index answered, and does not have the package."""
