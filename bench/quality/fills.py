"""What the estimator is worth: ``python -m bench fills IMAGES...``. Prints JSON.

PSNR of every cut: of the canvas as it is, in the middle of its cells, and with the estimate of what is not known.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from convdraw_codec.options import Fill
from convdraw_codec.pictures.metrics import psnr

from ..shared.codecs import the_codec
from ..shared.frame import Pictures, Report, prints_report, takes_pictures
from ..shared.pictures import opened

COMPARED: tuple[Fill, ...] = ("none", "estimate")


def measure(path: Path) -> list[list[float]]:
    """PSNR in dB by each fill, a row for each number of stored steps."""
    codec = the_codec()
    image = opened(path)
    data = codec.compress(image)
    return [[psnr(image, codec.decompress(data, steps, fill)) for fill in COMPARED]
            for steps in range(1, codec.total_steps + 1)]


@click.command()
@prints_report
@takes_pictures
def main(pictures: Pictures) -> Report:
    """Compare fills on IMAGES, files or folders."""
    mean = np.mean(pictures.each(measure, "fills"), axis=0).T
    canvas = mean[COMPARED.index("none")]
    return {"images": len(pictures.files), "psnr of the canvas": canvas.round(3).tolist()} | {
        f"gain by {fill}": (row - canvas).round(3).tolist()
        for fill, row in zip(COMPARED, mean, strict=True) if fill != "none"}
