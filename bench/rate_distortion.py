"""Rate against distortion, from the bytes of real files: ``python -m bench.rate_distortion IMAGES... [--out DIR]``.

Writes one JSON file a codec in the schema of CompressAI, the Bjontegaard rates of all pairs, those of each image
against one anchor, and a figure. What was measured before, of the same pictures and in the same way, is not measured
again; that of an unfinished codec is in DIR/unfinished. The same images give the same JSON, whatever the number of
workers.
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import warnings
import zlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import IO, Any

import click
import matplotlib
import numpy as np
from PIL import Image

from convdraw_codec.atomic_write import write_output
from convdraw_codec.pictures.metrics import MS_SSIM_SIDE, ms_ssim, psnr

from .codecs import CODECS, Compared, make, missing
from .metrics import Curve, bd_quality, bd_rate, decibels, ssimulacra2
from .parallel import WORKERS, map_images
from .pictures import find_images, opened

matplotlib.use("Agg")
METRICS = {"psnr-rgb": psnr, "ms-ssim-rgb": ms_ssim, "ssimulacra2": ssimulacra2}
LABELS = {"psnr-rgb": ("PSNR, RGB (dB)", "psnr"), "ms-ssim-rgb": ("MS-SSIM (dB)", "ms_ssim_db"),
          "ssimulacra2": ("SSIMULACRA 2", "")}  # and the key of published curves
PUBLISHED = click.option("--published", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                         help="Published curves of the same images, to draw in grey: JSON, "
                              '{"codecs": {NAME: {"bpp": [...], "psnr": [...], "ms_ssim_db": [...]}}}.')


def published_curves(path: Path | None) -> dict[str, dict]:
    """What a file of --published holds."""
    return json.loads(path.read_text())["codecs"] if path else {}


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
        return earlier["columns"]
    image = opened(path)
    rows = [(8 * size / (image.width * image.height), *(METRICS[metric](image, decoded) for metric in metrics))
            for size, decoded in codec.points(image)]
    columns = {key: [round(v, 6) for v in column]
               for key, column in zip(("bpp", *metrics), zip(*rows, strict=True), strict=True)}
    write_output(str(kept), json.dumps({"mark": mark, "columns": columns}).encode())
    return columns


def measure(name: str, metrics: tuple[str, ...], images: list[Path], out: Path, workers: int) -> dict:
    """Results in CompressAI's schema, plus those of each image under "images"; or those that are there already."""
    target, mark = out / f"{name}.json", way(name) | {"pictures": checksums(images)}
    if target.exists():
        earlier = json.loads(target.read_text())
        if mark.items() <= earlier.items() and set(metrics) <= earlier["results"].keys():
            return earlier
    folder = out / "unfinished" / name
    folder.mkdir(parents=True, exist_ok=True)
    results = map_images(partial(measure_image, name, metrics, folder), images, workers, f"{name:10s}")
    per_image = {path.name: result for path, result in zip(images, results, strict=True)}
    mean = {key: np.mean([result[key] for result in per_image.values()], axis=0).round(6).tolist()
            for key in ("bpp", *metrics)}
    measured = mark | {"results": mean, "images": per_image}
    keep(target, measured)
    shutil.rmtree(folder)
    with contextlib.suppress(OSError):  # another codec is unfinished
        folder.parent.rmdir()
    return measured


def curve(results: dict, metric: str) -> Curve:
    """(bpp, quality), MS-SSIM in dB."""
    quality = [decibels(v) for v in results[metric]] if metric == "ms-ssim-rgb" else results[metric]
    return results["bpp"], quality


def metrics_of(measured: dict[str, dict]) -> list[str]:
    """Those that every codec was measured by."""
    return [metric for metric in METRICS if all(metric in result["results"] for result in measured.values())]


def summary(anchor: dict, other: dict, metric: str, delta: Callable[[Curve, Curve], float] = bd_rate,
            ) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """A Bjontegaard delta of the mean curves and its mean over the images; and that of each image. None where curves
    have nothing in common."""
    def between(a: dict, b: dict) -> float:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Curves do not overlap")
            return delta(curve(a, metric), curve(b, metric))

    def rounded(value: float) -> float | None:
        return round(value, 3) if math.isfinite(value) else None

    each = {image: between(anchor["images"][image], other["images"][image]) for image in anchor["images"]}
    finite = [value for value in each.values() if math.isfinite(value)]
    return ({"of mean curves": rounded(between(anchor["results"], other["results"])),
             "mean over images": rounded(float(np.mean(finite)) if finite else math.nan)},
            {image: rounded(value) for image, value in each.items()})


