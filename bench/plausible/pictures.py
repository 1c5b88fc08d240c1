"""Plausible pictures where few bytes are stored: ``python -m bench plausible measure|sheets IMAGES...``.

One file of each picture is cut to the bytes of each rate, and shown by several fills; other codecs make files of at
most as many bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from convdraw_codec import CdrError, Codec, truncate
from convdraw_codec.coding.source import Latents
from convdraw_codec.format import bitstream
from convdraw_codec.options import Fill
from convdraw_codec.pictures.conversion import to_planes
from convdraw_codec.pictures.metrics import psnr, ssimulacra2
from convdraw_codec.pictures.montage import montage

from ..shared.codecs import make, missing, the_codec
from ..shared.frame import Pictures, takes_pictures
from ..shared.pictures import opened
from ..shared.results import keep_json
from . import deep

RATES = (0.03, 0.06, 0.1, 0.15)  # bits per pixel, of real bytes
FILLS: tuple[Fill, ...] = ("estimate", "plausible", "prior")
PEERS = ("jpeg2000", "webp", "avif-444", "jpeg-xl")
SHEET_PEERS, SHEET_CROP = ("jpeg2000", "avif-444"), 192
CHANGED = "changed symbols"


@dataclass(frozen=True)
class Measured:
    """Numbers of one picture by their names, and the moments of its features by backbones."""

    numbers: dict[str, float]
    moments: dict[str, deep.Moments]


def bytes_at(image: Image.Image, rate: float) -> int:
    """What a file of a picture may have."""
    return int(rate * image.width * image.height / 8)


def cut_to(data: bytes, image: Image.Image, rate: float) -> bytes | None:
    """A file of at most so many bits per pixel; None if it cannot be so small."""
    try:
        return truncate(data, size=bytes_at(image, rate))
    except CdrError:
        return None


def changed_symbols(codec: Codec, data: bytes, picture: Image.Image) -> float:
    """The share of the symbols that a file stores that are others if a picture is encoded again."""
    header, others = bitstream.parse_header(data), list[np.ndarray]()
    canvas = codec._decode(bitstream.read(data)).canvas
    again = Latents(codec.model, to_planes(picture, codec.model.padding), header.colours)
    for t, step in enumerate(codec.model.config.steps[:header.segments]):
        if canvas.cells[step.layer][step.first] == step.cell:  # no later step refines it
            sent = ~canvas.open.get(t, np.zeros(canvas.of_step(t).shape, bool))
            others.append((again.of_step(t) != canvas.of_step(t))[sent])
    return float(np.mean(np.concatenate(others)))


def shown(image: Image.Image, data: bytes, rate: float, peers: tuple[str, ...]
          ) -> Iterator[tuple[str, bytes | None, int, Image.Image]]:
    """What each fill and codec makes of a picture: its name, our file, its bytes, and the decoded picture."""
    if cut := cut_to(data, image, rate):
        for fill in FILLS:
            yield f"cdraw, {fill}", cut, len(cut), the_codec().decompress(cut, fill=fill)
    for name in peers:
        if not missing(name) and (point := make(name).within(image, bytes_at(image, rate))):
            yield name, None, *point


def measure_picture(peers: tuple[str, ...], path: Path) -> dict[tuple[float, str], Measured]:
    """By rate and method; the method "original" once, with the moments alone."""
    image, codec = opened(path).convert("RGB"), the_codec()
    data, true = codec.compress(image), {name: deep.features(name, image) for name in deep.BACKBONES}
    result = {(0.0, "original"): Measured({}, {name: deep.Moments.of(each) for name, each in true.items()})}
    for rate in RATES:
        for method, file, size, picture in shown(image, data, rate, peers):
            found = {name: deep.features(name, picture) for name in deep.BACKBONES}
            numbers = {"bpp": 8 * size / (image.width * image.height), "psnr": psnr(image, picture),
                       "ssimulacra2": ssimulacra2(image, picture)}
            numbers |= {f"distance, {name}": deep.distance(found[name], true[name]) for name in found}
            if file and method != "cdraw, prior":
                numbers[CHANGED] = changed_symbols(codec, file, picture)
            result[rate, method] = Measured(numbers, {name: deep.Moments.of(each) for name, each in found.items()})
    return result


def summary(pictures: list[dict[tuple[float, str], Measured]]) -> list[dict[str, Any]]:
    """A row for each rate and method that could make all pictures so small; means over the pictures, and Frechet
    distances of all of their patches together."""
    rows = list[dict[str, Any]]()
    for key in [key for key in pictures[0] if key[1] != "original" and all(key in picture for picture in pictures)]:
        each = [picture[key] for picture in pictures]
        row: dict[str, Any] = {"rate": key[0], "method": key[1]}
        row |= {name: round(float(np.mean([one.numbers[name] for one in each])), 5) for name in each[0].numbers}
        for name in deep.BACKBONES:
            moments, true = ([one.moments[name] for one in group]
                             for group in (each, [picture[0.0, "original"] for picture in pictures]))
            distance = deep.frechet(sum(moments[1:], moments[0]), sum(true[1:], true[0]))
            row[f"patch distance, {name}"] = round(distance, 2)
        rows.append(row)
    return rows


def differences(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the plausible fill changes, a row for each rate: in decibels, and in per cent of the faithful fill's."""
    found, by_key = [], {(row["rate"], row["method"]): row for row in rows}
    for rate in RATES:
        try:
            faithful, plausible = (by_key[rate, f"cdraw, {fill}"] for fill in FILLS[:2])
        except KeyError:
            continue
        found.append({"rate": rate, "psnr": round(plausible["psnr"] - faithful["psnr"], 3)} | {
            name: round(100 * (plausible[name] / faithful[name] - 1), 1) for name in faithful if "distance" in name})
    return found


