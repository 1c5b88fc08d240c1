"""Curves of quality against rate, as a figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

import click
from matplotlib.figure import Figure

from .bjontegaard import Results, curve, metrics_of
from .metrics import LABELS

PUBLISHED = click.option("--published", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                         help="Published curves of the same images, to draw in grey: JSON, "
                              '{"codecs": {NAME: {"bpp": [...], "psnr": [...], "ms_ssim_db": [...]}}}.')


def published_curves(path: Path | None) -> dict[str, Results]:
    """What a file of --published holds."""
    return json.loads(path.read_text())["codecs"] if path else {}


def plot(measured: dict[str, Results], path: Path | IO[bytes], published: dict[str, Results]) -> None:
    """Every metric against bits per pixel; published curves in grey."""
    metrics = metrics_of(measured)
    figure = Figure(figsize=(5.5 * len(metrics), 4.2))
    axes = figure.subplots(1, len(metrics), squeeze=False)
    for axis, metric in zip(axes[0], metrics, strict=True):
        label, key = LABELS[metric]
        for name, result in measured.items():
            axis.plot(*curve(result["results"], metric), marker="o", markersize=3, label=name, zorder=3)
        axis.set(xscale="log", xlabel="bits per pixel", ylabel=label)
        limits = axis.get_xlim(), axis.get_ylim()
        for result in published.values():
            if key in result:
                axis.plot(result["bpp"], result[key], color="0.8", linewidth=0.7, zorder=1)
        axis.set(xlim=limits[0], ylim=limits[1])
        axis.grid(alpha=0.3, which="both")
    axes[0, 0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
