"""The same work on every picture, in a few processes of one thread each."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import click

Item = TypeVar("Item")
Result = TypeVar("Result")
WORKERS = click.option("--workers", type=click.IntRange(1), default=os.cpu_count() or 1, show_default=True,
                       help="Processes, of one thread each.")


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def map_images(work: Callable[[Item], Result], images: Sequence[Item], workers: int, label: str) -> Iterator[Result]:
    """Results in the order of the images, with a progress bar on standard error."""
    spawn = multiprocessing.get_context("spawn")
    with (ProcessPoolExecutor(workers, mp_context=spawn, initializer=_one_thread) as pool,
          click.progressbar(pool.map(work, images), length=len(images), label=label, file=sys.stderr) as results):
        yield from results
