"""What the prior-mean fill is worth: ``python -m bench.fills IMAGES...``. Prints JSON.

PSNR of every cut, of the canvas as it is and with the steps that are not stored run on the prior's mean.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import click
import numpy as np
from PIL import Image

from convdraw_codec import Codec
from convdraw_codec.bands import Decoder
from convdraw_codec.bitstream import read
from convdraw_codec.images import from_planes

from .metrics import psnr
from .parallel import WORKERS, map_images
from .rate_distortion import find_images


@cache
def the_codec() -> Codec:
    """One instance a process."""
    return Codec()


def measure(path: Path) -> list[tuple[float, float]]:
    """PSNR in dB without and with the fill, after each step."""
    codec = the_codec()
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    contents = read(codec.compress(image))

    def quality(decoder: Decoder) -> float:
        return psnr(image, from_planes(decoder.pixels(), *image.size, grey=False))

    return [(quality(decoder), quality(codec._finish(decoder, step)))
            for step, decoder in enumerate(codec._decode_steps(contents.header, contents.segments), 1)]


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@WORKERS
def main(images: tuple[Path, ...], workers: int) -> None:
    """Compare canvases and fills on IMAGES, files or folders."""
    files = find_images(images)
    canvas, filled = np.mean(list(map_images(measure, files, workers, "fills")), axis=0).T
    print(json.dumps({"images": len(files), "canvas": canvas.round(3).tolist(), "filled": filled.round(3).tolist(),
                      "gain": (filled - canvas).round(3).tolist()}, indent=1))


if __name__ == "__main__":
    main()
