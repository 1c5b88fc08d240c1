"""``cdraw train``: a new model from photographs, or from files of small pictures."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ..console import Chatter, failing
from ..files import choose_output
from ..loading import threads_used
from ..options import FORCE, THREADS, chatter_options


@click.command()
@click.argument("data", nargs=-1, required=True, metavar="DATA...", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path),
              help="Model file to write (.safetensors).")
@click.option("--config", default="photo", show_default=True,
              help="Name of a configuration that comes with cdraw, or a TOML file.")
@click.option("--from", "origin", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Model file of the same configuration to begin with its weights.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=5.0, show_default=True,
              help="Time between checkpoints.")
@FORCE
@THREADS
@chatter_options
def train(data: tuple[Path, ...], output: Path, config: str, origin: Path | None, minutes: float, force: bool,
          threads: int | None, chatter: Chatter) -> None:
    """Train a model on DATA: on the photographs below each folder, or, with a configuration of a generative model
    (paper/...), on files of small pictures.

    The model so far and a checkpoint, OUTPUT with .ckpt added, are written every few minutes, and at ^C; the same
    command goes on from there.
    """
    import torch

    from ..train import find_config, load_config
    from ..train import train as run

    torch.set_num_threads(threads_used(threads))
    choose_output(data[0], output, ".safetensors", force or os.path.exists(f"{output}.ckpt"), origin)
    with failing("train on", config):
        run(load_config(find_config(config)), list(data), output, chatter.say, origin=origin,
            checkpoint_minutes=minutes)
