"""The comparison of codecs measures what it says."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench.quality.rate_distortion import main
from bench.shared.codecs import Pillow, Point

from ...conftest import synthetic
from ..conftest import work_stays_here
from .conftest import NAMES


def test_a_comparison_from_real_files(comparison: Path) -> None:
    assert {f.name for f in comparison.iterdir()} == {
        *(f"{name}.json" for name in NAMES), "bd-rates.json", "against-jpeg.json", "rate-distortion.png"}
    for name in NAMES:
        measured = json.loads((comparison / f"{name}.json").read_text())
        results = measured["results"]
        assert len(measured["settings"]) == len(results["bpp"])
        assert len({len(column) for column in results.values()}) == 1
        assert set(results) == {"bpp", "psnr-rgb", "ms-ssim-rgb", "ssimulacra2"}
        assert results["bpp"] == sorted(results["bpp"])
    table = json.loads((comparison / "bd-rates.json").read_text())
    ours = json.loads((comparison / "against-jpeg.json").read_text())["psnr-rgb"]["cdraw"]
    assert ours["BD-rate"]["mean over images"] == table["psnr-rgb"]["cdraw against jpeg"]["mean over images"]
    each = ours["BD-quality"]["images"]
    assert set(each) == {"0.png", "1.png"}
    assert np.mean(list(each.values())) == pytest.approx(ours["BD-quality"]["mean over images"], abs=0.002)
    assert (ours["BD-rate"]["images"]["0.png"] < 0) == (each["0.png"] > 0)


def run_bench(folder: Path, out: Path, *options: str) -> None:
    result = CliRunner().invoke(main, [str(folder), "--codecs", "jpeg", "--out", str(out), *options])
    assert result.exit_code == 0, result.output


def test_an_interrupted_bench_goes_on_and_workers_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                      processes: bool) -> None:
    """A second codec is interrupted; the first is not measured again."""
    for seed in range(4):
        Image.fromarray(synthetic(170, 170, seed)).save(tmp_path / f"{seed}.png")
    two = ("--codecs", "jpeg2000", "--metrics", "psnr-rgb")
    run_bench(tmp_path, tmp_path / "two", *two, "--workers", "2")
    points, seen = Pillow.points, list[str]()

    def interrupted(self: Pillow, image: Image.Image) -> Iterator[Point]:
        seen.append(self.name)
        if len(seen) == 7:
            raise KeyboardInterrupt
        return points(self, image)

    monkeypatch.setattr(Pillow, "points", interrupted)
    one = tmp_path / "one"
    with work_stays_here():
        assert CliRunner().invoke(main, [str(tmp_path), "--codecs", "jpeg", *two, "--out", str(one)]).exit_code == 1
        assert len(list((one / "unfinished" / "jpeg2000").iterdir())) == 2
        run_bench(tmp_path, one, *two)
    assert seen == ["jpeg"] * 4 + ["jpeg2000"] * 5  # two finished, one interrupted, two more
    for name in ("jpeg", "jpeg2000"):
        assert (one / f"{name}.json").read_bytes() == (tmp_path / "two" / f"{name}.json").read_bytes()
    assert not (one / "unfinished").exists()


@pytest.mark.usefixtures("one_process")
def test_pictures_that_changed_are_measured_again(tmp_path: Path) -> None:
    Image.fromarray(synthetic(170, 170, 0)).save(tmp_path / "p.png")
    run_bench(tmp_path, tmp_path / "out")
    before = (tmp_path / "out" / "jpeg.json").read_bytes()
    Image.fromarray(synthetic(170, 170, 1)).save(tmp_path / "p.png")
    result = CliRunner().invoke(main, [str(tmp_path), "--codecs", "webp", "--out", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "other images" in result.output
    run_bench(tmp_path, tmp_path / "out")
    assert (tmp_path / "out" / "jpeg.json").read_bytes() != before


@pytest.mark.usefixtures("one_process")
def test_pictures_that_cannot_be_compared(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.fromarray(synthetic(64, 170)).save(tmp_path / folder / "p.png")
    for pictures, reason in ((("a", "b"), "called p.png"), (("a",), "too small for MS-SSIM")):
        result = CliRunner().invoke(main, [*(str(tmp_path / name) for name in pictures), "--out", str(tmp_path / "o")])
        assert result.exit_code == 2
        assert reason in result.output
    run_bench(tmp_path / "a", tmp_path / "o", "--metrics", "psnr-rgb")


@pytest.mark.usefixtures("one_process")
def test_metrics_that_were_measured_are_not_lost(tmp_path: Path) -> None:
    Image.fromarray(synthetic(170, 170)).save(tmp_path / "p.png")
    run_bench(tmp_path, tmp_path / "few", "--metrics", "psnr-rgb")
    few = json.loads((tmp_path / "few" / "jpeg.json").read_text())
    assert set(few["results"]) == {"bpp", "psnr-rgb"}
    run_bench(tmp_path, tmp_path / "few")
    every = (tmp_path / "few" / "jpeg.json").read_bytes()
    assert json.loads(every)["results"]["psnr-rgb"] == few["results"]["psnr-rgb"]
    run_bench(tmp_path, tmp_path / "few", "--metrics", "psnr-rgb")
    assert (tmp_path / "few" / "jpeg.json").read_bytes() == every


@pytest.mark.usefixtures("one_process")
def test_a_codec_that_is_missing_is_named_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(synthetic(170, 170)).save(tmp_path / "p.png")
    monkeypatch.setattr("bench.shared.codecs.features.check", lambda library: library != "avif")
    options = ["--codecs", "jpeg", "--codecs", "avif", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(main, [str(tmp_path), *options])
    assert result.exit_code == 0
    assert "avif is left out: this Pillow has no avif\n" in result.stderr
    assert not (tmp_path / "out" / "avif.json").exists()


@pytest.mark.usefixtures("one_process")
def test_a_plugin_that_is_missing_is_named_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(synthetic(170, 170)).save(tmp_path / "p.png")
    monkeypatch.setattr("bench.shared.codecs.find_spec", lambda module: None)
    options = ["--codecs", "jpeg", "--codecs", "jpeg-xl", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(main, [str(tmp_path), *options])
    assert result.exit_code == 0
    assert "jpeg-xl is left out: pillow-jxl-plugin is not installed\n" in result.stderr
