"""Work in other processes."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import click

Item = TypeVar("Item")
Result = TypeVar("Result")


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def in_workers(work: Callable[[Item], Result], items: Sequence[Item], workers: int, label: str) -> list[Result]:
    """Results in the order of the items, from processes of one thread each; progress goes to standard error."""
    spawn = multiprocessing.get_context("spawn")
    with (ProcessPoolExecutor(workers, mp_context=spawn, initializer=_one_thread) as pool,
          click.progressbar(pool.map(work, items), length=len(items), label=label, file=sys.stderr) as results):
        return list(results)


def in_own_process(work: Callable[..., Result], *arguments: object) -> Result:
    """Call a function in a new process, so that its memory can be measured.

    Raises BrokenProcessPool if the process is killed.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()
