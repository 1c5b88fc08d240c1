"""The benchmark measures what it says."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench.metrics import bd_rate, decibels
from bench.rate_distortion import main
from convdraw_codec.metrics import ms_ssim, psnr

from .conftest import synthetic


def test_bd_rate_of_twice_the_bytes():
    rate, quality = [0.1, 0.2, 0.5, 1.0], [25.0, 28.0, 32.0, 36.0]
    assert bd_rate((rate, quality), ([2 * r for r in rate], quality)) == pytest.approx(100)
    assert bd_rate((rate, quality), (rate[::-1], quality[::-1])) == pytest.approx(0)


def test_psnr_by_hand():
    a, b = Image.fromarray(synthetic(20, 20, 1)), Image.fromarray(synthetic(20, 20, 2))
    error = np.mean((np.asarray(a, float) - np.asarray(b, float)) ** 2)
    assert psnr(a, b) == pytest.approx(10 * np.log10(255**2 / error))


def test_ms_ssim_falls_with_noise():
    a = synthetic(180, 200)
    noise = np.random.default_rng(0).normal(0, 1, a.shape)
    values = [ms_ssim(Image.fromarray(a), Image.fromarray((a + s * noise).clip(0, 255).astype(np.uint8)))
              for s in (0, 5, 20)]
    assert values[0] == pytest.approx(1)
    assert values == sorted(values, reverse=True)
    assert decibels(0.99) == pytest.approx(20)


def test_a_comparison_from_real_files(tmp_path):
    for seed in range(2):
        Image.fromarray(synthetic(180, 200, seed)).save(tmp_path / f"{seed}.png")
    out = tmp_path / "out"
    names = ("jpeg", "jpeg2000", "cdraw")
    for chosen in (names[:1], names[1:]):  # the second run compares with what the first left
        options = [option for name in chosen for option in ("--codecs", name)]
        result = CliRunner().invoke(main, [str(tmp_path), *options, "--out", str(out), "--workers", "1"])
        assert result.exit_code == 0, result.output
    assert {f.name for f in out.iterdir()} == {*(f"{n}.json" for n in names), "bd-rates.json", "rate-distortion.png"}
    for name in names:
        results = json.loads((out / f"{name}.json").read_text())["results"]
        assert len({len(column) for column in results.values()}) == 1
        assert set(results) == {"bpp", "psnr-rgb", "ms-ssim-rgb"}
        assert results["bpp"] == sorted(results["bpp"])
    table = json.loads((out / "bd-rates.json").read_text())
    assert "cdraw against jpeg" in table["psnr-rgb"]
