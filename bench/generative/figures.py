"""Figures of the papers from our own generative models: ``python -m bench generative-figures FIGURE MODEL ...``.

Each writes a picture, named after the model and the figure, into --out.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from PIL import Image

from convdraw_codec.generative.base import LatentModel, redrawn, sample
from convdraw_codec.generative.datasets import load_pictures, pixels, some_of
from convdraw_codec.generative.draw import DRAW, window
from convdraw_codec.generative.output import LEVELS
from convdraw_codec.generative.weights import load_generative

from ..shared.frame import OUT
from ..shared.pictures import opened
from .drawings import ZOOM, outline, sequence, to_image

MODEL = click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
DATA = click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
MILLISECONDS = 120  # that a frame is shown, and ...
LAST = 1500  # ... the last one
CHUNK = 2000  # pictures that are compared at a time
GLIMPSED, FILTERS = 100, 12  # pixels on the longer side of a picture that is glimpsed; filters on a side of the grid
# centre across and down, logarithms of variance, spacing (1: over the whole picture) and intensity
GLIMPSES = (0.0, 0.0, -1.0, -1.6, 0.0), (0.0, 0.0, -1.0, -0.1, 0.0), (0.0, 0.0, 3.4, -0.1, 0.0)


def keep(image: Image.Image, out: Path, name: str, **options: Any) -> None:
    """Write a picture as PNG, with options of Pillow."""
    out.mkdir(parents=True, exist_ok=True)
    image.save(out / f"{name}.png", **options)
    click.echo(f"Wrote {out / name}.png")


def keep_sheet(rows: Iterable[torch.Tensor], out: Path, name: str) -> None:
    """Write rows of pictures, (B, channels, H, W) in 0..1 each."""
    keep(to_image([list(row) for row in rows]), out, name, optimize=True)


def with_latents(path: Path) -> LatentModel:
    """A model that has latents. Raises UsageError for another."""
    model = load_generative(path)
    if not isinstance(model, LatentModel):
        raise click.UsageError(f"{path} has no latents")
    return model


@click.group()
def main() -> None:
    """Draw a figure of the papers."""


@main.command()
@MODEL
@DATA
@click.option("--part", default="test", show_default=True, help="Of files that have several.")
@click.option("--count", type=click.IntRange(1), default=5, show_default=True, help="Pictures, spread over all.")
@click.option("--draws", type=click.IntRange(1), default=4, show_default=True, help="Of what is not stored.")
@OUT
@torch.no_grad()
def codes(model: Path, data: tuple[Path, ...], part: str, count: int, draws: int, out: Path) -> None:
    """Several pictures from one code, Gregor et al. (2016), Figure 1, left: above, the pictures; below, made of the
    first t steps of each, with latents drawn from the prior in the others, for t = 0, 1, 2, 4, ..., all."""
    loaded, generator = with_latents(model), torch.Generator().manual_seed(0)
    x = pixels(some_of(load_pictures(list(data), loaded.picture, part), count), loaded.picture, generator)
    repeated = x.repeat_interleave(draws, 0)
    stored = [0, *(2**i for i in range(loaded.steps.bit_length()) if 2**i < loaded.steps), loaded.steps]
    rows = [repeated / loaded.picture.largest, *(redrawn(loaded, repeated, t, generator) for t in stored)]
    keep_sheet(rows, out, f"{model.stem}-codes")


@main.command()
@MODEL
@DATA
@click.option("--part", multiple=True, default=("train", "valid"), show_default=True, help="Of files with several.")
@click.option("--count", type=click.IntRange(1), default=10, show_default=True, help="Samples.")
@OUT
@torch.no_grad()
def nearest(model: Path, data: tuple[Path, ...], part: tuple[str, ...], count: int, out: Path) -> None:
    """Samples, and below each the nearest picture that the model was trained on, Gregor et al. (2015), Figure 6."""
    loaded, generator = load_generative(model), torch.Generator().manual_seed(0)
    seen = load_pictures(list(data), loaded.picture, *part)
    drawn = sample(loaded, count, generator)[-1]
    found = seen[closest(drawn, seen)].float() / (LEVELS - 1)
    keep_sheet([drawn, found], out, f"{model.stem}-nearest")


def closest(pictures: torch.Tensor, among: torch.Tensor) -> list[int]:
    """Of pictures in 0..1, that with the least squared distance among levels."""
    flat = pictures.flatten(1)
    distances = torch.cat([torch.cdist(flat, chunk.flatten(1).float() / (LEVELS - 1)) for chunk in among.split(CHUNK)],
                          dim=1)
    return distances.argmin(1).tolist()


@main.command()
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@OUT
def attention(picture: Path, out: Path) -> None:
    """What DRAW's attention sees of a PICTURE, Gregor et al. (2015), Figures 3 and 4: three grids of filters; the patch
    that is read through each; and the patch, written back. A rectangle shows where a grid lies, and its line how wide
    the filters are."""
    image = opened(picture)
    image.thumbnail((GLIMPSED, GLIMPSED))
    x = torch.from_numpy(np.asarray(image, np.float32) / (LEVELS - 1)).permute(2, 0, 1)[None]
    rows = []
    for parameters in GLIMPSES:
        place = window(torch.tensor([parameters]), FILTERS, *x.shape[2:])
        framed, patch = image.resize((ZOOM * image.width, ZOOM * image.height)), place.read(x)
        written = place.write(patch) / place.write(torch.ones_like(patch)).amax()  # so that white can be written
        outline(framed, place, FILTERS)
        enlarged = [to_image([[one[0]]]).crop((0, 0, *size)).resize(framed.size, Image.Resampling.NEAREST)
                    for one, size in ((patch, (FILTERS, FILTERS)), (written, image.size))]
        rows.append(np.concatenate([np.asarray(each) for each in (framed, *enlarged)], axis=1))
    keep(Image.fromarray(np.concatenate(rows)).quantize(256), out, f"{picture.stem}-attention", optimize=True)


@main.command()
@MODEL
@click.option("--count", type=click.IntRange(1), default=8, show_default=True, help="Samples, side by side.")
@OUT
@torch.no_grad()
def animation(model: Path, count: int, out: Path) -> None:
    """Samples of DRAW as they are drawn, with the window of its attention: an animated PNG."""
    loaded, generator = load_generative(model), torch.Generator().manual_seed(0)
    if not isinstance(loaded, DRAW):
        raise click.UsageError(f"{model} is no DRAW")
    together = zip(*(sequence(loaded, generator) for _ in range(count)), strict=True)
    frames = [Image.fromarray(np.concatenate([np.asarray(frame) for frame in row], axis=1)) for row in together]
    times = [MILLISECONDS] * (len(frames) - 1) + [LAST]
    keep(frames[0], out, f"{model.stem}-animation", save_all=True, append_images=frames[1:], duration=times, loop=0)
