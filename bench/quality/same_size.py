"""At the very sizes of another codec's files: ``python -m bench same-size IMAGES... [--codec jpeg2000]``. Prints JSON.

For every file that the other codec makes, cdraw's one file of that picture is cut to as many bytes, most of the time
inside a step. So the mean curves of both are means at the same rates.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
import numpy as np

from convdraw_codec import CdrError, truncate

from ..shared.codecs import PEERS, make, the_codec
from ..shared.frame import Pictures, Report, prints_report, takes_pictures
from ..shared.pictures import opened
from . import metrics
from .bjontegaard import Results, summary

METRICS = {name: metrics.METRICS[name] for name in ("psnr-rgb", "ms-ssim-rgb")}


def measure(name: str, path: Path) -> np.ndarray:
    """A row for each file of the other codec: its bpp, cdraw's bpp, its metrics, cdraw's metrics; NaN for a size that
    cdraw's file does not reach, or begins beyond."""
    image, rows = opened(path), []
    whole, pixels = the_codec().compress(image), image.width * image.height
    for size, theirs in make(name).points(image):
        try:
            cut = truncate(whole, size=size) if size <= len(whole) else None
        except CdrError:
            cut = None
        if cut is None:
            rows.append([np.nan] * (2 + 2 * len(METRICS)))
            continue
        ours = the_codec().decompress(cut)
        rows.append([8 * size / pixels, 8 * len(cut) / pixels,
                     *(metric(image, shown) for shown in (theirs, ours) for metric in METRICS.values())])
    return np.array(rows)


def curves(columns: np.ndarray) -> Results:
    """Of each image and of all, as ``rate_distortion`` keeps them. columns: (images, sizes, bpp and metrics)."""
    def named(rows: np.ndarray) -> dict[str, list[float]]:
        return dict(zip(("bpp", *METRICS), rows[~np.isnan(rows[:, 0])].T.tolist(), strict=True))

    return {"results": named(columns.mean(0)), "images": {str(i): named(rows) for i, rows in enumerate(columns)}}


def compared(columns: np.ndarray) -> dict[str, dict[str, float | None]]:
    """BD-rates of cdraw against the other codec, of the mean curves and their mean over the images.

    columns: (images, sizes, columns of ``measure``).
    """
    count = len(METRICS)
    theirs = curves(columns[:, :, [0, *range(2, 2 + count)]])
    ours = curves(columns[:, :, [1, *range(2 + count, 2 + 2 * count)]])
    return {metric: summary(theirs, ours, metric)[0] for metric in METRICS}


@click.command()
@click.option("--codec", type=click.Choice([peer.name for peer in PEERS]), default="jpeg2000", show_default=True)
@prints_report
@takes_pictures
def main(pictures: Pictures, codec: str) -> Report:
    """Compare with one codec on IMAGES, files or folders."""
    columns = np.stack(pictures.each(partial(measure, codec), codec))
    everywhere = columns[:, ~np.isnan(columns[:, :, 0]).any(0)]
    rates = [{"bpp": round(row[:, 0].mean(), 4)} | {
        metric: {codec: round(row[:, i].mean(), 4), "cdraw": round(row[:, i + len(METRICS)].mean(), 4),
                 "pictures that cdraw shows better": int((row[:, i + len(METRICS)] > row[:, i]).sum())}
        for i, metric in enumerate(METRICS, 2)} for row in everywhere.swapaxes(0, 1)]
    return {"model": the_codec().fingerprint, "codec": make(codec).description, "images": len(pictures.files),
            "BD-rate of cdraw": compared(columns), "at rates that all pictures have": rates}
