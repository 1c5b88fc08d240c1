"""What commands share that make files of files: one at once, or many by a plan."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import click

from ..atomic_write import STANDARD
from ..errors import counted
from . import many_files
from .console import QUIET, Chatter, Failure, failing, name_of
from .files import Place, check_input, choose_output, identity, place
from .picture_output import picture_suffixes
from .reports import Done, summary_line

Work: TypeAlias = Callable[[Place, Place, Chatter], Done]  # makes the second file from the first


@dataclass(frozen=True)
class Files:
    """What the command line says about inputs and outputs."""

    inputs: tuple[Place, ...]
    output: str | None
    force: bool
    recursive: bool
    skip_existing: bool
    model: str | None = None  # which is an input, too

    @property
    def many(self) -> bool:
        """Many files, or a folder to put results into, or one to take files from."""
        first = self.inputs[0]
        from_folder = first != STANDARD and (os.path.isdir(first) or (self.recursive and not os.path.exists(first)))
        return len(self.inputs) > 1 or self.into_folder or from_folder

    @property
    def into_folder(self) -> bool:
        """Whether the output is a folder, or is meant to be one."""
        output = self.output
        return output not in (None, STANDARD) and (output.endswith(("/", os.sep)) or os.path.isdir(output))

    def target(self, suffix: str) -> Place:
        """The output for a single input."""
        output = None if self.output is None else place(self.output)
        source = self.inputs[0]
        check_input(source)
        if suffix == ".cdr" and isinstance(output, Path):
            named = output.suffix.lower()
            if named not in ("", suffix) and named in picture_suffixes():  # which take a while to collect
                raise click.UsageError(f"--output: {output} would hold no picture; use {output.with_suffix(suffix)}.")
        return choose_output(source, output, suffix, self.force, self.model)

    def plan(self, suffix: str, accepted: set[str]) -> list[many_files.Task]:
        """The tasks, with folders for their results made. Wrong plans are wrong usage."""
        last = Path(self.inputs[-1])
        results = {suffix} if suffix == ".cdr" else picture_suffixes()
        if os.path.exists(last):
            results -= accepted
        if self.output is None and len(self.inputs) > 1 and last.suffix.lower() in results:
            raise click.UsageError(f"{last} is taken for an input; to write it, use -o {last}.")
        if STANDARD in self.inputs or self.output == STANDARD:
            raise click.UsageError("standard input and output take one file.")
        folder = None if self.output is None else Path(self.output)
        if folder and not self.into_folder and (folder.suffix or os.path.lexists(folder)):
            raise click.UsageError("many files go to a folder: -o FOLDER/.")
        with failing("read", "the folders"):
            tasks = many_files.plan(list(map(Path, self.inputs)), folder, suffix, accepted, self.recursive)
        read = [task.source for task in tasks] + ([Path(self.model)] if self.model else [])
        inputs = {identity(source, 0) for source in read} - {None}
        for task in tasks:
            if identity(task.target, 1) in inputs:
                raise click.UsageError(f"{task.target} would be overwritten, and is an input.")
        if folder and any(os.path.lexists(task.source) for task in tasks):
            with failing("write", folder):
                for parent in {task.target.parent for task in tasks}:
                    parent.mkdir(parents=True, exist_ok=True)
        return tasks


def convert(action: str, files: Files, suffix: str, work: Work, chatter: Chatter, jobs: int = 1, *,
            pictures: bool = False) -> None:
    """Make a file with ``suffix`` from each input, pictures or .cdr files; of many, exit with 1 if one failed."""
    if not files.many:
        _say(files.inputs[0], work(files.inputs[0], files.target(suffix), chatter), chatter)
        return
    tasks = files.plan(suffix, picture_suffixes() if pictures else {".cdr"})
    started = [task for task in tasks if not (files.skip_existing and os.path.exists(task.target))]
    results = many_files.run(started, partial(_attempt, work, suffix, files.force), jobs)
    made, failures = list[tuple[many_files.Task, Done]](), list[str]()
    with chatter.progress(action, len(started)) as on_task:
        for number, (task, done) in enumerate(results, 1):
            if isinstance(done, Done):
                made.append((task, done))
            else:
                failures.append(done or f"cannot work on {task.source}: its process was killed, perhaps for want of "
                                        f"memory")
            on_task(number)
    for task, done in sorted(made, key=lambda row: row[0].target):
        _say(task.source, done, chatter)
    if len(made) > 1:
        chatter.say(summary_line([done for _, done in made]))
    if len(started) < len(tasks):
        chatter.say(f"there already: {counted(len(tasks) - len(started), 'file')}")
    for failure in failures:
        Failure(failure).show()
    if failures:
        raise SystemExit(1)


def _say(source: Place, done: Done, chatter: Chatter) -> None:
    for note in done.notes:
        chatter.say(f"{name_of(source)}: {note}")
    if done.details:
        chatter.say(done.details, level=1)
    chatter.say(done.report)


def _attempt(work: Work, suffix: str, force: bool, task: many_files.Task) -> Done | str:
    """What became of a file, or the words of its Failure, so that a batch continues."""
    try:
        check_input(task.source)
        return work(task.source, choose_output(task.source, task.target, suffix, force), QUIET)
    except Failure as failure:
        return failure.message
