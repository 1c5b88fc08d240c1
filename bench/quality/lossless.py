"""Lossless files: ``python -m bench lossless IMAGES...``. Prints JSON; exit code 1 if a picture came back changed.

Bytes of whole files beside PNG, WebP and JPEG XL (where its plugin is installed), all at their smallest; and pictures
of random sizes and modes, cut from IMAGES, there and back.
"""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import click
import numpy as np
from PIL import Image

from convdraw_codec import truncate

from ..shared import parallel
from ..shared.codecs import Pillow, the_codec
from ..shared.frame import Pictures, Report, prints_report, takes_pictures
from ..shared.pictures import opened

PEERS = [Pillow("png", "PNG", "zlib", "optimize", ({"optimize": True},)),
         Pillow("webp", "WEBP", "webp", "lossless, method 6", ({"lossless": True, "quality": 100, "method": 6},)),
         Pillow("jpeg-xl", "JXL", "pillow-jxl-plugin", "lossless, effort 9", ({"lossless": True, "effort": 9},),
                plugin="pillow_jxl")]
MODES = ("RGB", "L", "RGBA", "LA", "P", "1")
LARGEST_SIDE = 200


def peers() -> list[Pillow]:
    """Those that this machine has."""
    return [peer for peer in PEERS if not peer.missing]


def comes_back(image: Image.Image, data: bytes) -> bool:
    """Whether the file holds every pixel, and its beginnings the same picture in fewer bytes."""
    codec = the_codec()
    decoded = codec.decompress(data)
    same = np.array_equal(np.asarray(decoded), np.asarray(image.convert(decoded.mode)))
    cut = truncate(data, size=random.Random(len(data)).randint(len(truncate(data, 1)), len(data) - 1))
    return same and codec.decompress(cut).size == image.size


def measure(path: Path) -> tuple[dict[str, int], bool]:
    """Bytes by every codec, and whether the picture came back."""
    image = opened(path)
    data = the_codec().compress(image, the_codec().lossless_steps)
    sizes = {"cdraw": len(data), "cdraw, steps of the model": len(truncate(data, the_codec().total_steps))}
    others = {peer.name: len(peer.encode(image, peer.settings[0])) for peer in peers()}
    return sizes | others, comes_back(image, data)


def random_part(files: list[Path], seed: int) -> Image.Image:
    """A part of one of the pictures, of a random size and mode."""
    rng = random.Random(seed)
    image = opened(rng.choice(files))
    width, height = (rng.randint(1, min(LARGEST_SIDE, side)) for side in image.size)
    left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
    part, mode = image.crop((left, top, left + width, top + height)), rng.choice(MODES)
    part = part.convert(mode)
    if mode.endswith("A"):
        alpha = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
        part.putalpha(Image.fromarray(alpha))
    return part


def there_and_back(files: list[Path], seed: int) -> bool:
    """Of one random picture."""
    part = random_part(files, seed)
    return comes_back(part, the_codec().compress(part, the_codec().lossless_steps))


@click.command()
@click.option("--random", "count", type=click.IntRange(0), default=200, show_default=True, help="Random pictures.")
@prints_report
@takes_pictures
def main(pictures: Pictures, count: int) -> Report:
    """Measure lossless files of IMAGES, files or folders."""
    files, results = pictures.files, pictures.each(measure, "lossless")
    returned = parallel.in_workers(partial(there_and_back, files), range(count), pictures.workers, "random")
    mean = {name: round(float(np.mean([sizes[name] for sizes, _ in results]))) for name in results[0][0]}
    failures = [path.name for path, (_, same) in zip(files, results, strict=True) if not same]
    failures += [f"random {seed}" for seed, same in enumerate(returned) if not same]
    return {"images": len(files), "mean bytes": mean,
            "cdraw against": {peer.name: f"{100 * (mean['cdraw'] / mean[peer.name] - 1):+.1f} %" for peer in peers()},
            "random pictures": count, "failures": failures,
            "each": {path.name: sizes for path, (sizes, _) in zip(files, results, strict=True)}}
