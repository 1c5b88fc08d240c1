"""The page of a report, as HTML: tables of results, curves, and details of pictures."""

from __future__ import annotations

import base64
import html
import io

import numpy as np
from PIL import Image

from .bjontegaard import Results, curve
from .metrics import LABELS

Details = list[tuple[str, Image.Image | None]]  # what each is, and the picture, if there is one
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


def rate_table(metric: str, measured: dict[str, Results]) -> str:
    """Quality of each codec (row) at some rates (column)."""
    def cells(result: Results) -> list[str]:
        bpp, quality = (np.array(values) for values in curve(result, metric))
        order = np.argsort(bpp)
        found = np.interp(np.log(RATES), np.log(bpp[order]), quality[order], left=np.nan, right=np.nan)
        return ["-" if np.isnan(value) else f"{value:.2f}" for value in found]

    return table(f"{LABELS[metric][0]} of the mean curves at so many bits per pixel, interpolated",
                 ["", *map(str, RATES)], [[name, *cells(result["results"])] for name, result in measured.items()])


def cut_table(metric: str, measured: dict[str, Results]) -> str:
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


def rate_ratios(ours: Results, theirs: Results, metric: str) -> np.ndarray:
    """Logarithm of the ratio at each of our points; NaN beyond the range of their quality."""
    (bpp, quality), (their_bpp, their_quality) = curve(ours, metric), curve(theirs, metric)
    order = np.argsort(their_quality)
    there = np.interp(quality, np.asarray(their_quality)[order], np.log(their_bpp)[order], left=np.nan, right=np.nan)
    return np.log(bpp) - there


def speed_tables(speed: Results) -> list[str]:
    """Time, memory and bytes of each codec (row) at each size (column); and what only cdraw has."""
    sizes = sorted({tuple(row["size"]) for row in speed["rows"]}, key=lambda size: (size[0] * size[1], size))
    names, tables = list(dict.fromkeys(row["codec"] for row in speed["rows"])), []
    where = html.escape(f"on {speed['machine']}, ONNX Runtime {speed['onnxruntime']}")
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
    return [*tables, f"<p>Before that, cdraw takes {loading:.2g} s to load itself and its model.</p>"]


def cuts_table(row: Results, where: str) -> str:
    """How long cdraw takes to decode some of its steps."""
    width, height = row["size"]
    every = {f"{steps} steps": seconds for steps, seconds in row["decode_steps_s"].items()}
    every |= {"all steps": row["decode_s"], "a picture after each step": row["progressive_s"]}
    return table(f"cdraw: seconds to decode {width}x{height}, {where}", ["", *every],
                 [["seconds", *(f"{seconds:.3g}" for seconds in every.values())]])


def speed_cell(row: Results | None, text: str) -> str:
    """What a row says, or why it says nothing."""
    if row is None:
        return ""
    return html.escape(row["left_out"]) if "left_out" in row else text.format(**row)


def strip(name: str, size: int, shown: Details) -> str:
    """Details beside one another, as HTML."""
    figures = "".join(f"<figure>{embedded(picture, label) if picture else ''}<figcaption>{label}</figcaption></figure>"
                      for label, picture in shown)
    return f'<h3>{html.escape(name)}, at most {size:,} bytes</h3>\n<div class="strip">{figures}</div>'


def page(measured: dict[str, Results], rates: Results, curves: bytes, speed: Results | None, strips: list[str]) -> str:
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
