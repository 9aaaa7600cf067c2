"""Stand-in for ROS 2's ``message_filters`` on machines whose ROS 2 comes from PyPI, which lacks that package.

Own code after the documented behaviour of ROS 2 Kilted: the same names and call signatures for the filters below. The README of
`pip_ros` lists the few deliberate differences. Every other filter of the upstream package raises an ImportError that says so.
"""

from .absent import UPSTREAM_ONLY, absent_error
from .cache import Cache
from .simple_filter import SimpleFilter
from .subscriber import Subscriber
from .synchronizers import ApproximateTimeSynchronizer, TimeSynchronizer

__all__ = ["ApproximateTimeSynchronizer", "Cache", "SimpleFilter", "Subscriber", "TimeSynchronizer"]


def __getattr__(name: str) -> object:
    """Explain a missing upstream name, so that ``from message_filters import Chain`` says what to do (ImportError)."""
    if name in UPSTREAM_ONLY:
        raise absent_error(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
