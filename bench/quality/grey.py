"""What a grey picture saves: ``python -m bench grey IMAGES...``. Prints JSON.

Every picture is compressed as it is, and turned grey; bytes are compared at equal PSNR of the grey decoded pictures.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from PIL import Image

from convdraw_codec import truncate
from convdraw_codec.pictures.metrics import psnr

from ..shared.codecs import the_codec
from ..shared.frame import Pictures, Report, prints_report, takes_pictures
from ..shared.pictures import opened
from .bjontegaard import bd_rate


def curve(image: Image.Image) -> tuple[list[float], list[float]]:
    """Bytes, and PSNR in dB of the grey version, at each cut."""
    codec, grey = the_codec(), image.convert("L")
    data = codec.compress(image)
    return ([float(len(truncate(data, steps))) for steps in range(1, codec.total_steps + 1)],
            [psnr(grey, picture.convert("L")) for picture in codec.progressive(data)])


def measure(path: Path) -> float:
    """Bytes of the grey file, as a share of the colour file's."""
    image = opened(path)
    return 1 + bd_rate(curve(image), curve(image.convert("L"))) / 100


@click.command()
@prints_report
@takes_pictures
def main(pictures: Pictures) -> Report:
    """Compare grey and colour on IMAGES, files or folders."""
    shares = pictures.each(measure, "grey")
    return {"images": len(shares), "grey bytes over colour bytes at equal grey PSNR":
            {"mean": round(float(np.mean(shares)), 4), "largest": round(max(shares), 4)}}
