"""The figures of Gregor et al. (2016), from our own model: ``python -m bench paper-figures FIGURE ...``.

Each writes a PNG and a JSON file of the same name into --out.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from skimage.metrics import structural_similarity

from convdraw_codec import CdrError, Codec, truncate
from convdraw_codec.format.bitstream import read
from convdraw_codec.options import Fill
from convdraw_codec.pictures.metrics import psnr

from ..shared.codecs import make, the_codec
from ..shared.frame import IMAGES, OUT
from ..shared.pictures import find_images, opened
from ..shared.results import COLOURS, keep_figure

SIDE, ACROSS = 32, 10  # pixels of a small image; small images on a side of the joined picture
BITS = (0.05, 0.1, 0.15, 0.2, 0.4, 0.8)  # per dimension, of which a pixel has three
SHOWN = 4  # small images of each method and rate


def grid(rows: int, columns: int, width: float, height: float) -> tuple[Figure, np.ndarray]:
    """A figure, and its axes without frames, (rows, columns); width and height of each in inches."""
    figure = Figure(figsize=(width * columns, height * rows))
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.set_frame_on(False)
    return figure, axes


@click.group()
def main() -> None:
    """Draw a figure of the paper."""


@main.command()
@IMAGES
@click.option("--columns", type=click.IntRange(2), default=7, show_default=True, help="Cuts to show.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Of fills that are drawn.")
@OUT
def fills(images: tuple[Path, ...], columns: int, seeds: int, out: Path) -> None:
    """Figure 1, right: pictures after t stored steps, with the estimate of the others, a plausible one, and on a sample
    of the prior."""
    codec, files = the_codec(), find_images(images)
    steps = np.unique(np.linspace(1, codec.total_steps, columns).round().astype(int)).tolist()
    drawn: tuple[Fill, ...] = "plausible", "prior"
    rows: list[tuple[Fill, int]] = [("estimate", 0), *itertools.product(drawn, range(seeds))]
    figure, axes = grid(len(rows) * len(files), len(steps), 2.2, 2.0)
    numbers: list[dict[str, Any]] = []
    for i, path in enumerate(files):
        image = opened(path)
        data = codec.compress(image)
        for j, (fill, seed) in enumerate(rows):
            for axis, stored in zip(axes[len(rows) * i + j], steps, strict=True):
                picture, size = codec.decompress(data, stored, fill, seed), len(truncate(data, stored))
                axis.imshow(picture)
                axis.set_title(f"{stored} steps, {size:,} bytes" if j == 0 else "", fontsize=8)
                numbers.append({"image": path.name, "fill": fill, "seed": seed, "steps": stored, "bytes": size,
                                "psnr": round(psnr(image, picture), 3)})
            axes[len(rows) * i + j, 0].set_ylabel(fill)
    keep_figure(out, "fills", figure, numbers)


@main.command()
@IMAGES
@click.option("--model", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Not the bundled one.")
@OUT
def bits(images: tuple[Path, ...], model: Path | None, out: Path) -> None:
    """Figure 2, right: bits of each step, by layer; mean over IMAGES, of real files."""
    codec = Codec(model) if model else the_codec()
    spent = []
    for path in find_images(images):
        image = opened(path)
        data = codec.compress(image)
        sizes = [0, *(len(truncate(data, steps)) for steps in range(1, codec.total_steps + 1))]
        spent.append(8 * np.diff(sizes) / (image.width * image.height))
    mean, layers = np.mean(spent, axis=0), [step.layer for step in codec.model.config.steps]
    figure = Figure(figsize=(8, 3.2))
    axis = figure.subplots()
    for layer, size in enumerate(codec.model.config.layers):
        where = [t for t, visited in enumerate(layers) if visited == layer]
        axis.bar([t + 1 for t in where], mean[where], color=COLOURS[layer % len(COLOURS)],
                 label=f"layer {layer + 1}, stride {size.stride}")
    axis.set(yscale="log", xlabel="step", ylabel="bits per pixel")
    axis.legend()
    keep_figure(out, "bits", figure, {"images": len(spent), "layer": [layer + 1 for layer in layers],
                               "bits per pixel": mean.round(6).tolist()})


@main.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@OUT
def small(source: Path, out: Path) -> None:
    """Figure 3: 32x32 images at a few bits per dimension, 100 joined into one picture for every codec.

    SOURCE: a sheet of 32x32 images, as of CIFAR-10, of which the first 10 in each of 10 rows are taken; or a folder of
    photographs, of which squares are scaled down. cdraw codes each image for itself as well: its latents count, as in
    the paper, headers do not.
    """
    side = ACROSS * SIDE
    joined = thumbnails(find_images((source,))) if source.is_dir() else opened(source)
    if min(joined.size) < side:
        raise click.UsageError(f"a sheet has at least {side}x{side} pixels")
    joined = joined.crop((0, 0, side, side))
    apart = [the_codec().compress(joined.crop(box)) for box in boxes()]
    figure, axes = grid(len(BITS), 7, 2.4, 2.5)
    numbers: list[dict[str, Any]] = []
    for row, rate in zip(axes, BITS, strict=True):
        size = int(rate * joined.width * joined.height * 3 / 8)
        methods = decoded_small(joined, size)
        methods["cdraw, estimated, each for itself"] = decoded_apart(apart, size // len(apart))
        for axis, (method, coded) in zip(row, methods.items(), strict=True):
            if coded is None:
                axis.set_title(f"{method}\nnothing so small", fontsize=8)
                continue
            bytes_used, picture = coded
            quality = {"psnr": round(psnr(joined, picture), 3), "ssim": round(ssim(joined, picture), 4)}
            axis.imshow(picture.crop((0, 0, SHOWN * SIDE, SHOWN * SIDE)), interpolation="nearest")
            label = f"{quality['psnr']:.2f} dB, SSIM {quality['ssim']:.3f}" if bytes_used else f"{rate} bits/dim"
            axis.set_title(f"{method}\n{label}", fontsize=8)
            if bytes_used:
                numbers.append({"bits_per_dimension": rate, "method": method, "bytes": bytes_used, **quality})
    keep_figure(out, f"small-{source.stem}", figure, numbers)


def decoded_small(image: Image.Image, size: int) -> dict[str, tuple[int, Image.Image] | None]:
    """What every method makes of a picture in so many bytes; JPEG with or without all the chroma, whichever has the
    better PSNR."""
    codec = the_codec()
    data = codec.compress(image, size=size)
    fills: dict[str, Fill] = {"full prior variance": "prior", "estimated": "estimate", "plausible": "plausible"}
    jpegs = [point for name in ("jpeg", "jpeg-444") if (point := make(name).within(image, size))]
    return {"original": (0, image), "JPEG": max(jpegs, key=lambda point: psnr(image, point[1]), default=None),
            "JPEG 2000": make("jpeg2000").within(image, size)} | {
            f"cdraw, {name}": (len(data), codec.decompress(data, fill=fill)) for name, fill in fills.items()}


def decoded_apart(files: list[bytes], budget: int) -> tuple[int, Image.Image]:
    """Files of small images, each cut where its latents have so many bytes: these bytes, and the images joined."""
    joined, total = Image.new("RGB", (ACROSS * SIDE, ACROSS * SIDE)), 0
    for data, box in zip(files, boxes(), strict=True):
        size = bisect_right(range(len(data)), budget, key=lambda size: latent_bytes(data, size)) - 1
        total += latent_bytes(data, size)
        joined.paste(the_codec().decompress(truncate(data, size=size)), box)
    return total, joined


def latent_bytes(data: bytes, size: int) -> int:
    """What latents take of a file that is cut to so many bytes; -1 where it cannot become so small."""
    try:
        return sum(map(len, read(truncate(data, size=size)).segments))
    except CdrError:
        return -1


def boxes() -> list[tuple[int, int, int, int]]:
    """Where the small images lie in the joined one."""
    corners = itertools.product(range(0, ACROSS * SIDE, SIDE), repeat=2)
    return [(x, y, x + SIDE, y + SIDE) for y, x in corners]


def ssim(original: Image.Image, decoded: Image.Image) -> float:
    """SSIM, mean over the small images."""
    tiles = ([np.asarray(image.crop(box)) for image in (original, decoded)] for box in boxes())
    return float(np.mean([structural_similarity(*pair, channel_axis=2) for pair in tiles]))


def thumbnails(files: list[Path]) -> Image.Image:
    """100 squares from photographs, scaled down to 32x32 and joined."""
    joined, rng = Image.new("RGB", (ACROSS * SIDE, ACROSS * SIDE)), np.random.default_rng(0)
    for i in range(ACROSS**2):
        image = opened(files[i % len(files)])
        side = int(rng.integers(min(image.size) // 2, min(image.size) + 1))
        left, top = (int(rng.integers(0, length - side + 1)) for length in image.size)
        square = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, (left, top, left + side, top + side))
        joined.paste(square, (i % ACROSS * SIDE, i // ACROSS * SIDE))
    return joined
