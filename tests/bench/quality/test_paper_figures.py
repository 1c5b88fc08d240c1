"""The figures of the paper, and the numbers beside them."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench.quality import paper_figures
from bench.shared.pictures import opened
from convdraw_codec import Codec, truncate
from convdraw_codec.pictures.metrics import psnr

from ...conftest import synthetic
from ...tiny import TINY_MODEL
from ..conftest import run

pytestmark = pytest.mark.usefixtures("tiny_model")


def test_figure_1(pictures: Path, tmp_path: Path, tiny_model: Codec) -> None:
    run(paper_figures.main, "fills", pictures, "--columns", 3, "--seeds", 1, "--out", tmp_path)
    numbers = json.loads((tmp_path / "fills.json").read_text())
    assert [n["steps"] for n in numbers[:3]] == [1, 4, 7]
    image = opened(pictures / "1.png")
    data = tiny_model.compress(image)
    last = numbers[-2]  # 4 steps, sampled
    assert last["bytes"] == len(truncate(data, 4))
    assert last["psnr"] == pytest.approx(psnr(image, tiny_model.decompress(data, 4, "prior")), abs=1e-3)
    assert opened(tmp_path / "fills.png").size[0] > 300


def test_figure_2(pictures: Path, tmp_path: Path) -> None:
    run(paper_figures.main, "bits", pictures, "--model", TINY_MODEL, "--out", tmp_path)
    numbers = json.loads((tmp_path / "bits.json").read_text())
    sizes = [len(Codec(TINY_MODEL).compress(pictures / f"{i}.png")) for i in range(2)]
    assert sum(numbers["bits per pixel"]) == pytest.approx(8 * np.mean(sizes) / (48 * 64), abs=1e-4)
    assert numbers["layer"] == [1, 1, 2, 1, 2, 2, 1]


@pytest.mark.parametrize("sheet", [True, False])
def test_figure_3(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sheet: bool) -> None:
    monkeypatch.setattr(paper_figures, "ACROSS", 3)
    monkeypatch.setattr(paper_figures, "BITS", (0.4, 0.8))
    source = pictures
    if sheet:
        source = tmp_path / "sheet.png"
        Image.fromarray(synthetic(100, 120)).save(source)
    run(paper_figures.main, "small", source, "--out", tmp_path)
    numbers = json.loads((tmp_path / f"small-{source.stem}.json").read_text())
    for number in numbers:
        assert number["bytes"] <= number["bits_per_dimension"] * 96 * 96 * 3 / 8
        assert 0 < number["ssim"] < 1
    for method in ("cdraw, estimated", "cdraw, estimated, each for itself"):
        ours = [n["psnr"] for n in numbers if n["method"] == method]
        assert ours == sorted(ours)
        assert len(ours) == 2


def test_a_sheet_that_is_too_small(tmp_path: Path) -> None:
    Image.fromarray(synthetic(64, 320)).save(tmp_path / "sheet.png")
    result = CliRunner().invoke(paper_figures.main, ["small", str(tmp_path / "sheet.png"), "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "at least 320x320" in result.output


@pytest.mark.parametrize("figure", ["fills", "bits", "small"])
def test_a_folder_without_pictures(tmp_path: Path, figure: str) -> None:
    result = CliRunner().invoke(paper_figures.main, [figure, str(tmp_path), "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "no pictures there" in result.output