@click.group()
def main() -> None:
    """Measure and show plausible pictures."""


@main.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="JSON file to write.")
@click.option("--peers", multiple=True, type=click.Choice([*PEERS, "none"]), default=PEERS,
              help="Other codecs. Repeat to choose several. Default: all.")
@takes_pictures
def measure(pictures: Pictures, out: Path, peers: tuple[str, ...]) -> None:
    """Distances of IMAGES, files or folders, at 0.03 to 0.15 bits per pixel."""
    chosen = tuple(peer for peer in peers if peer != "none")
    rows = summary(pictures.each(partial(measure_picture, chosen), "plausible"))
    changes = differences(rows)
    keep_json(out, {"model": the_codec().fingerprint, "images": len(pictures.files),
                    "plausible against faithful": changes, "rows": rows})
    for row in changes:
        said = (f"{name} {number:+g}" for name, number in row.items() if name != "rate")
        click.echo(f"{row['rate']} bpp: {', '.join(said)}")


@main.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the sheets.")
@takes_pictures
def sheets(pictures: Pictures, out: Path) -> None:
    """A crop of each of IMAGES, files or folders, at 100 %: a row for each rate, as WebP."""
    out.mkdir(parents=True, exist_ok=True)
    pictures.each(partial(_sheet, out), "sheets")


def _sheet(out: Path, path: Path) -> None:
    image, rows = opened(path).convert("RGB"), []
    data, box = the_codec().compress(image), crop_of(image)
    for rate in RATES:
        row = [("original", f"{rate} bpp", image)]
        for name in SHEET_PEERS:
            point = make(name).within(image, bytes_at(image, rate))
            row.append((name, *((f"{point[0]:,} bytes", point[1]) if point else ("nothing so small", None))))
        if cut := cut_to(data, image, rate):
            row.append(("cdraw, faithful", f"{len(cut):,} bytes", the_codec().decompress(cut)))
            row += [("cdraw, plausible", f"seed {seed}", the_codec().decompress(cut, fill="plausible", seed=seed))
                    for seed in range(2)]
        blank = Image.new("RGB", image.size, "white")
        rows.append([((picture or blank).crop(box), (name, words)) for name, words, picture in row])
    montage(rows).save(out / f"{path.stem}.webp", quality=75, method=6)


def crop_of(image: Image.Image) -> tuple[int, int, int, int]:
    """Where the crop of a sheet lies: of all on a grid, one with more contrast than two thirds of them."""
    grey = np.asarray(image.convert("L"), np.float32)
    corners = list(itertools.product(range(0, image.height - SHEET_CROP + 1, SHEET_CROP // 2),
                                     range(0, image.width - SHEET_CROP + 1, SHEET_CROP // 2)))
    contrast = [np.abs(np.diff(grey[y:y + SHEET_CROP, x:x + SHEET_CROP])).mean() for y, x in corners]
    y, x = corners[int(np.argsort(contrast)[2 * len(contrast) // 3])]
    return x, y, x + SHEET_CROP, y + SHEET_CROP
