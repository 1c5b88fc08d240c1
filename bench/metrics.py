"""MS-SSIM in decibels, and the Bjontegaard deltas between curves."""

from __future__ import annotations

import math

import bjontegaard
import numpy as np


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
