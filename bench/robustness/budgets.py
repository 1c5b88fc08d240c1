"""Files cut to random sizes: ``python -m bench budgets IMAGES...``. Prints JSON; exit code 1 if a promise fails.

No cut file may be larger than its budget, nor decode to a worse picture than a smaller one.
"""

from __future__ import annotations

import zlib
from functools import partial
from pathlib import Path

import click
import numpy as np
from PIL import Image

from convdraw_codec import truncate
from convdraw_codec.pictures.conversion import open_picture
from convdraw_codec.pictures.metrics import psnr

from ..shared.codecs import the_codec
from ..shared.frame import Pictures, Report, prints_report, takes_pictures

SMALLEST, LARGEST = 1_000, 150_000  # bytes


def check_budgets(image: Image.Image, data: bytes, budgets: list[int], name: str) -> tuple[list[str], list[float]]:
    """Failures, and the share of each budget that a cut to so many bytes leaves."""
    failures, left, before = [], [], 0.0
    for budget in budgets:
        cut = truncate(data, size=budget)
        quality = psnr(image, the_codec().decompress(cut))
        if len(cut) > budget:
            failures.append(f"{name}: {len(cut)} bytes for a budget of {budget}")
        if quality < before:
            failures.append(f"{name}, {budget} bytes: {quality:.4f} dB, and {before:.4f} dB with fewer")
        left.append(1 - len(cut) / min(budget, len(data)))
        before = quality
    return failures, left


def check_image(count: int, path: Path) -> tuple[list[str], list[float]]:
    """``check_budgets`` with random budgets."""
    image = open_picture(path).pixels
    budgets = np.random.default_rng(zlib.crc32(path.name.encode())).integers(SMALLEST, LARGEST, count)
    return check_budgets(image, the_codec().compress(image), sorted(budgets.tolist()), path.name)


@click.command()
@click.option("--count", type=click.IntRange(1), default=20, show_default=True, help="Random budgets a picture.")
@prints_report
@takes_pictures
def main(pictures: Pictures, count: int) -> Report:
    """Cut files of IMAGES, files or folders, to random sizes."""
    results = pictures.each(partial(check_image, count), "budgets")
    left = [share for _, shares in results for share in shares]
    return {"images": len(results), "budgets a picture": count,
            "share of a budget left": {"mean": round(float(np.mean(left)), 5), "largest": round(max(left), 5)},
            "failures": [failure for failed, _ in results for failure in failed]}
