"""Metrics of decoded pictures, and the Bjontegaard deltas between curves."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import bjontegaard
import numpy as np
from PIL import Image
from ssimulacra2 import compute_ssimulacra2

Curve = tuple[list[float], list[float]]  # bits per pixel, and quality at each


def ssimulacra2(original: Image.Image, decoded: Image.Image) -> float:
    """SSIMULACRA 2, by the package of that name: 90 is visually lossless, 50 medium, 10 low quality."""
    files = []
    for image in (original, decoded):
        files.append(io.BytesIO())
        image.save(files[-1], "PPM")
    return float(compute_ssimulacra2(*files))


def decibels(ms_ssim: float) -> float:
    """MS-SSIM on the scale -10 log10(1 - MS-SSIM), up to 60."""
    return -10 * math.log10(max(1 - ms_ssim, 1e-6))


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
