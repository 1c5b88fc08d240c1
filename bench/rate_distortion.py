"""Rate against distortion, from the bytes of real files: ``python -m bench.rate_distortion IMAGES... [--out DIR]``.

Writes one JSON file a codec in the schema of CompressAI, the Bjontegaard rates, and a figure.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import matplotlib
import numpy as np
from PIL import Image

from .codecs import NAMES, Compared, chosen
from .metrics import bd_rate, decibels, ms_ssim, psnr

matplotlib.use("Agg")
METRICS = {"psnr-rgb": psnr, "ms-ssim-rgb": ms_ssim}
SUFFIXES = {".png", ".ppm", ".bmp", ".tif", ".tiff", ".webp", ".jpg", ".jpeg"}


def find_images(paths: tuple[Path, ...]) -> list[Path]:
    """The files named, and those in the folders named, in order of name."""
    files = [f for path in paths for f in (sorted(path.iterdir()) if path.is_dir() else [path])]
    return [f for f in files if f.suffix.lower() in SUFFIXES]


def measure(codec: Compared, images: list[Path]) -> dict:
    """Results in CompressAI's schema, plus those of each image under "images"."""
    per_image = {}
    with click.progressbar(images, label=f"{codec.name:10s}") as bar:
        for path in bar:
            with Image.open(path) as opened:
                image = opened.convert("RGB")
            rows = [(8 * size / (image.width * image.height), *(metric(image, decoded) for metric in METRICS.values()))
                    for size, decoded in codec.points(image)]
            per_image[path.name] = {key: [round(v, 6) for v in column]
                                    for key, column in zip(("bpp", *METRICS), zip(*rows, strict=True), strict=True)}
    mean = {key: np.mean([result[key] for result in per_image.values()], axis=0).round(6).tolist()
            for key in ("bpp", *METRICS)}
    return {"name": codec.name, "description": codec.description, "results": mean, "images": per_image}


def curve(results: dict, metric: str) -> tuple[list[float], list[float]]:
    """(bpp, quality in dB)."""
    quality = results[metric] if metric == "psnr-rgb" else [decibels(v) for v in results[metric]]
    return results["bpp"], quality


def compare(measured: dict[str, dict]) -> dict:
    """BD-rates of every codec against every other: of the mean curves, and the mean over the images."""
    table: dict = {}
    for metric in METRICS:
        for anchor, a in measured.items():
            for name, b in measured.items():
                if name != anchor:
                    each = [bd_rate(curve(a["images"][i], metric), curve(b["images"][i], metric)) for i in a["images"]]
                    table.setdefault(metric, {}).setdefault(f"{name} against {anchor}", {
                        "of mean curves": round(bd_rate(curve(a["results"], metric), curve(b["results"], metric)), 2),
                        "mean over images": round(float(np.mean(each)), 2)})
    return table


def plot(measured: dict[str, dict], path: Path) -> None:
    """PSNR and MS-SSIM against bits per pixel."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.2))
    for axis, metric, label in zip(axes, METRICS, ("PSNR, RGB (dB)", "MS-SSIM (dB)"), strict=True):
        for name, result in measured.items():
            axis.plot(*curve(result["results"], metric), marker="o", markersize=3, label=name)
        axis.set(xscale="log", xlabel="bits per pixel", ylabel=label)
        axis.grid(alpha=0.3, which="both")
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--codecs", multiple=True, type=click.Choice(NAMES), default=NAMES, help="Repeat to choose several.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("results/rate-distortion"),
              show_default=True)
def main(images: tuple[Path, ...], codecs: tuple[str, ...], out: Path) -> None:
    """Compare codecs on IMAGES, files or folders."""
    files = find_images(images)
    if not files:
        raise click.UsageError("no pictures there")
    out.mkdir(parents=True, exist_ok=True)
    measured = {}
    for codec in chosen(codecs):
        measured[codec.name] = measure(codec, files)
        (out / f"{codec.name}.json").write_text(json.dumps(measured[codec.name], indent=1) + "\n")
    table = compare(measured)
    (out / "bd-rates.json").write_text(json.dumps(table, indent=1) + "\n")
    plot(measured, out / "rate-distortion.png")
    click.echo(f"{len(files)} images; BD-rate in percent, of the mean curves (mean over images)")
    for metric, rows in table.items():
        for pair, values in rows.items():
            click.echo(f"{metric:12s} {pair:28s} {values['of mean curves']:+7.2f} ({values['mean over images']:+.2f})")


if __name__ == "__main__":
    main()
