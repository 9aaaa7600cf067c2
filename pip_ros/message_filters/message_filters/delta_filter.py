"""Upstream's delta filters: not provided; importing this module raises an ImportError that says what to do."""

from .absent import absent_error

raise absent_error("delta_filter")
