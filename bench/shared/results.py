"""Results as they are kept: JSON, and figures beside it."""

from __future__ import annotations

import json
from pathlib import Path

import click
from matplotlib.figure import Figure

from convdraw_codec.atomic_write import write_output

from .pictures import opened

COLOURS = ("#264653", "#2a9d8f", "#e9a23b", "#d1495b")  # of the layers


def keep_json(path: Path, numbers: object) -> None:
    """Write numbers; the folder is made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_output(str(path), (json.dumps(numbers, indent=1) + "\n").encode())


def keep_figure(out: Path, name: str, figure: Figure, numbers: object) -> None:
    """Write a figure, as small as a palette makes it, and its numbers."""
    keep_json(out / f"{name}.json", numbers)
    figure.tight_layout(pad=0.4)
    figure.savefig(out / f"{name}.png", dpi=100)
    opened(out / f"{name}.png").quantize(256).save(out / f"{name}.png", optimize=True)
    click.echo(f"Wrote {out / name}.png and .json")
