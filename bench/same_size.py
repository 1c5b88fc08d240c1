"""At the very sizes of another codec's files: ``python -m bench.same_size IMAGES... [--codec jpeg2000]``. Prints JSON.

For every file that the other codec makes, cdraw's one file of that picture is cut to as many bytes, most of the time
inside a step. So the mean curves of both are means at the same rates.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click
import numpy as np

from convdraw_codec import CdrError, truncate
from convdraw_codec.metrics import ms_ssim, psnr

from .codecs import PEERS, make, the_codec
from .metrics import bd_rate, decibels
from .parallel import WORKERS, map_images
from .pictures import find_images, opened

METRICS = {"psnr-rgb": psnr, "ms-ssim-rgb": lambda *pictures: decibels(ms_ssim(*pictures))}  # both in dB


def measure(name: str, path: Path) -> np.ndarray:
    """A row for each file of the other codec: its bpp, cdraw's bpp, its metrics, cdraw's metrics; NaN for a size that
    cdraw's file does not reach, or begins beyond."""
    image, rows = opened(path), []
    whole, pixels = the_codec().compress(image), image.width * image.height
    for size, theirs in make(name).points(image):
        try:
            cut = truncate(whole, size=size)
        except CdrError:
            cut = b""
        if not cut or size > len(whole):
            rows.append([np.nan] * (2 + 2 * len(METRICS)))
            continue
        ours = the_codec().decompress(cut)
        rows.append([8 * size / pixels, 8 * len(cut) / pixels,
                     *(metric(image, shown) for shown in (theirs, ours) for metric in METRICS.values())])
    return np.array(rows)


def compared(columns: np.ndarray) -> dict[str, dict[str, float]]:
    """BD-rates of cdraw against the other codec, of the mean curves and their mean over the images.

    columns: (images, settings, columns of ``measure``).
    """
    report = {}
    for i, metric in enumerate(METRICS, 2):
        both = columns[:, :, [0, i]], columns[:, :, [1, i + len(METRICS)]]
        each = [bd_rate(*((curve[~np.isnan(curve[:, 0])].T.tolist()) for curve in pair))  # type: ignore[arg-type]
                for pair in zip(*both, strict=True)]
        mean = bd_rate(*(curves.mean(0).T[:, ~np.isnan(curves.mean(0)[:, 0])].tolist() for curves in both))
        report[metric] = {"of mean curves": round(mean, 3), "mean over images": round(float(np.mean(each)), 3)}
    return report


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--codec", type=click.Choice([peer.name for peer in PEERS]), default="jpeg2000", show_default=True)
@click.option("--held-out", is_flag=True, help="Of folders of photographs, those that training leaves out.")
@WORKERS
def main(images: tuple[Path, ...], codec: str, held_out: bool, workers: int) -> None:
    """Compare with one codec on IMAGES, files or folders."""
    files = find_images(images, held_out)
    columns = np.stack(list(map_images(partial(measure, codec), files, workers, codec)))
    everywhere = columns[:, ~np.isnan(columns[:, :, 0]).any(0)]
    rates = [{"bpp": round(row[:, 0].mean(), 4)} | {
        metric: {codec: round(row[:, i].mean(), 3), "cdraw": round(row[:, i + len(METRICS)].mean(), 3),
                 "pictures that cdraw shows better": int((row[:, i + len(METRICS)] > row[:, i]).sum())}
        for i, metric in enumerate(METRICS, 2)} for row in everywhere.swapaxes(0, 1)]
    print(json.dumps({"model": the_codec().fingerprint, "codec": make(codec).description, "images": len(files),
                      "BD-rate of cdraw": compared(columns), "at rates that all pictures have": rates}, indent=1))


if __name__ == "__main__":
    main()
