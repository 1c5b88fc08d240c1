"""Rate against distortion, from the bytes of real files: ``python -m bench rate-distortion IMAGES... [--out DIR]``.

Writes one JSON file a codec in the schema of CompressAI, the Bjontegaard rates of all pairs, those of each image
against one anchor, and a figure. What was measured before, of the same pictures and in the same way, is not measured
again; that of an unfinished codec is in DIR/unfinished. The same images give the same JSON, whatever the number of
workers.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import zlib
from functools import cache, partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from convdraw_codec.pictures.metrics import MS_SSIM_SIDE

from ..shared.codecs import CODECS, Compared, make, missing
from ..shared.frame import OUT, Pictures, takes_pictures
from ..shared.pictures import opened
from ..shared.results import keep_json
from .bjontegaard import Results, against, compare
from .metrics import METRICS
from .plot import PUBLISHED, plot, published_curves


@cache
def codec_named(name: str) -> Compared:
    """One instance a process: a model takes a while to load."""
    return make(name)


def checksums(images: list[Path]) -> dict[str, int]:
    """CRC-32 of every file, by its name."""
    return {path.name: zlib.crc32(path.read_bytes()) for path in images}


def way(name: str) -> dict[str, Any]:
    """How a codec is measured: other ways give other numbers."""
    codec = codec_named(name)
    return {"name": codec.name, "description": codec.description, "settings": list(codec.settings)}


def measure_image(name: str, metrics: tuple[str, ...], folder: Path, path: Path) -> dict[str, list[float]]:
    """bpp and the metrics, a column each, at every setting of the codec; kept in the folder, or found there."""
    codec = codec_named(name)
    kept = folder / f"{path.name}.json"
    mark = way(name) | {"metrics": list(metrics)} | checksums([path])
    if kept.exists() and (earlier := json.loads(kept.read_text()))["mark"] == mark:
        columns: dict[str, list[float]] = earlier["columns"]
        return columns
    image = opened(path)
    rows = [(8 * size / (image.width * image.height), *(METRICS[metric](image, decoded) for metric in metrics))
            for size, decoded in codec.points(image)]
    columns = {key: [round(v, 6) for v in column]
               for key, column in zip(("bpp", *metrics), zip(*rows, strict=True), strict=True)}
    keep_json(kept, {"mark": mark, "columns": columns})
    return columns


def measure(name: str, metrics: tuple[str, ...], pictures: Pictures, out: Path) -> Results:
    """Results in CompressAI's schema, plus those of each image under "images"; or those that are there already."""
    target, mark = out / f"{name}.json", way(name) | {"pictures": checksums(pictures.files)}
    if target.exists():
        earlier: Results = json.loads(target.read_text())
        if mark.items() <= earlier.items() and set(metrics) <= earlier["results"].keys():
            return earlier
    folder = out / "unfinished" / name
    results = pictures.each(partial(measure_image, name, metrics, folder), f"{name:10s}")
    per_image = {path.name: result for path, result in zip(pictures.files, results, strict=True)}
    mean = {key: np.mean([result[key] for result in per_image.values()], axis=0).round(6).tolist()
            for key in ("bpp", *metrics)}
    measured = mark | {"results": mean, "images": per_image}
    keep_json(target, measured)
    shutil.rmtree(folder)
    with contextlib.suppress(OSError):  # another codec is unfinished
        folder.parent.rmdir()
    return measured


def check(files: list[Path], metrics: tuple[str, ...]) -> None:
    """Raise click.UsageError for two pictures of one name, and for those too small for a metric."""
    names = [path.name for path in files]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise click.UsageError(f"several pictures are called {', '.join(twice)}; results go by the name")
    for path in files if "ms-ssim-rgb" in metrics else ():
        with Image.open(path) as image:
            if min(image.size) < MS_SSIM_SIDE:
                raise click.UsageError(f"{path} is too small for MS-SSIM, which needs {MS_SSIM_SIDE} pixels a side")


def _said(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def say(table: dict[str, dict[str, Any]], anchor: str, images: int) -> None:
    """Print what ``against`` found."""
    click.echo(f"{images} images, against {anchor}: difference in rate at equal quality, and in quality at equal "
               "rate, mean over images (of the mean curves)")
    for metric, rows in table.items():
        for name, found in rows.items():
            rate, quality = (f"{_said(both['mean over images'])}{unit} ({_said(both['of mean curves'])})"
                             for both, unit in ((found["BD-rate"], " %"), (found["BD-quality"], "")))
            click.echo(f"{metric:12s} {name:14s} {rate:>22s} {quality:>18s}")


@click.command()
@click.option("--codecs", multiple=True, type=click.Choice(CODECS), default=CODECS,
              help="Repeat to choose several. Default: all.")
@click.option("--metrics", multiple=True, type=click.Choice(list(METRICS)), default=list(METRICS),
              help="Repeat to choose several. Default: all.")
@click.option("--anchor", type=click.Choice(CODECS), default="jpeg", show_default=True,
              help="Codec to which the others are compared image by image.")
@PUBLISHED
@OUT
@takes_pictures
def main(pictures: Pictures, codecs: tuple[str, ...], metrics: tuple[str, ...], anchor: str, published: Path | None,
         out: Path) -> None:
    """Compare codecs on IMAGES, files or folders. Codecs measured into OUT before are compared as well."""
    check(pictures.files, metrics)
    earlier = {name: out / f"{name}.json" for name in CODECS if name not in codecs}
    measured = {name: json.loads(path.read_text()) for name, path in earlier.items() if path.exists()}
    if any(result["pictures"] != checksums(pictures.files) for result in measured.values()):
        raise click.ClickException(f"{out} holds results of other images; give another --out")
    if lacking := [name for name, result in measured.items() if not set(metrics) <= result["results"].keys()]:
        raise click.ClickException(f"{out} lacks metrics of {', '.join(lacking)}: measure these as well")
    for name in codecs:
        if reason := missing(name):
            click.echo(f"{name} is left out: {reason}", err=True)
        else:
            measured[name] = measure(name, metrics, pictures, out)
    measured = {name: measured[name] for name in CODECS if name in measured}
    keep_json(out / "bd-rates.json", compare(measured))
    plot(measured, out / "rate-distortion.png", published_curves(published))
    if anchor not in measured:
        click.echo(f"nothing is compared image by image: {anchor} was not measured", err=True)
        return
    table = against(anchor, measured)
    keep_json(out / f"against-{anchor}.json", table)
    say(table, anchor, len(pictures.files))
