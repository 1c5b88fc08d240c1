"""What the retouch is worth: ``python -m bench.fills IMAGES...``. Prints JSON.

PSNR of every cut: of the canvas as it is, with the steps that are not stored taken on the prior's mean, and retouched.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np

from convdraw_codec.options import Fill
from convdraw_codec.pictures.metrics import psnr

from .codecs import the_codec
from .parallel import WORKERS, map_images
from .pictures import find_images, opened

COMPARED: tuple[Fill, ...] = ("none", "mean", "retouch")


def measure(path: Path) -> list[list[float]]:
    """PSNR in dB by each fill, a row for each number of stored steps."""
    codec = the_codec()
    image = opened(path)
    data = codec.compress(image)
    return [[psnr(image, codec.decompress(data, steps, fill)) for fill in COMPARED]
            for steps in range(1, codec.total_steps + 1)]


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--held-out", is_flag=True, help="Of folders of photographs, those that training leaves out.")
@WORKERS
def main(images: tuple[Path, ...], held_out: bool, workers: int) -> None:
    """Compare fills on IMAGES, files or folders."""
    files = find_images(images, held_out)
    mean = np.mean(list(map_images(measure, files, workers, "fills")), axis=0).T
    canvas = mean[COMPARED.index("none")]
    print(json.dumps({"images": len(files), "psnr of the canvas": canvas.round(3).tolist()}
                     | {f"gain by {fill}": (row - canvas).round(3).tolist()
                        for fill, row in zip(COMPARED, mean, strict=True) if fill != "none"}, indent=1))


if __name__ == "__main__":
    main()
