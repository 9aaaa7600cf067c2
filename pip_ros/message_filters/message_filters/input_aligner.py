"""Upstream's input aligner: not provided; importing this module raises an ImportError that says what to do."""

from .absent import absent_error

raise absent_error("input_aligner")
