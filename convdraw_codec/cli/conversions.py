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
from ..errors import CdrawError, counted
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
        return choose_output(source, output, suffix, self.force)

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
            try:
                tasks = many_files.plan(list(map(Path, self.inputs)), folder, suffix, accepted, self.recursive)
            except CdrawError as error:
                raise click.UsageError(f"{error}.") from error
        inputs = {identity(task.source, 0) for task in tasks} - {None}
        for task in tasks:
            if identity(task.target, 1) in inputs:
                raise click.UsageError(f"{task.target} would be overwritten, and is an input.")
        if folder:
            with failing("write", folder):
                for parent in {task.target.parent for task in tasks}:
                    parent.mkdir(parents=True, exist_ok=True)
        return tasks


def convert_one(files: Files, suffix: str, work: Work, chatter: Chatter) -> None:
    """Make one file from another."""
    source = files.inputs[0]
    done = work(source, files.target(suffix), chatter)
    for note in done.notes:
        chatter.say(f"{name_of(source)}: {note}")
    if done.details:
        chatter.say(done.details, level=1)
    chatter.say(done.report)


def convert_many(action: str, files: Files, suffix: str, accepted: set[str], work: Work, jobs: int,
                 chatter: Chatter) -> None:
    """Make a file from each of many, say how each went, and exit with 1 if one failed."""
    tasks = files.plan(suffix, accepted)
    started = [task for task in tasks if not (files.skip_existing and os.path.exists(task.target))]
    table: list[tuple[many_files.Task, Done]] = []
    with chatter.progress(action, len(started)) as on_task:
        for number, (task, done) in enumerate(many_files.run(started, partial(_attempt, work, suffix, files.force),
                                                             jobs), 1):
            killed = f"cannot work on {task.source}: its process was killed, perhaps for want of memory"
            table.append((task, done or Done(failure=killed)))
            on_task(number)
    failed = [done for _, done in table if done.failure]
    table = [(task, done) for task, done in table if not done.failure]
    for task, done in sorted(table, key=lambda row: row[0].target):
        for note in done.notes:
            chatter.say(f"{task.source}: {note}")
        if done.details:
            chatter.say(done.details, level=1)
        chatter.say(done.report)
    if len(table) > 1:
        total = Done(*(sum(getattr(done, name) for _, done in table) for name in ("coded", "picture", "pixels")))
        chatter.say(summary_line(counted(len(table), "file"), total))
    if len(started) < len(tasks):
        chatter.say(f"there already: {counted(len(tasks) - len(started), 'file')}")
    for done in failed:
        click.echo(f"cdraw: error: {done.failure}", err=True)
    if failed:
        raise SystemExit(1)


def _attempt(work: Work, suffix: str, force: bool, task: many_files.Task) -> Done:
    """Turn a Failure into a Done, so that a batch continues."""
    try:
        return work(task.source, choose_output(task.source, task.target, suffix, force), QUIET)
    except Failure as failure:
        return Done(failure=failure.message)
