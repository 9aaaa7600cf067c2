"""Aligned episodes on disk, so that a bag is read once. Everything here can be deleted at any time: it is rebuilt from the bags.

A file is named after the episode and after all that its content depends on: the bag's SHA-256, the code that reads and
aligns, and how it was asked to. The label is not part of it. A damaged file is noticed by its checksums and rebuilt.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import zipfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from sernf_learner import bag_reader, bag_streams, camera_streams, cdr_table, control_grid, tick_alignment
from sernf_learner.bag_reader import Reading, ending_of, read_ticks, to_episode
from sernf_learner.episode import Episode
from sernf_learner.tick_alignment import Ticks
from sernf_policy import pictures
from sernf_teleop.episodes import EpisodeInfo

CACHE_FOLDER = ".cache"
"""in the data set; listings pass over folders whose name begins with a dot"""
CODE = (cdr_table, bag_streams, camera_streams, pictures, control_grid, tick_alignment, bag_reader)
IMAGES = "images/"
"""Prefix of the names of arrays of pictures."""
KEY_LETTERS = 16
LOG = logging.getLogger(__name__)


class EpisodeCache:
    """Files of one folder, which is made when the first is written. Several processes may share it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def read(self, info: EpisodeInfo, reading: Reading) -> Episode:
        """The episode with its present label, from the cache if possible. Raises EpisodeError."""
        ending_of(info)
        key = _key(info, reading)
        path = self.path(info, reading)
        ticks = _load(path, key)
        if ticks is None:
            ticks = read_ticks(info, reading)
            self._store(path, key, ticks)
        return to_episode(info, ticks, reading)

    def path(self, info: EpisodeInfo, reading: Reading) -> Path:
        """Where the episode's arrays lie, or would."""
        name = hashlib.sha256(_key(info, reading).encode()).hexdigest()[:KEY_LETTERS]
        return self.directory / f"{info.episode_id}-{name}.npz"

    def _store(self, path: Path, key: str, ticks: Ticks) -> None:
        """Whole or not at all. A folder that cannot be written to costs time, nothing else."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        texts = {"key": key, "source": ticks.source, "objects": np.array(ticks.objects, dtype=np.str_)}
        images = {IMAGES + name: pictures for name, pictures in ticks.images.items()}
        plain = {name: value for name, value in vars(ticks).items() if name != "images"}
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in {**plain, **images, **texts}.items()}
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("wb") as file:
                    np.savez(file, **arrays)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            LOG.warning("%s is not kept in the cache: %s", path.name, error)


def _key(info: EpisodeInfo, reading: Reading) -> str:
    about = {
        "sha256": info.sha256, "bytes": info.file.stat().st_size, "source": info.source, "seed": info.seed,
        "namespace": info.namespace, "code": _code_version(), "reading": asdict(reading),
    }  # fmt: skip
    return json.dumps(about, sort_keys=True)


@functools.cache
def _code_version() -> str:
    """Changes with every line that could change an array."""
    digest = hashlib.sha256()
    for module in CODE:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()


def _load(path: Path, key: str) -> Ticks | None:
    """None when it is not there, is damaged, or holds something else."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            values = {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError, LookupError, NotImplementedError, RuntimeError, zipfile.BadZipFile) as error:
        LOG.warning("%s is damaged and rebuilt: %s", path, error)
        return None
    images = {name.removeprefix(IMAGES): values.pop(name) for name in list(values) if name.startswith(IMAGES)}
    if values.keys() != {"key", *(field.name for field in fields(Ticks))} - {"images"} or str(values.pop("key")) != key:
        LOG.warning("%s holds something else and is rebuilt", path)
        return None
    return Ticks(
        source=str(values.pop("source")),
        objects=tuple(values.pop("objects").tolist()),
        rows_until_success=int(values.pop("rows_until_success")),
        rows_until_failure=int(values.pop("rows_until_failure")),
        images=images,
        **values,
    )
