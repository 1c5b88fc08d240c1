"""Training on several processes: who am I, and how do we agree. One process is the plain case.

``torchrun`` starts the processes and sets RANK, WORLD_SIZE and LOCAL_RANK; each trains on its share of every
batch, and gradients are averaged by DistributedDataParallel.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import Tensor


def rank() -> int:
    """Number of this process, 0 for the one that saves, validates and reports."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def device() -> torch.device:
    """This process's CUDA device if there is one, else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Join the processes that ``torchrun`` started, over NCCL on CUDA and gloo on CPU."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(device())
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def total(value: Tensor) -> Tensor:
    """Sum of a tensor over all processes."""
    if count() > 1:
        value = value.detach().clone()
        dist.all_reduce(value)
    return value


def share(batch: int) -> range:
    """The places in a batch that this process trains on. ``batch`` is a multiple of the number of processes."""
    size = batch // count()
    return range(rank() * size, (rank() + 1) * size)


def anywhere(flag: bool) -> bool:
    """Whether it is true in any process; waits for all of them."""
    return total(torch.tensor(flag, dtype=torch.float32, device=device())).item() > 0
