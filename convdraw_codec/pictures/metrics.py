"""Distortion between two 8-bit pictures."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image

ROWS = 256  # at a time, to need little memory
MS_SSIM_SIDE = 161  # pixels: five scales of an 11x11 window need as many
SSIMULACRA_SIDE = 8  # pixels: its authors take none smaller


def psnr(original: Image.Image, decoded: Image.Image) -> float:
    """PSNR in dB over all samples of two 8-bit pictures of one mode and size; infinite if they are equal.

    -10 log10(mean((a - b)^2) / 255^2), as scikit-image measures it, which takes long to import.
    """
    a, b = np.asarray(original), np.asarray(decoded)
    total = sum(int(np.square(a[y:y + ROWS].astype(np.int32) - b[y:y + ROWS]).sum(dtype=np.int64))
                for y in range(0, len(a), ROWS))
    return 10 * math.log10(255**2 * a.size / total) if total else math.inf


def ms_ssim(original: Image.Image, decoded: Image.Image) -> float:
    """MS-SSIM (Wang et al. 2003), 0..1, mean over R, G and B; both sides need at least ``MS_SSIM_SIDE`` pixels.

    Raises ImportError without pytorch-msssim, which the extra "compare" brings.
    """
    import torch
    from pytorch_msssim import ms_ssim as measure

    first, second = (torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float()
                     for image in (original, decoded))
    return float(measure(first, second, data_range=255))


def ssimulacra2(original: Image.Image, decoded: Image.Image) -> float:
    """SSIMULACRA 2, up to 100: 90 is visually lossless, 50 medium, 10 low quality.

    Raises ImportError without the package of that name, which the extra "compare" brings.
    """
    from ssimulacra2 import compute_ssimulacra2

    files = []
    for image in (original, decoded):
        files.append(io.BytesIO())
        image.save(files[-1], "PPM")
    return float(compute_ssimulacra2(*files))
