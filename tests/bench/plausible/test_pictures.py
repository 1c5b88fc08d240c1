"""Distances of deep features, and the table and sheets of plausible pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.plausible import deep
from bench.plausible import pictures as plausible
from bench.shared.pictures import opened
from convdraw_codec import Codec, truncate

from ...conftest import synthetic
from ..conftest import run

pytestmark = pytest.mark.usefixtures("tiny_model", "one_process")


@pytest.fixture
def larger(tmp_path: Path) -> Path:
    folder = tmp_path / "larger"
    folder.mkdir()
    for seed in range(2):
        Image.fromarray(synthetic(224, 256, seed)).save(folder / f"{seed}.png")
    return folder


def test_the_table(larger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Codec) -> None:
    monkeypatch.setattr(plausible, "RATES", (0.3, 0.6))
    printed = run(plausible.main, "measure", larger, "--peers", "jpeg2000", "--out", tmp_path / "p.json")
    report = json.loads((tmp_path / "p.json").read_text())
    assert printed.startswith("0.3 bpp: psnr ")
    assert [row["rate"] for row in report["plausible against faithful"]] == [0.3, 0.6]
    rows = {(row["rate"], row["method"]): row for row in report["rows"]}
    assert len(rows) == 8
    for (rate, method), row in rows.items():
        assert 0.8 * rate < row["bpp"] <= rate
        assert (plausible.CHANGED in row) == (method in ("cdraw, estimate", "cdraw, plausible"))
    image = opened(larger / "0.png")
    cut = truncate(tiny.compress(image), size=int(0.3 * 224 * 256 / 8))
    assert plausible.changed_symbols(tiny, cut, tiny.decompress(cut, fill="plausible")) < 0.02
    assert plausible.changed_symbols(tiny, cut, Image.fromarray(synthetic(224, 256, 9))) > 0.1


def test_sheets(larger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plausible, "RATES", (0.5,))
    run(plausible.main, "sheets", larger, "--out", tmp_path / "sheets")
    sheet = opened(tmp_path / "sheets" / "1.webp")
    assert sheet.width == 6 * plausible.SHEET_CROP
    assert plausible.SHEET_CROP < sheet.height < 1.3 * plausible.SHEET_CROP


def test_frechet_distance_of_gaussians() -> None:
    """Of one-dimensional ones in each channel: squared differences of means and of deviations."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (200_000, 2)), rng.normal((1, -2), (3, 0.5), (200_000, 2))
    first, second = (deep.Moments.of([torch.empty(0), torch.from_numpy(each.T[None, :, None])]) for each in (a, b))
    assert deep.frechet(first, second) == pytest.approx(1 + 4 + 4 + 0.25, rel=0.02)
    assert deep.frechet(first, first) == pytest.approx(0, abs=1e-6)
    assert (first + second).count == 400_000
