"""Hostile input: ``python -m bench fuzz TARGET --runs 1000000``, guided by coverage (the extra ``fuzz`` has atheris).

Any exception that the documentation does not name, or two ways of decoding that disagree, ends the run, and says where
the input is that did it. ``--corpus`` keeps inputs that reach new code, to go on from.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

TARGETS = ("container", "plugin", "decode", "model")


@click.command()
@click.argument("target", type=click.Choice(TARGETS))
@click.option("--runs", type=click.IntRange(1), default=100_000, show_default=True, help="Inputs to try.")
@click.option("--corpus", type=click.Path(file_okay=False, path_type=Path), help="Folder of inputs to go on from.")
def main(target: str, runs: int, corpus: Path | None) -> None:
    """Try RUNS mutated inputs on TARGET."""
    os.environ["OMP_NUM_THREADS"] = "1"  # pictures are tiny; read when torch is imported
    from . import fuzz_targets

    folder = corpus or Path(tempfile.mkdtemp(prefix="cdraw-fuzz-"))
    folder.mkdir(exist_ok=True)
    click.echo(f"inputs that reach new code go to {folder}", err=True)
    fuzz_targets.start(target, folder, runs)
