"""Metrics of decoded pictures, and the Bjontegaard deltas between curves."""

from __future__ import annotations

import io
import math

import bjontegaard
import numpy as np
from PIL import Image
from ssimulacra2 import compute_ssimulacra2


def ssimulacra2(original: Image.Image, decoded: Image.Image) -> float:
    """SSIMULACRA 2, by the package of that name: 90 is visually lossless, 50 medium, 10 low quality."""
    files = []
    for image in (original, decoded):
        files.append(io.BytesIO())
        image.save(files[-1], "PPM")
    return float(compute_ssimulacra2(*files))


def decibels(ms_ssim: float) -> float:
    """MS-SSIM on the scale -10 log10(1 - MS-SSIM)."""
    return -10 * math.log10(1 - ms_ssim)


def bd_rate(anchor: tuple[list[float], list[float]], test: tuple[list[float], list[float]]) -> float:
    """Mean difference in rate in percent at equal quality (Bjontegaard; pchip over log rate). Negative: saves.

    Each curve is (bpp, quality), over whatever range of quality both have.
    """
    curves = []
    for curve in (anchor, test):
        rate, quality = (np.asarray(values)[np.argsort(curve[1])] for values in curve)
        keep = np.concatenate([[True], np.diff(quality) > 1e-4])  # pchip needs a strictly rising quality
        curves += [rate[keep], quality[keep]]
    return float(bjontegaard.bd_rate(*curves, method="pchip", require_matching_points=False, min_overlap=0))
