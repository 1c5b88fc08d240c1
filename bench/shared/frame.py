"""The frame of a command: pictures and workers in, a report out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from convdraw_codec.cli.process import cores

from . import parallel
from .pictures import find_images

Returned = TypeVar("Returned")
Report = dict[str, Any]
IMAGES = click.argument("images", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
OUT = click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("results"),
                   show_default=True)


@dataclass(frozen=True)
class Pictures:
    """The pictures that a command was given, and how many processes may work on them."""

    files: list[Path]
    workers: int

    def each(self, work: Callable[[Path], Returned], label: str) -> list[Returned]:
        """Results of the work on every picture, in their order."""
        return parallel.in_workers(work, self.files, self.workers, label)


def takes_pictures(function: Callable[..., Returned]) -> Callable[..., Returned]:
    """A command of IMAGES, --held-out and --workers: the function gets ``Pictures`` in their place."""

    @IMAGES
    @click.option("--held-out", is_flag=True, help="Of folders of photographs, those that training leaves out.")
    @click.option("--workers", type=click.IntRange(1), default=cores, show_default="all cores",
                  help="Processes, of one thread each.")
    @wraps(function)
    def command(images: tuple[Path, ...], held_out: bool, workers: int, **options: object) -> Returned:
        return function(Pictures(find_images(images, held_out), workers), **options)

    return command


def prints_report(function: Callable[..., Report]) -> Callable[..., None]:
    """A command that prints what the function returns as JSON, and exits with 1 if that has "failures"."""

    @wraps(function)
    def command(*arguments: object, **options: object) -> None:
        report = function(*arguments, **options)
        click.echo(json.dumps(report, indent=1))
        if report.get("failures"):
            sys.exit(1)

    return command
