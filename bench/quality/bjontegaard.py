"""Bjontegaard deltas between curves of rate and quality, as numbers and as tables.

A table compares results in the schema of CompressAI: {"results": {"bpp": [...], METRIC: [...]}, "images": {NAME: the
same}}.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import bjontegaard
import numpy as np

from .metrics import METRICS, decibels

Curve = tuple[list[float], list[float]]  # bits per pixel, and quality at each
Results = dict[str, Any]


def bd_rate(anchor: Curve, test: Curve) -> float:
    """Mean difference in rate in percent at equal quality (Bjontegaard; pchip over log rate). Negative: saves.

    Over whatever range of quality both have; NaN if they have none in common.
    """
    return _delta(bjontegaard.bd_rate, anchor, test, rising=1)


def bd_quality(anchor: Curve, test: Curve) -> float:
    """Mean difference in quality at equal rate, in the units of the curves: of PSNR, BD-PSNR in dB."""
    return _delta(bjontegaard.bd_psnr, anchor, test, rising=0)


def _delta(measure: Callable[..., float], anchor: Curve, test: Curve, rising: int) -> float:
    """rising: which of rate and quality pchip needs in strictly rising order."""
    curves = []
    for curve in (anchor, test):
        columns = np.asarray(curve)[:, np.argsort(curve[rising])]
        curves += list(columns[:, np.diff(columns[rising], prepend=-np.inf) > 1e-4])
    return float(measure(*curves, method="pchip", require_matching_points=False, min_overlap=0))


def curve(results: Results, metric: str) -> Curve:
    """(bpp, quality), MS-SSIM in dB."""
    quality = [decibels(v) for v in results[metric]] if metric == "ms-ssim-rgb" else results[metric]
    return results["bpp"], quality


def metrics_of(measured: dict[str, Results]) -> list[str]:
    """Those that every codec was measured by."""
    return [metric for metric in METRICS if all(metric in result["results"] for result in measured.values())]


def summary(anchor: Results, other: Results, metric: str, delta: Callable[[Curve, Curve], float] = bd_rate,
            ) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """A Bjontegaard delta of the mean curves and its mean over the images; and that of each image. None where curves
    have nothing in common."""
    def between(a: Results, b: Results) -> float:
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


def compare(measured: dict[str, Results]) -> dict[str, dict[str, dict[str, float | None]]]:
    """BD-rates of every codec against every other, by metric and pair."""
    return {metric: {f"{name} against {anchor}": summary(a, b, metric)[0]
                     for anchor, a in measured.items() for name, b in measured.items() if name != anchor}
            for metric in metrics_of(measured)}


def against(anchor: str, measured: dict[str, Results]) -> dict[str, dict[str, dict[str, Results]]]:
    """BD-rate in percent, and BD-quality in the units of the metric (BD-PSNR), by metric and codec, with that of
    each image."""
    table: dict[str, dict[str, dict[str, Results]]] = {metric: {} for metric in metrics_of(measured)}
    for metric, rows in table.items():
        for name, result in measured.items():
            for kind, delta in (("BD-rate", bd_rate), ("BD-quality", bd_quality)) if name != anchor else ():
                both, each = summary(measured[anchor], result, metric, delta)
                rows.setdefault(name, {})[kind] = both | {"images": each}
    return table
