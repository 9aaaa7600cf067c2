"""A training job as a load for benches: imitation updates of the shipped size, for ever, at the learner's own priority.

`python -m sernf.bench.training_load` runs until it is killed or its stdin ends, as it does when its parent dies; it says a
line when the first update is done.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import torch

from sernf.bench.random_policies import policy_layout
from sernf_policy.policy import ChunkPolicy, PolicyConfig

NICE = 10
"""As in config/learner.yaml, which gives training one thread too."""
BATCH = 256
LEARNING_RATE = 1e-4


def main() -> None:
    """Entry point."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    layout = policy_layout(20.0)
    policy = ChunkPolicy(layout, PolicyConfig())
    optimiser = torch.optim.Adam(policy.parameters(), LEARNING_RATE)
    vectors = torch.randn(BATCH, layout.observation_size)
    chunks = 0.1 * torch.randn(BATCH, layout.horizon, layout.action_size)
    has_begun = False
    while True:
        observation = {"vector": vectors}
        loss = -policy.log_prob(observation, policy.noisy(observation, chunks)).mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        if not has_begun:
            has_begun = True
            sys.stdout.write("training\n")
            sys.stdout.flush()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


@contextlib.contextmanager
def training_job() -> Iterator[None]:
    """Training beside what is measured. Raises RuntimeError when it does not begin or has ended by itself."""
    command = ["nice", "-n", str(NICE), sys.executable, "-m", "sernf.bench.training_load"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise RuntimeError(f"the training job ended with status {process.wait(10.0)} before its first update")
            yield
            if process.poll() is not None:
                raise RuntimeError(f"the training job ended with status {process.returncode} while it was needed")
        finally:
            process.kill()


if __name__ == "__main__":
    main()
