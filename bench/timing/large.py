"""Large pictures: ``python -m bench large [PICTURE]``. Prints JSON.

PICTURE, mirrored from tile to tile and with noise of its own in each, fills squares of growing size. Time and peak
memory of both directions, each in a process of its own; and how far the error of the decoded picture steps across the
borders of strips, against the step across other borders of blocks. A machine's speed drifts by a fifth within minutes:
so all goes there and back through the sizes, small ones several times each way, and means are printed.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
import numpy as np
from PIL import Image

from convdraw_codec import Codec
from convdraw_codec.coding.strip_transform import SHOWN_PIXELS
from convdraw_codec.network.prior import strips

from ..shared import parallel
from ..shared.frame import Report, prints_report
from ..shared.memory import peak_mb
from ..shared.pictures import EXAMPLE, mirrored

REPEATS = 4  # of small pictures each way
BLOCK, FINEST = 32, 8  # pixels: of the coarsest and the finest blocks


def square(picture: Path, side: int) -> Image.Image:
    """The picture, mirrored from tile to tile, with noise of its own in each."""
    pixels = np.array(mirrored(picture, side, side))
    rng = np.random.default_rng(0)
    for rows in np.array_split(np.arange(side), max(1, side // 512)):  # by parts, to need little memory
        noise = rng.normal(0, 2, (len(rows), side, 3)).astype(np.float32)
        pixels[rows] = (pixels[rows] + noise).round().clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


def timed(action: str, source: Path, target: Path) -> dict[str, float]:
    """Seconds of one direction with the model loaded, and peak memory of this process in MB."""
    codec = Codec()
    codec.decompress(codec.compress(np.zeros((64, 64, 3), np.uint8)))  # warm
    start = time.perf_counter()
    if action == "compress":
        target.write_bytes(codec.compress(source))
    else:
        codec.decompress(source).save(target)
    return {"seconds": round(time.perf_counter() - start, 2), "peak memory in MB": round(peak_mb())}


def measured(picture: Path, side: int, folder: Path) -> dict[str, float]:
    """What a square takes, there and back."""
    original, coded, decoded = (folder / f"{side}{suffix}" for suffix in (".ppm", ".cdr", "-back.ppm"))
    square(picture, side).save(original)
    result = {f"{action}, {what}": value for action, source, target in (("compress", original, coded),
                                                                        ("decompress", coded, decoded))
              for what, value in parallel.in_own_process(timed, action, source, target).items()}
    result["bytes"] = coded.stat().st_size
    if side * side > SHOWN_PIXELS:
        result["border step over interior"] = border_step(original, decoded)
    return result


def mean(runs: list[dict[str, float]]) -> dict[str, float]:
    """Of the same square."""
    return {key: round(float(np.mean([run[key] for run in runs])), 4) for key in runs[0]}


def border_step(original: Path, decoded: Path) -> float:
    """Mean step of the error across borders of strips, over that across other borders of blocks."""
    steps: dict[bool, list[float]] = {True: [], False: []}
    with Image.open(original) as a, Image.open(decoded) as b:
        borders = {FINEST * strip.start for strip in strips(a.height // FINEST, SHOWN_PIXELS // (FINEST * a.width))}
        for y in range(FINEST, a.height, FINEST):
            steps[y in borders].append(_step(a, b, (0, y - 1, a.width, y + 1)))
    return float(np.mean(steps[True]) / np.mean(steps[False]))


def _step(a: Image.Image, b: Image.Image, box: tuple[int, int, int, int]) -> float:
    first, second = (np.asarray(image.crop(box), np.float32) for image in (a, b))
    return float(np.abs(np.diff(second - first, axis=0)).mean())


@click.command()
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=EXAMPLE)
@click.option("--sides", default="2048,8192", show_default=True, help="Pixels, with commas between.")
@prints_report
def main(picture: Path, sides: str) -> Report:
    """Measure squares of PICTURE."""
    Image.MAX_IMAGE_PIXELS = None
    there = list(map(int, sides.split(",")))
    if odd := [side for side in there if side % BLOCK]:
        raise click.UsageError(f"{odd[0]} is no multiple of {BLOCK}")
    with tempfile.TemporaryDirectory() as folder:
        runs = [(side, measured(picture, side, Path(folder))) for side in (*there, *there[-2::-1])
                for _ in range(min(REPEATS, max(there) // side))]
    return {f"{side}x{side}": mean([run for other, run in runs if other == side]) for side in there}
