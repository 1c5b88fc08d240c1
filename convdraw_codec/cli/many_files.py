"""Many files at once: which goes where, and one function run on all of them, in several processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..errors import CdrawError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Task:
    """One file to make from another."""

    source: Path
    target: Path


def plan(inputs: list[Path], folder: Path, suffix: str, accepted: set[str], recursive: bool) -> list[Task]:
    """A task for each input, and with ``recursive`` for each accepted file below an input folder.

    Targets lie in ``folder``, with the suffix; what comes from below an input folder keeps its place below it.
    accepted: suffixes, lower case. Raises CdrawError for a folder without ``recursive``, for two inputs that
    would become the same file, and if nothing is left; OSError for a folder that cannot be read.
    """
    tasks: dict[Path, Task] = {}
    for given in inputs:
        if not given.is_dir():
            found = [(given, Path(given.name))]
        elif not recursive:
            raise CdrawError(f"{given} is a folder; --recursive takes the files below it")
        else:
            below = sorted(path for path in _below(given) if path.suffix.lower() in accepted and path.is_file())
            found = [(path, path.relative_to(given)) for path in below]
        for source, place in found:
            task = Task(source, (folder / place).with_suffix(suffix))
            if task.target in tasks:
                raise CdrawError(f"{tasks[task.target].source} and {source} would both become {task.target}")
            tasks[task.target] = task
    if not tasks:
        raise CdrawError(f"there is no {' or '.join(sorted(accepted)[:3])} file below {', '.join(map(str, inputs))}")
    return list(tasks.values())


def _below(folder: Path) -> Iterator[Path]:
    """Every file below a folder; unlike ``rglob``, it passes over no folder in silence."""

    def refuse(error: OSError) -> None:
        raise error

    for place, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(place, name) for name in names)


def run(tasks: list[Task], work: Callable[[Task], Result], jobs: int) -> Iterator[tuple[Task, Result | None]]:
    """``work`` on every task, in ``jobs`` processes; results as they come, None where its process was killed. ``work``
    can be pickled if jobs > 1."""
    if jobs == 1 or not tasks:
        for task in tasks:
            yield task, work(task)
        return
    left = []
    with _processes(min(jobs, len(tasks))) as pool:
        futures = {pool.submit(work, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                result = _unless_killed(future)
                if result is None:
                    left.append(futures[future])
                else:
                    yield futures[future], result
        finally:
            pool.shutdown(cancel_futures=True)
    for task in left:  # by itself, so that what kills its process stops no other
        with _processes(1) as pool:
            yield task, _unless_killed(pool.submit(work, task))


def _unless_killed(future: Future[Result]) -> Result | None:
    try:
        return future.result()
    except BrokenProcessPool:
        return None


def _processes(count: int) -> ProcessPoolExecutor:
    """Started anew: a child forked from a process with torch's threads may hang."""
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))


def threads_each(jobs: int) -> int:
    """Processor threads for each of several processes."""
    return max(1, (os.cpu_count() or 1) // jobs)
