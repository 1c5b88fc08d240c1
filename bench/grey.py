"""What a grey picture saves: ``python -m bench.grey IMAGES...``. Prints JSON.

Every picture is compressed as it is, and turned grey; bytes are compared at equal PSNR of the grey decoded pictures.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
from PIL import Image

from convdraw_codec import truncate
from convdraw_codec.pictures.metrics import psnr

from .codecs import the_codec
from .metrics import bd_rate
from .parallel import WORKERS, map_images
from .pictures import find_images, opened


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
@click.argument("images", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@WORKERS
def main(images: tuple[Path, ...], workers: int) -> None:
    """Compare grey and colour on IMAGES, files or folders."""
    shares = list(map_images(measure, find_images(images), workers, "grey"))
    print(json.dumps({"images": len(shares), "grey bytes over colour bytes at equal grey PSNR":
                      {"mean": round(float(np.mean(shares)), 4), "largest": round(max(shares), 4)}}, indent=1))


if __name__ == "__main__":
    main()
