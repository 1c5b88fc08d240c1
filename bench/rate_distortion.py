"""Rate against distortion, from the bytes of real files: ``python -m bench.rate_distortion IMAGES... [--out DIR]``.

Writes one JSON file a codec in the schema of CompressAI, the Bjontegaard rates, and a figure. What was measured of an
unfinished codec is kept in DIR/unfinished, and not measured again. The same images give the same JSON, whatever the
number of workers.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import zlib
from functools import cache, partial
from pathlib import Path
from typing import IO

import click
import matplotlib
import numpy as np

from convdraw_codec.metrics import ms_ssim, psnr
from convdraw_codec.outputs import write_output

from .codecs import CODECS, Compared, make, missing
from .metrics import bd_rate, decibels, ssimulacra2
from .parallel import WORKERS, map_images
from .pictures import find_images, opened

matplotlib.use("Agg")
METRICS = {"psnr-rgb": psnr, "ms-ssim-rgb": ms_ssim, "ssimulacra2": ssimulacra2}
LABELS = {"psnr-rgb": ("PSNR, RGB (dB)", "psnr"), "ms-ssim-rgb": ("MS-SSIM (dB)", "ms_ssim_db"),
          "ssimulacra2": ("SSIMULACRA 2", "")}  # and the key of published curves


@cache
def codec_named(name: str) -> Compared:
    """One instance a process: a model takes a while to load."""
    return make(name)


def measure_image(name: str, metrics: tuple[str, ...], folder: Path, path: Path) -> dict[str, list[float]]:
    """bpp and the metrics, a column each, at every setting of the codec; kept in the folder, or found there."""
    codec = codec_named(name)
    kept = folder / f"{path.name}.json"
    mark = [codec.description, zlib.crc32(path.read_bytes()), *metrics]
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
    """Results in CompressAI's schema, plus those of each image under "images"."""
    folder = out / "unfinished" / name
    folder.mkdir(parents=True, exist_ok=True)
    results = map_images(partial(measure_image, name, metrics, folder), images, workers, f"{name:10s}")
    per_image = {path.name: result for path, result in zip(images, results, strict=True)}
    mean = {key: np.mean([result[key] for result in per_image.values()], axis=0).round(6).tolist()
            for key in ("bpp", *metrics)}
    codec = codec_named(name)
    measured = {"name": codec.name, "description": codec.description, "results": mean, "images": per_image}
    write_output(str(out / f"{name}.json"), (json.dumps(measured, indent=1) + "\n").encode())
    shutil.rmtree(folder)
    with contextlib.suppress(OSError):  # another codec is unfinished
        folder.parent.rmdir()
    return measured


def curve(results: dict, metric: str) -> tuple[list[float], list[float]]:
    """(bpp, quality), MS-SSIM in dB."""
    quality = [decibels(v) for v in results[metric]] if metric == "ms-ssim-rgb" else results[metric]
    return results["bpp"], quality


def metrics_of(measured: dict[str, dict]) -> list[str]:
    """Those that every codec was measured by."""
    return [metric for metric in METRICS if all(metric in result["results"] for result in measured.values())]


def compare(measured: dict[str, dict]) -> dict:
    """BD-rates of every codec against every other: of the mean curves, and the mean over the images."""
    table: dict = {}
    for metric in metrics_of(measured):
        for anchor, a in measured.items():
            for name, b in measured.items():
                if name != anchor:
                    each = [bd_rate(curve(a["images"][i], metric), curve(b["images"][i], metric)) for i in a["images"]]
                    table.setdefault(metric, {}).setdefault(f"{name} against {anchor}", {
                        "of mean curves": round(bd_rate(curve(a["results"], metric), curve(b["results"], metric)), 2),
                        "mean over images": round(float(np.mean(each)), 2)})
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


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--codecs", multiple=True, type=click.Choice(CODECS), default=CODECS,
              help="Repeat to choose several. Default: all.")
@click.option("--metrics", multiple=True, type=click.Choice(list(METRICS)), default=list(METRICS),
              help="Repeat to choose several. Default: all.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("results"),
              show_default=True)
@click.option("--published", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="JSON with published curves of the same images, to draw in grey.")
@click.option("--held-out", is_flag=True, help="Of folders of photographs, those that training leaves out.")
@WORKERS
def main(images: tuple[Path, ...], codecs: tuple[str, ...], metrics: tuple[str, ...], out: Path,
         published: Path | None, held_out: bool, workers: int) -> None:
    """Compare codecs on IMAGES, files or folders. Codecs measured into OUT before are compared as well."""
    files = find_images(images, held_out)
    out.mkdir(parents=True, exist_ok=True)
    earlier = {name: out / f"{name}.json" for name in CODECS if name not in codecs}
    measured = {name: json.loads(path.read_text()) for name, path in earlier.items() if path.exists()}
    if any(list(result["images"]) != [f.name for f in files] for result in measured.values()):
        raise click.ClickException(f"{out} holds results of other images; give another --out")
    if lacking := [name for name, result in measured.items() if not set(metrics) <= result["results"].keys()]:
        raise click.ClickException(f"{out} lacks metrics of {', '.join(lacking)}: measure these as well")
    for name in codecs:
        here = out / f"{name}.json"
        if here.exists() and json.loads(here.read_text())["results"].keys() - {"bpp", *metrics}:
            raise click.ClickException(f"{here} has more metrics, which would be lost; give another --out")
    for name in codecs:
        if reason := missing(name):
            click.echo(f"{name} is left out: {reason}", err=True)
        else:
            measured[name] = measure(name, metrics, files, out, workers)
    measured = {name: measured[name] for name in CODECS if name in measured}
    table = compare(measured)
    (out / "bd-rates.json").write_text(json.dumps(table, indent=1) + "\n")
    plot(measured, out / "rate-distortion.png", json.loads(published.read_text())["codecs"] if published else {})
    click.echo(f"{len(files)} images; BD-rate in percent, of the mean curves (mean over images)")
    for metric, rows in table.items():
        for pair, values in rows.items():
            click.echo(f"{metric:12s} {pair:28s} {values['of mean curves']:+7.2f} ({values['mean over images']:+.2f})")


if __name__ == "__main__":
    main()
