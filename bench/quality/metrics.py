"""Metrics of decoded pictures."""

from __future__ import annotations

import math

from convdraw_codec.pictures.metrics import ms_ssim, psnr, ssimulacra2


def decibels(ms_ssim: float) -> float:
    """MS-SSIM on the scale -10 log10(1 - MS-SSIM), up to 60."""
    return -10 * math.log10(max(1 - ms_ssim, 1e-6))


METRICS = {"psnr-rgb": psnr, "ms-ssim-rgb": ms_ssim, "ssimulacra2": ssimulacra2}
LABELS = {"psnr-rgb": ("PSNR, RGB (dB)", "psnr"), "ms-ssim-rgb": ("MS-SSIM (dB)", "ms_ssim_db"),
          "ssimulacra2": ("SSIMULACRA 2", "")}  # and the key of published curves
