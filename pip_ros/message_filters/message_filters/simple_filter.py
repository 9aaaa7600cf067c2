"""Base of all filters: a list of callbacks that receive the filter's output."""

import itertools
import threading
from collections.abc import Callable
from typing import Any


class SimpleFilter:
    """Output side of a filter. Callbacks may be added and removed from any thread, also while messages are delivered."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[..., Any], tuple[Any, ...]]] = {}
        self._connection_ids = itertools.count()
        self._callbacks_lock = threading.Lock()

    def registerCallback(self, callback: Callable[..., Any], *args: Any) -> int:
        """Call ``callback(*messages, *args)`` on every output, after the callbacks registered before it.

        Returns the connection number that ``unregisterCallback`` takes; numbers are never used twice.
        """
        if not callable(callback):
            raise TypeError(f"registerCallback: expected a callable, got {type(callback).__name__}")
        with self._callbacks_lock:
            connection = next(self._connection_ids)
            self.callbacks[connection] = (callback, args)
        return connection

    def unregisterCallback(self, conn: int) -> None:
        """Forget a callback by its connection number; an unknown number is ignored."""
        with self._callbacks_lock:
            self.callbacks.pop(conn, None)

    def signalMessage(self, *msg: Any) -> None:
        """Pass ``msg`` to all callbacks. An exception of a callback propagates and the later callbacks are not called."""
        with self._callbacks_lock:
            callbacks = tuple(self.callbacks.values())
        for callback, args in callbacks:
            callback(*msg, *args)
