"""Metrics, and deltas between curves, agree with their definitions."""

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import correlate1d

from bench.quality.bjontegaard import bd_quality, bd_rate, summary
from bench.quality.metrics import METRICS, decibels
from convdraw_codec.pictures.metrics import ms_ssim, psnr

from ...conftest import synthetic


def test_bd_rate_of_twice_the_bytes() -> None:
    rate, quality = [0.1, 0.2, 0.5, 1.0], [25.0, 28.0, 32.0, 36.0]
    assert bd_rate((rate, quality), ([2 * r for r in rate], quality)) == pytest.approx(100)
    assert bd_rate((rate, quality), (rate[::-1], quality[::-1])) == pytest.approx(0)


def test_bd_quality_of_two_decibels_more() -> None:
    rate, quality = [0.1, 0.2, 0.5, 1.0], [25.0, 28.0, 32.0, 36.0]
    assert bd_quality((rate, quality), (rate, [2 + q for q in quality])) == pytest.approx(2)


def test_decibels_of_what_is_rounded_to_no_difference() -> None:
    assert decibels(1.0) == pytest.approx(60)
    assert decibels(0.99) == pytest.approx(20)


def test_bd_rate_of_published_curves() -> None:
    """bmshj2018-hyperprior against VTM on Kodak, as CompressAI publishes them: +30.5 %."""
    vtm = ([0.048245, 0.112495, 0.245817, 0.490545, 0.87481, 1.43085, 2.324607, 3.632609],
           [26.144845, 28.493022, 31.199874, 34.261533, 37.419793, 40.424444, 43.505767, 46.59176])
    hyperprior = ([0.131293, 0.208893, 0.319858, 0.478356, 0.668688, 0.938826, 1.259172, 1.660224],
                  [27.581537, 29.196703, 30.972162, 32.838183, 34.526264, 36.743348, 38.583848, 40.556866])
    assert bd_rate(vtm, hyperprior) == pytest.approx(30.5, abs=0.5)


def test_psnr_by_hand() -> None:
    a, b = Image.fromarray(synthetic(20, 20, 1)), Image.fromarray(synthetic(20, 20, 2))
    error = np.mean((np.asarray(a, float) - np.asarray(b, float)) ** 2)
    assert psnr(a, b) == pytest.approx(10 * np.log10(255**2 / error))


def test_ms_ssim_falls_with_noise() -> None:
    a = synthetic(180, 200)
    noise = np.random.default_rng(0).normal(0, 1, a.shape)
    values = [ms_ssim(Image.fromarray(a), Image.fromarray((a + s * noise).clip(0, 255).astype(np.uint8)))
              for s in (0, 5, 20)]
    assert values[0] == pytest.approx(1)
    assert values == sorted(values, reverse=True)


def test_ms_ssim_by_its_definition() -> None:
    """Wang, Simoncelli, Bovik (2003), written anew with scipy."""
    a = synthetic(192, 208).astype(float)
    b = (a + np.random.default_rng(0).normal(0, 12, a.shape)).round().clip(0, 255)
    window = np.exp(-np.arange(-5, 6) ** 2 / (2 * 1.5**2))
    window /= window.sum()

    def blur(x: np.ndarray) -> np.ndarray:
        for axis in (0, 1):
            x = correlate1d(x, window, axis)
        return x[5:-5, 5:-5]

    value = np.ones(3)
    x, y = a, b
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        mean_x, mean_y = blur(x), blur(y)
        variance = blur(x * x) - mean_x**2 + blur(y * y) - mean_y**2
        structure = (2 * (blur(x * y) - mean_x * mean_y) + 58.5225) / (variance + 58.5225)
        if scale == 4:
            structure = structure * (2 * mean_x * mean_y + 6.5025) / (mean_x**2 + mean_y**2 + 6.5025)
        value *= structure.mean((0, 1)) ** weight
        if scale < 4:
            x, y = (z.reshape(z.shape[0] // 2, 2, z.shape[1] // 2, 2, 3).mean((1, 3)) for z in (x, y))
    measured = ms_ssim(*(Image.fromarray(z.astype(np.uint8)) for z in (a, b)))
    assert measured == pytest.approx(value.mean(), abs=2e-4)


def test_curves_without_anything_in_common() -> None:
    low, high = ({"bpp": [0.1, 0.2], "psnr-rgb": [quality, quality + 1]} for quality in (20.0, 40.0))
    both, each = summary({"results": low, "images": {"p": low}}, {"results": high, "images": {"p": high}}, "psnr-rgb")
    assert both == {"of mean curves": None, "mean over images": None}
    assert each == {"p": None}


def test_ssimulacra_falls_with_noise() -> None:
    a, rng = synthetic(180, 200), np.random.default_rng(0)
    noise = rng.normal(0, 1, a.shape)
    values = [METRICS["ssimulacra2"](Image.fromarray(a), Image.fromarray((a + s * noise).clip(0, 255).astype(np.uint8)))
              for s in (0, 3, 10, 30)]
    assert values[0] == pytest.approx(100)
    assert values == sorted(values, reverse=True)
