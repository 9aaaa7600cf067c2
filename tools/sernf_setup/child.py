"""Runs the tools of the set-up: output into a log file, failures turned into errors that say what to do."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sernf_setup.errors import NotOnIndexError, SetupError

_LONGEST_S = 3600.0
_NO_DISK = re.compile(r"No space left on device|Errno 28|Disk quota exceeded")
_NO_NETWORK = re.compile(
    r"name resolution|NameResolutionError|NewConnectionError|ConnectTimeout|ReadTimeout|Network is unreachable|"
    r"Connection refused|Max retries exceeded|ProxyError|Connection reset|SSLError|IncompleteRead|ConnectionError|"
    r"Connection broken|HTTP error 5[0-9]{2}"
)
_NO_WHEEL = re.compile(r"No matching distribution found for ([^\s(]+)")


@dataclass(frozen=True, kw_only=True)
class Child:
    """How children are started: log folder, environment, and the lock they inherit (-1: none)."""

    logs: Path
    environment: Mapping[str, str]
    lock: int = -1

    def run(self, name: str, command: Sequence[str], *, cwd: Path, watch: Callable[[str], None] | None = None) -> str:
        """Run to the end and return the output; `watch` gets each line. Raises SetupError when it fails."""
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{name}.log"
        inherited = (self.lock,) if self.lock >= 0 else ()
        lines = []
        process = subprocess.Popen(
            list(command), cwd=cwd, env=dict(self.environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", pass_fds=inherited,
        )  # fmt: skip
        try:
            deadline = threading.Timer(_LONGEST_S, process.kill)
            deadline.daemon = True
            deadline.start()
            with open(log, "w", encoding="utf-8") as file:
                file.write(f"$ {' '.join(command)}\n")
                for line in process.stdout or ():
                    file.write(line)
                    lines.append(line)
                    if watch is not None:
                        watch(line.rstrip())
            status = process.wait(timeout=_LONGEST_S)
            deadline.cancel()
        except OSError as error:
            raise explain(name, str(error), log) from error
        finally:
            _end(process)
        output = "".join(lines)
        if status != 0:
            raise explain(name, output, log)
        return output


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5.0)
    if process.poll() is None:
        process.kill()
        process.wait(timeout=5.0)
    if process.stdout is not None:
        process.stdout.close()


def explain(name: str, output: str, log: Path) -> SetupError:
    """The error that a failed tool's output stands for."""
    if _NO_DISK.search(output):
        return SetupError(
            f"room on the disk for step {name}", "no space left on the device", f"free some GB under {log.parents[2]}, run again"
        )
    if _NO_NETWORK.search(output):
        return SetupError(
            f"a network connection to the package index in step {name}",
            _line_of(_NO_NETWORK, output),
            "connect, or set HTTPS_PROXY or PIP_INDEX_URL, and run again: what was downloaded is kept",
        )
    missing = _NO_WHEEL.search(output)
    if missing is not None:
        return NotOnIndexError(
            f"{missing[1]} on the package index",
            "no such version for this Python and machine",
            "check PIP_INDEX_URL and requirements.txt",
        )
    tail = " | ".join(line.strip() for line in output.strip().splitlines()[-3:]) or "no output"
    return SetupError(f"step {name} to succeed", tail[-600:], f"read {os.path.relpath(log, log.parents[2])}, mend, and run again")


def _line_of(pattern: re.Pattern[str], output: str) -> str:
    return next((line.strip()[:300] for line in output.splitlines() if pattern.search(line)), "connection failed")
