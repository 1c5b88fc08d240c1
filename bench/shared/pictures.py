"""The pictures that are measured."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageOps

from convdraw_codec.training.photographs import SUFFIXES, find_photographs

EXAMPLE = Path(__file__).parents[2] / "docs" / "example.jpg"


def find_images(paths: tuple[Path, ...], held_out: bool = False) -> list[Path]:
    """The files named, and those in the folders named, in order of name; or those that training leaves out.

    Raises click.UsageError if there is none.
    """
    if held_out:
        files = find_photographs(list(paths))[1]
    else:
        named = [f for path in paths for f in (sorted(path.iterdir()) if path.is_dir() else [path])]
        files = [f for f in named if f.suffix.lower() in SUFFIXES]
    if not files:
        raise click.UsageError("no pictures there")
    return files


def opened(path: Path) -> Image.Image:
    """A picture as RGB, the right way up, and without metadata, which not every codec stores."""
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    upright.info.clear()
    return upright


def mirrored(picture: Path, width: int, height: int) -> Image.Image:
    """The picture, mirrored from tile to tile, as much as fills the size."""
    pixels = np.asarray(opened(picture))
    beyond = [(0, max(0, size - n)) for size, n in zip((height, width), pixels.shape[:2], strict=True)]
    return Image.fromarray(np.pad(pixels, (*beyond, (0, 0)), mode="symmetric")[:height, :width])
