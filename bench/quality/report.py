"""A page to look at: ``python -m bench report DIR [--images FOLDER]``, from what ``bench rate-distortion`` left there.

Writes DIR/report.html, which needs nothing beside it: curves, Bjontegaard rates, time and memory as ``bench speed``
measured them, and for a few images the same detail as every codec shows it at equal bytes, pixel for pixel. Curves and
details are written as pictures, too: DIR/rate-distortion.png and DIR/details-NAME.png.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageDraw

from ..shared.codecs import CODECS, make, missing
from ..shared.pictures import find_images, opened
from .bjontegaard import compare
from .plot import PUBLISHED, plot, published_curves
from .report_page import Details, page, strip

CROP = 200  # pixels
LINE = 16  # pixels, of text below a detail


def detail(image: Image.Image) -> tuple[int, int]:
    """Left and top of the square with most going on, of those on a coarse grid."""
    grey = np.asarray(image.convert("L"), np.float32)
    busy = np.abs(np.diff(grey, axis=0))[:, :-1] + np.abs(np.diff(grey, axis=1))[:-1]
    places = [(x, y) for y in range(0, max(image.height - CROP, 0) + 1, CROP // 4)
              for x in range(0, max(image.width - CROP, 0) + 1, CROP // 4)]
    return max(places, key=lambda place: busy[place[1]:place[1] + CROP, place[0]:place[0] + CROP].sum())


def details(image: Image.Image, names: list[str], size: int) -> Details:
    """The busiest part of an image, and how each codec shows it in at most so many bytes."""
    left, top = detail(image)
    box = left, top, min(left + CROP, image.width), min(top + CROP, image.height)
    shown: Details = [("original", image.crop(box))]
    for name in names:
        point = make(name).within(image, size)
        shown.append((f"{name}, {point[0]:,} bytes", point[1].crop(box)) if point else
                     (f"{name}: nothing so small", None))
    return shown


def drawn(shown: Details) -> Image.Image:
    """Details beside one another, as a picture."""
    joined = Image.new("RGB", (len(shown) * (CROP + 4), CROP + LINE), "white")
    pen = ImageDraw.Draw(joined)
    for i, (label, picture) in enumerate(shown):
        pen.text((i * (CROP + 4) + 2, CROP + 2), label, "black")
        if picture:
            joined.paste(picture, (i * (CROP + 4), 0))
    return joined


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--images", type=click.Path(exists=True, path_type=Path), help="Images to show, a file or a folder.")
@click.option("--count", type=click.IntRange(0), default=3, show_default=True, help="How many of them.")
@click.option("--bpp", type=float, default=0.2, show_default=True, help="At how many bits per pixel.")
@click.option("--speed", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="What bench speed printed.")
@PUBLISHED
def main(folder: Path, images: Path | None, count: int, bpp: float, speed: Path | None,
         published: Path | None) -> None:
    """Make DIR/report.html from the results in DIR."""
    files = {name: folder / f"{name}.json" for name in CODECS}
    measured = {name: json.loads(path.read_text()) for name, path in files.items() if path.exists()}
    if not measured:
        raise click.ClickException(f"{folder} holds no results of bench rate-distortion")
    curves = io.BytesIO()
    plot(measured, curves, published_curves(published))
    (folder / "rate-distortion.png").write_bytes(curves.getvalue())
    shown = find_images((images,)) if images else []
    shown = shown[::max(1, len(shown) // count)][:count] if count else []
    for name in filter(missing, measured if shown else ()):
        click.echo(f"{name} is left out of the details: {missing(name)}", err=True)
    names, strips = [name for name in measured if not missing(name)], []
    for path in shown:
        image = opened(path)
        size = int(bpp * image.width * image.height / 8)
        parts = details(image, names, size)
        strips.append(strip(path.name, size, parts))
        drawn(parts).quantize(256).save(folder / f"details-{path.stem}.png", optimize=True)
    timed = json.loads(speed.read_text()) if speed else None
    (folder / "report.html").write_text(page(measured, compare(measured), curves.getvalue(), timed, strips))
    click.echo(f"Wrote {folder / 'report.html'}")
