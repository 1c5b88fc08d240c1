"""A page to look at: ``python -m bench.report DIR [--images FOLDER]``, from what ``bench.rate_distortion`` left there.

Writes DIR/report.html, which needs nothing beside it: curves, Bjontegaard rates, time and memory as ``bench.speed``
measured them, and for a few images the same detail as every codec shows it at equal bytes, pixel for pixel. Curves and
details are written as pictures, too: DIR/rate-distortion.png and DIR/details-NAME.png.
"""

from __future__ import annotations

import base64
import html
import io
import json
from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageDraw

from .codecs import CODECS, make, missing
from .pictures import find_images, opened
from .rate_distortion import LABELS, PUBLISHED, compare, curve, plot, published_curves

CROP = 200  # pixels
LINE = 16  # pixels, of text below a detail
RATES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 2)  # bits per pixel at which mean curves are read
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } caption { text-align: left; font-weight: 600; white-space: nowrap }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #ddd } th:first-child { text-align: left }
.better { color: #06662b } .worse { color: #9a2314 }
.wide { overflow-x: auto } .wide td, .wide th { padding: .2rem .35rem; white-space: nowrap }
.strip { display: flex; flex-wrap: wrap; gap: .8rem } figure { margin: 0; font-size: .85rem }
img { max-width: 100%; height: auto } .strip img { max-width: none; image-rendering: pixelated }
"""


def embedded(image: Image.Image | bytes, alt: str) -> str:
    """An <img> that holds its picture."""
    if isinstance(image, bytes):
        kind, data, size = "png", image, ""
    else:
        file = io.BytesIO()
        image.save(file, "WEBP", lossless=True, method=6)
        kind, data, size = "webp", file.getvalue(), f' width="{image.width}" height="{image.height}"'
    return f'<img alt="{html.escape(alt)}"{size} src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'


def table(caption: str, head: list[str], rows: list[list[str]]) -> str:
    """Cells are HTML."""
    lines = ["<table>", f"<caption>{caption}</caption>"]
    lines.append("<tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>")
    lines += ["<tr><th>" + row[0] + "</th>" + "".join(f"<td>{cell}</td>" for cell in row[1:]) + "</tr>" for row in rows]
    return "\n".join([*lines, "</table>"])


def coloured(percent: float | None) -> str:
    """A difference in rate, if there is one."""
    if percent is None:
        return ""
    return f'<span class="{"better" if percent < 0 else "worse"}">{percent:+.1f} %</span>'


def title(metric: str) -> str:
    """What the page calls a metric."""
    return LABELS[metric][0].partition(" (")[0]


def bd_table(metric: str, rates: dict[str, dict[str, float | None]], names: list[str]) -> str:
    """Each codec (row) against each anchor (column)."""
    def cell(name: str, anchor: str) -> str:
        if name == anchor:
            return ""
        return coloured(rates[f"{name} against {anchor}"]["mean over images"])

    caption = f"BD-rate at equal {title(metric)}, mean over the images; negative: fewer bytes"
    return table(caption, ["", *(f"against {name}" for name in names)],
                 [[name, *(cell(name, anchor) for anchor in names)] for name in names])


def rate_table(metric: str, measured: dict[str, dict]) -> str:
    """Quality of each codec (row) at some rates (column)."""
    def cells(result: dict) -> list[str]:
        bpp, quality = (np.array(values) for values in curve(result, metric))
        order = np.argsort(bpp)
        found = np.interp(np.log(RATES), np.log(bpp[order]), quality[order], left=np.nan, right=np.nan)
        return ["-" if np.isnan(value) else f"{value:.2f}" for value in found]

    return table(f"{LABELS[metric][0]} of the mean curves at so many bits per pixel, interpolated",
                 ["", *map(str, RATES)], [[name, *cells(result["results"])] for name, result in measured.items()])


def cut_table(metric: str, measured: dict[str, dict]) -> str:
    """cdraw's rate at each cut against the others' at equal quality, mean over the images where they have it."""
    ours, rows = measured["cdraw"], []
    for name, theirs in measured.items():
        if name != "cdraw":
            ratios = np.array([rate_ratios(ours["images"][image], theirs["images"][image], metric)
                               for image in ours["images"]])
            some = np.isfinite(ratios).sum(0) >= len(ratios) / 2
            means = [np.expm1(np.nanmean(column)) if ok else None for column, ok in zip(ratios.T, some, strict=True)]
            rows.append([f"against {name}", *(coloured(None if mean is None else 100 * mean) for mean in means)])
    head = ["bits per pixel", *(f"{bpp:.3f}" for bpp in ours["results"]["bpp"])]
    return table(f"cdraw's rate at equal {title(metric)}, at every cut, where half of the images have it", head, rows)


def rate_ratios(ours: dict, theirs: dict, metric: str) -> np.ndarray:
    """Logarithm of the ratio at each of our points; NaN beyond the range of their quality."""
    (bpp, quality), (their_bpp, their_quality) = curve(ours, metric), curve(theirs, metric)
    order = np.argsort(their_quality)
    there = np.interp(quality, np.asarray(their_quality)[order], np.log(their_bpp)[order], left=np.nan, right=np.nan)
    return np.log(bpp) - there


def speed_tables(speed: dict) -> list[str]:
    """Time, memory and bytes of each codec (row) at each size (column); and what only cdraw has."""
    sizes = sorted({tuple(row["size"]) for row in speed["rows"]}, key=lambda size: (size[0] * size[1], size))
    names, tables = list(dict.fromkeys(row["codec"] for row in speed["rows"])), []
    where = html.escape(f"on {speed['machine']}, torch {speed['torch']}")
    for threads in sorted({row["threads"] for row in speed["rows"]}):
        rows = {(row["codec"], *row["size"]): row for row in speed["rows"] if row["threads"] == threads}
        cores = f"{threads} core{'s' * (threads > 1)}, {where}"
        for caption, text in ((f"Seconds to encode / decode, {cores}", "{encode_s:.3g} / {decode_s:.3g}"),
                              (f"Most memory in use, MB, {cores}", "{peak_memory_mb:,}"),
                              (f"Bits per pixel, {cores}", "{bpp:.3g}")):
            cells = [[name, *(speed_cell(rows.get((name, *size)), text) for size in sizes)] for name in names]
            tables.append(table(caption, ["", *(f"{width}x{height}" for width, height in sizes)], cells))
        tables += [cuts_table(row, cores) for row in rows.values() if "decode_steps_s" in row]
    shares = {row["codec"]: row["kmac_per_pixel"] for row in speed["rows"] if "kmac_per_pixel" in row}
    tables.append(table("Thousands of multiply-adds per pixel", ["", "to encode", "to decode"],
                        [[name, *(f"{share[way]:,.0f}" for way in ("encode", "decode"))] for name, share in
                         shares.items()]))
    loading = speed["import_s"] + speed["load_model_s"]
    return [*tables, f"<p>Before that, cdraw takes {loading:.2g} s to load torch and its model.</p>"]


def cuts_table(row: dict, where: str) -> str:
    """How long cdraw takes to decode some of its steps."""
    width, height = row["size"]
    every = {f"{steps} steps": seconds for steps, seconds in row["decode_steps_s"].items()}
    every |= {"all steps": row["decode_s"], "a picture after each step": row["progressive_s"]}
    return table(f"cdraw: seconds to decode {width}x{height}, {where}", ["", *every],
                 [["seconds", *(f"{seconds:.3g}" for seconds in every.values())]])


def speed_cell(row: dict | None, text: str) -> str:
    """What a row says, or why it says nothing."""
    if row is None:
        return ""
    return html.escape(row["left_out"]) if "left_out" in row else text.format(**row)


def detail(image: Image.Image) -> tuple[int, int]:
    """Left and top of the square with most going on, of those on a coarse grid."""
    grey = np.asarray(image.convert("L"), np.float32)
    busy = np.abs(np.diff(grey, axis=0))[:, :-1] + np.abs(np.diff(grey, axis=1))[:-1]
    places = [(x, y) for y in range(0, max(image.height - CROP, 0) + 1, CROP // 4)
              for x in range(0, max(image.width - CROP, 0) + 1, CROP // 4)]
    return max(places, key=lambda place: busy[place[1]:place[1] + CROP, place[0]:place[0] + CROP].sum())


Details = list[tuple[str, Image.Image | None]]  # what each is, and the picture, if there is one


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


def strip(name: str, size: int, shown: Details) -> str:
    """Details beside one another, as HTML."""
    figures = "".join(f"<figure>{embedded(picture, label) if picture else ''}<figcaption>{label}</figcaption></figure>"
                      for label, picture in shown)
    return f'<h3>{html.escape(name)}, at most {size:,} bytes</h3>\n<div class="strip">{figures}</div>'


def drawn(shown: Details) -> Image.Image:
    """Details beside one another, as a picture."""
    joined = Image.new("RGB", (len(shown) * (CROP + 4), CROP + LINE), "white")
    pen = ImageDraw.Draw(joined)
    for i, (label, picture) in enumerate(shown):
        pen.text((i * (CROP + 4) + 2, CROP + 2), label, "black")
        if picture:
            joined.paste(picture, (i * (CROP + 4), 0))
    return joined


def page(measured: dict[str, dict], rates: dict, curves: bytes, speed: dict | None, strips: list[str]) -> str:
    """The whole page."""
    names = list(measured)
    count = len(next(iter(measured.values()))["images"])
    parts = [f"<h1>Rate and distortion of {count} images</h1>", embedded(curves, "curves of quality against rate")]
    parts += [bd_table(metric, rates[metric], names) for metric in rates]
    parts += [rate_table(metric, measured) for metric in rates]
    if "cdraw" in measured:
        parts += [f'<div class="wide">{cut_table(metric, measured)}</div>' for metric in rates]
    settings = [[name, html.escape(measured[name]["description"])] for name in names]
    parts.append(table("Codecs", ["", "settings"], settings))
    if speed:
        parts += ["<h2>Time and memory</h2>", *(f'<div class="wide">{part}</div>' for part in speed_tables(speed))]
    if strips:
        parts.append("<h2>At equal bytes, pixel for pixel</h2>")
    return "\n".join(['<!doctype html><html lang="en"><meta charset="utf-8"><title>cdraw: rate and distortion</title>',
                      f"<style>{STYLE}</style>", *parts, *strips, "</html>\n"])


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--images", type=click.Path(exists=True, path_type=Path), help="Images to show, a file or a folder.")
@click.option("--count", type=click.IntRange(0), default=3, show_default=True, help="How many of them.")
@click.option("--bpp", type=float, default=0.2, show_default=True, help="At how many bits per pixel.")
@click.option("--speed", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="What bench.speed printed.")
@PUBLISHED
def main(folder: Path, images: Path | None, count: int, bpp: float, speed: Path | None,
         published: Path | None) -> None:
    """Make DIR/report.html from the results in DIR."""
    files = {name: folder / f"{name}.json" for name in CODECS}
    measured = {name: json.loads(path.read_text()) for name, path in files.items() if path.exists()}
    if not measured:
        raise click.ClickException(f"{folder} holds no results of bench.rate_distortion")
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


if __name__ == "__main__":
    main()
