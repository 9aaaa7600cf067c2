"""What the backends of vendor drivers share: the life of a session whose driver runs in an `IoThread`."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from sernf_hw_bridge.backends.io_thread import IoThread
from sernf_hw_bridge.backends.protocol import BackendError, JointReading
from sernf_hw_bridge.trajectories import Array

_MEASURE_POLL_S = 0.002
LOG = logging.getLogger(__name__)


class DriverSession(ABC):
    """One connection to the hardware. All but `follow` runs in the thread of `io`, whose polling keeps `reading` the newest."""

    io: IoThread
    reading: JointReading | None = None
    silent_after_s: float
    """Without a fresh measurement for so long the hardware counts as lost."""

    @abstractmethod
    def open(self) -> None:
        """Open the connection, take the first reading and resume polling; nothing moves."""

    @abstractmethod
    def recover(self) -> None:
        """Clear errors that the hardware latched; harmless without."""

    @abstractmethod
    def hold(self) -> None:
        """Power the joints, or keep them powered, with the measured pose as target."""

    @abstractmethod
    def release(self) -> None:
        """Stop following targets; harmless when nothing is followed."""

    @abstractmethod
    def follow(self, position_rad: Array) -> None:
        """Take a new target from any thread, without waiting; raises BackendError when the hardware does not follow."""


@dataclass(frozen=True, kw_only=True)
class SessionTimeouts:
    """`close_failed_s`: how long a connection that has failed may take to close before it is left behind."""

    connect_s: float
    command_s: float
    close_failed_s: float


class ThreadedBackend(ABC):
    """Backend whose hardware is behind a `DriverSession`. `name` begins every message."""

    def __init__(self, name: str, joint_names: tuple[str, ...], timeouts: SessionTimeouts) -> None:
        self._name = name
        self._joint_names = joint_names
        self._timeouts = timeouts
        self._session: DriverSession | None = None
        self._active = False
        self._why_not_connected = f"{name}: expected a connected backend, got one that is not; call connect first"

    @abstractmethod
    def _new_session(self) -> DriverSession:
        """A session that is not open yet; raises BackendError when the driver is not installed."""

    @property
    def joint_names(self) -> tuple[str, ...]:
        return self._joint_names

    def connect(self) -> None:
        if self._session is not None and self._working(self._session):
            return
        self._close_session()
        session = self._new_session()
        session.io.start()
        self._session = session
        try:
            session.io.call("connecting", session.open, self._timeouts.connect_s)
        except BackendError as error:
            self._close_session()
            self._why_not_connected = str(error)
            raise

    def activate(self) -> None:
        session = self._connected()
        session.io.call("activating", session.hold, self._timeouts.command_s)
        self._active = True

    def read(self) -> JointReading:
        reading = self._connected().reading
        if reading is None:
            raise BackendError(f"{self._name}: no measurement has arrived yet; connect again")
        return reading

    def write(self, position_rad: Array) -> None:
        session = self._connected()
        if not self._active:
            raise BackendError(f"{self._name}: expected an active backend, got one that is not; activate or re-arm first")
        target = np.array(position_rad, dtype=np.float64)
        if target.shape != (len(self._joint_names),) or not np.isfinite(target).all():
            raise BackendError(f"{self._name}: expected {len(self._joint_names)} finite positions in rad, got {position_rad!r}")
        session.follow(target)

    def recover(self) -> None:
        self._active = False
        if self._session is not None and not self._measures(self._session):
            self._session.io.failure = "the connection has fallen silent"
        self.connect()
        session = self._connected()
        session.io.call("recovering", session.recover, self._timeouts.command_s)
        self.activate()

    def deactivate(self) -> None:
        self._active = False
        session = self._session
        if session is None or not self._working(session):
            return
        try:
            session.io.call("stopping", session.release, self._timeouts.command_s)
        except BackendError as error:
            LOG.warning("%s", error)

    def disconnect(self) -> None:
        self.deactivate()
        self._close_session()

    def _connected(self) -> DriverSession:
        session = self._session
        if session is None:
            raise BackendError(self._why_not_connected)
        if not self._working(session):
            raise BackendError(f"{self._name}: {session.io.failure}")
        return session

    @staticmethod
    def _measures(session: DriverSession) -> bool:
        """Whether something new is measured; waits for it until the hardware counts as lost."""
        begin_s = time.monotonic()
        while session.io.failure is None and time.monotonic() - begin_s < session.silent_after_s:
            if session.reading is not None and session.reading.stamp_s > begin_s:
                return True
            time.sleep(_MEASURE_POLL_S)
        return False

    @staticmethod
    def _working(session: DriverSession) -> bool:
        """Whether the session has not failed; silence is noticed here, where nothing blocks."""
        if session.io.failure is None and session.reading is not None:
            age_s = time.monotonic() - session.reading.stamp_s
            if age_s > session.silent_after_s:
                session.io.failure = (
                    f"expected fresh measurements, got none for {age_s:.2f} s; check power, cables and connection, then re-arm"
                )
        return session.io.failure is None

    def _close_session(self) -> None:
        self._active = False
        session, self._session = self._session, None
        if session is not None:
            session.io.stop(self._timeouts.command_s if session.io.failure is None else self._timeouts.close_failed_s)
