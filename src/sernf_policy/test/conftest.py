"""Torch on one thread: the networks here are small, and threads that wait for each other take longer than the work."""

import torch

torch.set_num_threads(1)
