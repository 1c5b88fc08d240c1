"""What the commands on pictures print agrees with the files that it is about."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench.quality import fills, grey, lossless, same_size
from bench.shared.pictures import opened
from convdraw_codec import Codec, truncate
from convdraw_codec.pictures.metrics import psnr

from ...conftest import synthetic
from ..conftest import run

pytestmark = pytest.mark.usefixtures("tiny_model", "one_process")


def test_lossless(pictures: Path) -> None:
    report = run(lossless.main, pictures, "--random", 3)
    assert report["failures"] == []
    assert set(report["each"]) == {"0.png", "1.png"}
    mean = report["mean bytes"]
    assert mean["cdraw"] > mean["cdraw, steps of the model"]
    assert report["cdraw against"]["png"] == f"{100 * (mean['cdraw'] / mean['png'] - 1):+.1f} %"


def test_a_picture_that_came_back_changed_is_reported(
        pictures: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Codec) -> None:
    monkeypatch.setattr(tiny_model, "compress", lambda image, lossless: Codec.compress(tiny_model, image))
    result = CliRunner().invoke(lossless.main, [str(pictures), "--random", "1"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["failures"] == ["0.png", "1.png", "random 0"]


def test_grey(pictures: Path) -> None:
    shares = run(grey.main, pictures)["grey bytes over colour bytes at equal grey PSNR"]
    assert 0.1 < shares["mean"] <= shares["largest"] < 1


def test_same_size(tmp_path: Path, tiny_model: Codec) -> None:
    Image.fromarray(synthetic(176, 192)).save(tmp_path / "0.png")
    report = run(same_size.main, tmp_path)
    assert set(report["BD-rate of cdraw"]) == {"psnr-rgb", "ms-ssim-rgb"}
    row, image = report["at rates that all pictures have"][3], opened(tmp_path / "0.png")
    cut = truncate(tiny_model.compress(image), size=round(row["bpp"] * 176 * 192 / 8))
    assert row["psnr-rgb"]["cdraw"] == pytest.approx(psnr(image, tiny_model.decompress(cut)), abs=1e-3)
    better = row["psnr-rgb"]["cdraw"] > row["psnr-rgb"]["jpeg2000"]
    assert row["psnr-rgb"]["pictures that cdraw shows better"] == better


def test_the_same_size_of_a_codec_that_is_always_better() -> None:
    """Columns: bpp twice, then both metrics of the other codec and of cdraw, which here needs twice the rate."""
    bpp = np.array([0.1, 0.2, 0.4, 0.8])
    quality = 30 + 3 * np.log2(bpp)
    ms_ssim = 1 - 10 ** (-quality / 100)
    columns = np.stack([bpp, bpp, quality, ms_ssim, quality - 3, ms_ssim], axis=1)
    shorter = columns.copy()
    shorter[-1] = np.nan
    report = same_size.compared(np.stack([columns, shorter]))
    assert report["psnr-rgb"] == pytest.approx({"of mean curves": 100, "mean over images": 100})
    assert report["ms-ssim-rgb"] == pytest.approx({"of mean curves": 0, "mean over images": 0}, abs=1e-9)


def test_fills(pictures: Path, tiny_model: Codec) -> None:
    report = run(fills.main, pictures)
    images = [opened(pictures / f"{i}.png") for i in range(2)]
    assert report["images"] == 2
    assert len(report["gain by estimate"]) == tiny_model.total_steps
    bare = [psnr(image, tiny_model.decompress(tiny_model.compress(image, 3), fill="none")) for image in images]
    assert report["psnr of the canvas"][2] == pytest.approx(np.mean(bare), abs=1e-3)
