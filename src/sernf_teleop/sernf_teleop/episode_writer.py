"""Writes one episode: a rosbag2 folder with one MCAP file of small chunks, flushed to the disk as it grows."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from rosbags.interfaces import Connection, Qos
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapWriter

from sernf_teleop.episode_files import METADATA_FILE, sync
from sernf_teleop.message_definitions import MessageDefinitions

READ_BYTES = 1 << 20


class EpisodeWriter:
    """From `open` to `finish` or `abort`, on one thread. Everything may raise OSError."""

    def __init__(self, path: Path, definitions: MessageDefinitions) -> None:
        """`path`: the episode's folder, which must not exist; its parent must."""
        self.path = path
        self._definitions = definitions
        self._writer = Writer(path, version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin.MCAP)
        self._connections: dict[str, Connection] = {}
        self._hash = hashlib.sha256()
        self._hashed_bytes = 0

    @property
    def file(self) -> Path:
        """The MCAP file."""
        return self.path / f"{self.path.name}.mcap"

    def open(self) -> None:
        """Create folder and file."""
        self._writer.open()

    def add_topic(self, topic: str, msgtype: str, qos: Sequence[Qos] = ()) -> None:
        """Announce a topic; again is harmless. Raises UnknownTypeError."""
        if topic in self._connections:
            return
        text, digest = self._definitions.of(msgtype)
        self._connections[topic] = self._writer.add_connection(
            topic, msgtype, msgdef=text, rihs01=digest, offered_qos_profiles=qos
        )

    def write(self, topic: str, log_time_ns: int, data: bytes) -> None:
        """Append one message of an announced topic."""
        self._writer.write(self._connections[topic], log_time_ns, data)

    def flush(self) -> None:
        """End the chunk; what was written so far survives a crash of the process, and a power cut, when this returns."""
        storage = self._storage()
        if storage.chunk.bio.tell():
            storage.close_chunk()
        storage.bio.flush()
        os.fdatasync(storage.bio.fileno())
        self._hash_new_bytes()

    def finish(self) -> str:
        """Write index and metadata.yaml; all of it is durable on return. Returns the file's SHA-256."""
        self._writer.close()
        sync(self.file)
        self._hash_new_bytes()
        sync(self.path / METADATA_FILE)
        sync(self.path)
        return self._hash.hexdigest()

    def abort(self) -> None:
        """Give up, for instance because the disk is full: leaves a file without an index, which can be repaired."""
        with contextlib.suppress(OSError, ValueError):
            self._writer.abort()

    def _storage(self) -> McapWriter:
        storage = self._writer.storage
        if not isinstance(storage, McapWriter):
            raise RuntimeError(f"{self.path}: expected an open MCAP file, got {storage}; call open() first")
        return storage

    def _hash_new_bytes(self) -> None:
        with self.file.open("rb") as file:
            file.seek(self._hashed_bytes)
            while block := file.read(READ_BYTES):
                self._hash.update(block)
                self._hashed_bytes += len(block)
