"""The control loop's timer with an empty callback in its own process: what this machine can do at best.

`python -m sernf.bench.bare_timer RATE_HZ FILE` runs until stdin closes, then writes the monotonic start times (s) of all ticks.
"""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.task import Future

from sernf_node.node import spin_until
from sernf_node.realtime import ask_for_realtime, freeze_garbage

PRIORITY = 50
"""As in config/hw_bridge.yaml."""


def main() -> None:
    """Entry point."""
    rate_hz, file = float(sys.argv[1]), sys.argv[2]
    rclpy.init()
    node = rclpy.create_node("bare_timer")
    ask_for_realtime(PRIORITY)
    freeze_garbage()
    starts: list[float] = []
    clock = Clock(clock_type=ClockType.STEADY_TIME)
    timer = node.create_timer(1.0 / rate_hz, lambda: starts.append(time.monotonic()), clock=clock)
    done: Future[None] = Future()

    def wait_for_the_parent() -> None:
        sys.stdin.read()
        done.set_result(None)

    threading.Thread(target=wait_for_the_parent, daemon=True).start()
    spin_until(node, done)
    timer.cancel()
    np.save(file, np.array(starts))
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
