"""Distortion of decoded 8-bit pictures, and the Bjontegaard deltas between curves."""

from __future__ import annotations

import math

import bjontegaard
import numpy as np
import torch
from PIL import Image
from pytorch_msssim import ms_ssim as _ms_ssim
from skimage.metrics import peak_signal_noise_ratio


def psnr(original: Image.Image, decoded: Image.Image) -> float:
    """PSNR in dB over all samples of two 8-bit pictures of one mode."""
    return float(peak_signal_noise_ratio(np.asarray(original), np.asarray(decoded), data_range=255))


def ms_ssim(original: Image.Image, decoded: Image.Image) -> float:
    """MS-SSIM (Wang et al. 2003), mean over the channels; both sides need more than 160 pixels."""
    first, second = (torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float()
                     for image in (original, decoded))
    return float(_ms_ssim(first, second, data_range=255))


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
