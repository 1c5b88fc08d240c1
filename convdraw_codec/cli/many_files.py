"""Many files at once: which goes where, and one function run on all of them, in several processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar, cast

import click

from .process import cores

Result = TypeVar("Result")
SPAWN = multiprocessing.get_context("spawn")  # a child forked from a process with threads may hang


@dataclass(frozen=True)
class Task:
    """One file to make from another."""

    source: Path
    target: Path


def plan(inputs: list[Path], folder: Path | None, suffix: str, accepted: set[str], recursive: bool) -> list[Task]:
    """A task for each input, and with ``recursive`` for each accepted file below an input folder.

    Targets lie in ``folder``, where what comes from below an input folder keeps its place below it; without
    ``folder`` each lies beside its source. They have ``suffix`` in place of their own, or behind it where two would
    have the same name. accepted: suffixes, lower case. Raises UsageError for a folder without ``recursive``, for two
    inputs that would become the same file, and if nothing is left; OSError for a folder that cannot be read.
    """
    places = []  # each source, with its target that still has the source's suffix
    for given in inputs:
        if not given.is_dir():
            places.append((given, folder / given.name if folder else given))
        elif recursive:
            found = sorted(_below(given, accepted, (folder,) if folder and folder.exists() else ()))
            places += [(path, folder / path.relative_to(given) if folder else path) for path in found]
        else:
            raise click.UsageError(f"{given} is a folder; --recursive takes the files below it.")
    if not places:
        what = ".cdr files" if ".cdr" in accepted else "pictures"
        raise click.UsageError(f"there are no {what} below {', '.join(map(str, inputs))}.")
    shared = Counter(place.with_suffix(suffix) for _, place in places)
    tasks: dict[Path, Task] = {}
    for source, place in places:
        target = place.with_suffix(suffix)
        if shared[target] > 1:
            target = place.with_name(place.name + suffix)
        if target in tasks:
            raise click.UsageError(f"{tasks[target].source} and {source} would both become {target}.")
        tasks[target] = Task(source, target)
    return list(tasks.values())


def _below(folder: Path, accepted: set[str], outside: tuple[Path, ...]) -> Iterator[Path]:
    """Accepted files below a folder, and links to nowhere, which fail where they are read. Hidden names are left out.

    outside: folders not to enter. Links to folders are followed, but not to one of those that lead here.
    """
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if not any(path.samefile(other) for other in (folder, *outside)):
                yield from _below(path, accepted, (folder, *outside))
        elif (path.suffix.lower() in accepted and path.is_file()) or not path.exists():
            yield path


def run(tasks: list[Task], work: Callable[[Task], Result], jobs: int) -> Iterator[tuple[Task, Result | None]]:
    """``work`` on every task, in up to ``jobs`` processes; results as they come, None where its process was killed.

    ``work`` and its results can be pickled if jobs > 1. What it raises is raised here.
    """
    if jobs == 1:
        yield from ((task, work(task)) for task in tasks)
        return
    killed = []
    for task, result in _in_processes(tasks, work, min(jobs, cores())):
        if result is None:
            killed.append(task)
        else:
            yield task, result
    yield from _in_processes(killed, work, 1)  # with all memory to itself


def _in_processes(tasks: list[Task], work: Callable[[Task], Result], jobs: int) -> Iterator[tuple[Task, Result | None]]:
    left, at_work = deque(tasks), dict[Connection, Task]()
    idle, processes = list[Connection](), list[BaseProcess]()
    try:
        while left or at_work:
            while left and len(at_work) < jobs:
                worker = idle.pop() if idle else _start(work, processes)
                at_work[worker] = left.popleft()
                with contextlib.suppress(ConnectionError):  # killed while it was idle: what it sends ends, too
                    worker.send(at_work[worker])
            for worker in cast(list[Connection], wait(list(at_work))):
                task = at_work.pop(worker)
                try:
                    result, error = worker.recv()
                except (EOFError, ConnectionError):
                    yield task, None
                    continue
                if error:
                    raise error
                idle.append(worker)
                yield task, result
    finally:
        for process in processes:
            process.terminate()


def _start(work: Callable[[Task], Any], processes: list[BaseProcess]) -> Connection:
    """A new process that does the tasks that it is sent; added to ``processes``."""
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=_serve, args=(theirs, work), daemon=True)
    masks = hasattr(signal, "pthread_sigmask")  # not on Windows
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masks else set()  # inherited, as ^C is for
    try:  # the parent alone
        process.start()
    finally:
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    processes.append(process)
    theirs.close()
    return ours


def _serve(parent: Connection, work: Callable[[Task], Any]) -> None:
    """Do each task that comes, until the parent ends, in whatever way, or has enough."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, ConnectionError, SystemExit):
        while True:
            task = parent.recv()
            try:
                answer: tuple[Any, Exception | None] = work(task), None
            except Exception as error:
                error.add_note(traceback.format_exc())  # which a copy in another process does not have
                answer = None, error
            parent.send(answer)
    os._exit(0)  # what is still loaded takes time to end in good order


def _stop(number: int, frame: FrameType | None) -> None:
    """Unwind the work, so that nothing half-written is left."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
