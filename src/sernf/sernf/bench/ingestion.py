"""Reads a data set once, in one thread, and prints what it took: `python -m sernf.bench.ingestion DIR`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from sernf_learner.data_set import read_dataset


def read(directory: Path) -> dict[str, float]:
    """Seconds from the call to the last array on disk, and the highest resident memory of this process (MB).

    Raises DataSetError. Every episode is looked at once more afterwards, so that what is kept of them counts as memory.
    """
    began = time.perf_counter()
    data = read_dataset(directory)
    seconds = time.perf_counter() - began
    ticks = sum(len(episode) for episode in data.episodes)
    return {"seconds": seconds, "rss_mb": _highest_rss_mb(), "episodes": len(data.episodes), "ticks": ticks}


def _highest_rss_mb() -> float:
    # Not getrusage: its maximum begins with that of the process we were forked from.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("expected VmHWM in /proc/self/status, got none; this bench needs Linux")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(read(Path(sys.argv[1]))) + "\n")