def compare(measured: dict[str, dict]) -> dict[str, dict[str, dict[str, float | None]]]:
    """BD-rates of every codec against every other, by metric and pair."""
    return {metric: {f"{name} against {anchor}": summary(a, b, metric)[0]
                     for anchor, a in measured.items() for name, b in measured.items() if name != anchor}
            for metric in metrics_of(measured)}


def against(anchor: str, measured: dict[str, dict]) -> dict[str, dict[str, dict[str, dict]]]:
    """BD-rate in percent, and BD-quality in the units of the metric (BD-PSNR), by metric and codec, with that of
    each image."""
    table: dict = {metric: {} for metric in metrics_of(measured)}
    for metric, rows in table.items():
        for name, result in measured.items():
            for kind, delta in (("BD-rate", bd_rate), ("BD-quality", bd_quality)) if name != anchor else ():
                both, each = summary(measured[anchor], result, metric, delta)
                rows.setdefault(name, {})[kind] = both | {"images": each}
    return table


def plot(measured: dict[str, dict], path: Path | IO[bytes], published: dict[str, dict]) -> None:
    """Every metric against bits per pixel; published curves in grey."""
    from matplotlib import pyplot

    metrics = metrics_of(measured)
    figure, axes = pyplot.subplots(1, len(metrics), figsize=(5.5 * len(metrics), 4.2), squeeze=False)
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
    pyplot.close(figure)


def check(files: list[Path], metrics: tuple[str, ...]) -> None:
    """Raise click.UsageError for two pictures of one name, and for those too small for a metric."""
    names = [path.name for path in files]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise click.UsageError(f"several pictures are called {', '.join(twice)}; results go by the name")
    for path in files if "ms-ssim-rgb" in metrics else ():
        with Image.open(path) as image:
            if min(image.size) < MS_SSIM_SIDE:
                raise click.UsageError(f"{path} is too small for MS-SSIM, which needs {MS_SSIM_SIDE} pixels a side")


def keep(path: Path, table: dict) -> None:
    """Write a table."""
    write_output(str(path), (json.dumps(table, indent=1) + "\n").encode())


def _said(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--codecs", multiple=True, type=click.Choice(CODECS), default=CODECS,
              help="Repeat to choose several. Default: all.")
@click.option("--metrics", multiple=True, type=click.Choice(list(METRICS)), default=list(METRICS),
              help="Repeat to choose several. Default: all.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("results"),
              show_default=True)
@click.option("--anchor", type=click.Choice(CODECS), default="jpeg", show_default=True,
              help="Codec to which the others are compared image by image.")
@PUBLISHED
@click.option("--held-out", is_flag=True, help="Of folders of photographs, those that training leaves out.")
@WORKERS
def main(images: tuple[Path, ...], codecs: tuple[str, ...], metrics: tuple[str, ...], out: Path, anchor: str,
         published: Path | None, held_out: bool, workers: int) -> None:
    """Compare codecs on IMAGES, files or folders. Codecs measured into OUT before are compared as well."""
    files = find_images(images, held_out)
    check(files, metrics)
    pictures = checksums(files)
    out.mkdir(parents=True, exist_ok=True)
    earlier = {name: out / f"{name}.json" for name in CODECS if name not in codecs}
    measured = {name: json.loads(path.read_text()) for name, path in earlier.items() if path.exists()}
    if any(result["pictures"] != pictures for result in measured.values()):
        raise click.ClickException(f"{out} holds results of other images; give another --out")
    if lacking := [name for name, result in measured.items() if not set(metrics) <= result["results"].keys()]:
        raise click.ClickException(f"{out} lacks metrics of {', '.join(lacking)}: measure these as well")
    for name in codecs:
        if reason := missing(name):
            click.echo(f"{name} is left out: {reason}", err=True)
        else:
            measured[name] = measure(name, metrics, files, out, workers)
    measured = {name: measured[name] for name in CODECS if name in measured}
    keep(out / "bd-rates.json", compare(measured))
    plot(measured, out / "rate-distortion.png", published_curves(published))
    if anchor not in measured:
        click.echo(f"nothing is compared image by image: {anchor} was not measured", err=True)
        return
    table = against(anchor, measured)
    keep(out / f"against-{anchor}.json", table)
    click.echo(f"{len(files)} images, against {anchor}: difference in rate at equal quality, and in quality at equal "
               "rate, mean over images (of the mean curves)")
    for metric, rows in table.items():
        for name, found in rows.items():
            rate, quality = (f"{_said(both['mean over images'])}{unit} ({_said(both['of mean curves'])})"
                             for both, unit in ((found["BD-rate"], " %"), (found["BD-quality"], "")))
            click.echo(f"{metric:12s} {name:14s} {rate:>22s} {quality:>18s}")


if __name__ == "__main__":
    main()
