"""The benchmark measures what it says."""

import base64
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy.ndimage import correlate1d

from bench.codecs import Pillow, make
from bench.metrics import bd_quality, bd_rate, decibels, ssimulacra2
from bench.pictures import opened
from bench.rate_distortion import main, summary
from bench.report import main as report
from bench.report import rate_ratios, rate_table
from convdraw_codec.pictures.metrics import ms_ssim, psnr

from ..conftest import synthetic


def test_bd_rate_of_twice_the_bytes():
    rate, quality = [0.1, 0.2, 0.5, 1.0], [25.0, 28.0, 32.0, 36.0]
    assert bd_rate((rate, quality), ([2 * r for r in rate], quality)) == pytest.approx(100)
    assert bd_rate((rate, quality), (rate[::-1], quality[::-1])) == pytest.approx(0)


def test_bd_quality_of_two_decibels_more():
    rate, quality = [0.1, 0.2, 0.5, 1.0], [25.0, 28.0, 32.0, 36.0]
    assert bd_quality((rate, quality), (rate, [2 + q for q in quality])) == pytest.approx(2)


def test_decibels_of_what_is_rounded_to_no_difference():
    assert decibels(1.0) == pytest.approx(60)
    assert decibels(0.99) == pytest.approx(20)


def test_pictures_are_upright_and_without_metadata(tmp_path):
    picture, exif = Image.fromarray(synthetic(40, 60)), Image.Exif()
    exif[0x112] = 6  # a quarter turn
    picture.save(tmp_path / "p.png", exif=exif, icc_profile=b"profile")
    seen = opened(tmp_path / "p.png")
    assert seen.size == (40, 60)
    assert seen.tobytes() == picture.transpose(Image.Transpose.ROTATE_270).tobytes()
    assert not seen.info


def test_bd_rate_of_published_curves():
    """bmshj2018-hyperprior against VTM on Kodak, as CompressAI publishes them: +30.5 %."""
    vtm = ([0.048245, 0.112495, 0.245817, 0.490545, 0.87481, 1.43085, 2.324607, 3.632609],
           [26.144845, 28.493022, 31.199874, 34.261533, 37.419793, 40.424444, 43.505767, 46.59176])
    hyperprior = ([0.131293, 0.208893, 0.319858, 0.478356, 0.668688, 0.938826, 1.259172, 1.660224],
                  [27.581537, 29.196703, 30.972162, 32.838183, 34.526264, 36.743348, 38.583848, 40.556866])
    assert bd_rate(vtm, hyperprior) == pytest.approx(30.5, abs=0.5)


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


def test_ms_ssim_by_its_definition():
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


def test_a_comparison_from_real_files(tmp_path):
    for seed in range(2):
        Image.fromarray(synthetic(180, 200, seed)).save(tmp_path / f"{seed}.png")
    out = tmp_path / "out"
    names = ("cdraw", "jpeg", "jpeg2000")
    published = tmp_path / "published.json"
    published.write_text(json.dumps({"codecs": {"other": {"bpp": [0.1, 1], "psnr": [25, 35]}}}))
    for chosen in (names[:1], names[1:]):  # the second run compares with what the first left
        options = [option for name in chosen for option in ("--codecs", name)]
        result = CliRunner().invoke(main, [str(tmp_path), *options, "--out", str(out), "--workers", "1", "--published",
                                     str(published)])
        assert result.exit_code == 0, result.output
    assert {f.name for f in out.iterdir()} == {*(f"{n}.json" for n in names), "bd-rates.json", "against-jpeg.json",
                                               "rate-distortion.png"}
    for name in names:
        measured = json.loads((out / f"{name}.json").read_text())
        results = measured["results"]
        assert len(measured["settings"]) == len(results["bpp"])
        assert len({len(column) for column in results.values()}) == 1
        assert set(results) == {"bpp", "psnr-rgb", "ms-ssim-rgb", "ssimulacra2"}
        assert results["bpp"] == sorted(results["bpp"])
    table = json.loads((out / "bd-rates.json").read_text())
    ours = json.loads((out / "against-jpeg.json").read_text())["psnr-rgb"]["cdraw"]
    assert ours["BD-rate"]["mean over images"] == table["psnr-rgb"]["cdraw against jpeg"]["mean over images"]
    each = ours["BD-quality"]["images"]
    assert set(each) == {"0.png", "1.png"}
    assert np.mean(list(each.values())) == pytest.approx(ours["BD-quality"]["mean over images"], abs=0.002)
    assert (ours["BD-rate"]["images"]["0.png"] < 0) == (each["0.png"] > 0)
    speed = tmp_path / "speed.json"
    rows = [{"codec": "cdraw", "size": [64, 48], "threads": 2, "encode_s": 1.234, "decode_s": 0.567, "bpp": 3.21,
             "peak_memory_mb": 1890, "kmac_per_pixel": {"encode": 202.1, "decode": 175.1, "retouch": 25.9},
             "decode_steps_s": {"6": 0.123}, "progressive_s": 1.357},
            {"codec": "slow", "size": [64, 48], "threads": 2, "left_out": "too slow"}]
    speed.write_text(json.dumps({"machine": "a machine", "torch": "2", "import_s": 0.1, "load_model_s": 1.36,
                                 "rows": rows}))
    options = ["--images", str(tmp_path / "0.png"), "--bpp", "1", "--published", str(published), "--speed", str(speed)]
    result = CliRunner().invoke(report, [str(out), *options])
    assert result.exit_code == 0, result.output
    check_page(out / "report.html", table)
    assert opened(out / "details-0.png").size == (4 * 204, 216)


def check_page(path: Path, table: dict) -> None:
    """It needs nothing beside it, and says what was measured."""
    text = path.read_text()
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)
    assert text.count("<figure>") == 4  # the original and three codecs
    assert all(said in text for said in ("1.23 / 0.567", "1,890", "too slow", "2 cores, on a machine", "3.21",
                                         "6 steps", "0.123", "1.36", "<td>202</td><td>175</td>", "1.5 s to load"))
    for rates in table.values():
        for value in rates.values():
            assert f"{value['mean over images']:+.1f} %" in text
    for data in re.findall(r"data:image/\w+;base64,([^\"]+)", text):
        Image.open(io.BytesIO(base64.b64decode(data))).verify()
    if browser := shutil.which("chromium"):
        picture = path.with_suffix(".png")
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
                   "--disable-background-networking", f"--user-data-dir={path.parent / 'profile'}",
                   "--window-size=1250,2400", f"--screenshot={picture}", path.as_uri()]
        subprocess.run(command, check=True, capture_output=True)
        with Image.open(picture) as seen:
            assert seen.size == (1250, 2400)
            assert len(set(np.asarray(seen.convert("L"))[::7, ::7].ravel())) > 30  # curves, text and photographs


def test_rates_at_equal_quality():
    ours = {"bpp": [0.1, 0.2, 0.5], "psnr-rgb": [25.0, 28.0, 45.0]}
    theirs = {"bpp": [0.4, 0.2, 0.1], "psnr-rgb": [28.0, 25.0, 22.0]}  # twice the bytes, in any order
    ratios = rate_ratios(ours, theirs, "psnr-rgb")
    assert np.exp(ratios[:2]) == pytest.approx([0.5, 0.5])
    assert np.isnan(ratios[2])


def test_quality_at_equal_rates():
    page = rate_table("psnr-rgb", {"a": {"results": {"bpp": [0.025, 0.1, 0.4], "psnr-rgb": [25.0, 30.0, 40.0]}}})
    cells = re.findall("<td>(.*?)</td>", page)
    assert cells == ["-", "27.50", "30.00", "35.00", "40.00", "-", "-", "-"]


@pytest.mark.parametrize("name", ["jpeg", "jpeg2000", "webp", "cdraw"])
def test_as_good_as_so_many_bytes_allow(name):
    image = Image.fromarray(synthetic(64, 96))
    codec = make(name)
    assert codec.within(image, 30) is None
    some, more = (codec.within(image, size) for size in (1000, 1700))
    assert 700 < some[0] <= 1000 < 1300 < more[0] <= 1700
    assert psnr(image, some[1]) < psnr(image, more[1])


def test_a_report_of_nothing(tmp_path):
    result = CliRunner().invoke(report, [str(tmp_path)])
    assert result.exit_code == 1
    assert "holds no results" in result.output


def run_bench(folder: Path, out: Path, *options: str) -> None:
    result = CliRunner().invoke(main, [str(folder), "--codecs", "jpeg", "--out", str(out), *options])
    assert result.exit_code == 0, result.output


def test_an_interrupted_bench_goes_on_and_workers_do_not_matter(tmp_path, monkeypatch):
    """A second codec is interrupted; the first is not measured again."""
    for seed in range(4):
        Image.fromarray(synthetic(170, 170, seed)).save(tmp_path / f"{seed}.png")
    two = ("--codecs", "jpeg2000")
    run_bench(tmp_path, tmp_path / "two", *two, "--workers", "2")
    points, seen = Pillow.points, []

    def interrupted(self, image):
        seen.append(self.name)
        if len(seen) == 7:
            raise KeyboardInterrupt
        return points(self, image)

    monkeypatch.setattr(Pillow, "points", interrupted)
    monkeypatch.setattr("bench.rate_distortion.map_images", lambda work, images, workers, label: map(work, images))
    one = tmp_path / "one"
    assert CliRunner().invoke(main, [str(tmp_path), "--codecs", "jpeg", *two, "--out", str(one)]).exit_code == 1
    assert len(list((one / "unfinished" / "jpeg2000").iterdir())) == 2
    run_bench(tmp_path, one, *two)
    assert seen == ["jpeg"] * 4 + ["jpeg2000"] * 5  # two finished, one interrupted, two more
    for name in ("jpeg", "jpeg2000"):
        assert (one / f"{name}.json").read_bytes() == (tmp_path / "two" / f"{name}.json").read_bytes()
    assert not (one / "unfinished").exists()


def test_pictures_that_changed_are_measured_again(tmp_path):
    Image.fromarray(synthetic(170, 170, 0)).save(tmp_path / "p.png")
    run_bench(tmp_path, tmp_path / "out", "--workers", "1")
    before = (tmp_path / "out" / "jpeg.json").read_bytes()
    Image.fromarray(synthetic(170, 170, 1)).save(tmp_path / "p.png")
    result = CliRunner().invoke(main, [str(tmp_path), "--codecs", "webp", "--out", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "other images" in result.output
    run_bench(tmp_path, tmp_path / "out", "--workers", "1")
    assert (tmp_path / "out" / "jpeg.json").read_bytes() != before


def test_pictures_that_cannot_be_compared(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.fromarray(synthetic(64, 170)).save(tmp_path / folder / "p.png")
    for pictures, reason in ((("a", "b"), "called p.png"), (("a",), "too small for MS-SSIM")):
        result = CliRunner().invoke(main, [*(str(tmp_path / name) for name in pictures), "--out", str(tmp_path / "o")])
        assert result.exit_code == 2
        assert reason in result.output
    run_bench(tmp_path / "a", tmp_path / "o", "--metrics", "psnr-rgb", "--workers", "1")


def test_curves_without_anything_in_common():
    low, high = ({"bpp": [0.1, 0.2], "psnr-rgb": [quality, quality + 1]} for quality in (20.0, 40.0))
    both, each = summary({"results": low, "images": {"p": low}}, {"results": high, "images": {"p": high}}, "psnr-rgb")
    assert both == {"of mean curves": None, "mean over images": None}
    assert each == {"p": None}


def test_metrics_that_were_measured_are_not_lost(tmp_path):
    Image.fromarray(synthetic(170, 170)).save(tmp_path / "p.png")
    run_bench(tmp_path, tmp_path / "few", "--metrics", "psnr-rgb", "--workers", "1")
    few = json.loads((tmp_path / "few" / "jpeg.json").read_text())
    assert set(few["results"]) == {"bpp", "psnr-rgb"}
    run_bench(tmp_path, tmp_path / "few", "--workers", "1")
    every = (tmp_path / "few" / "jpeg.json").read_bytes()
    assert json.loads(every)["results"]["psnr-rgb"] == few["results"]["psnr-rgb"]
    run_bench(tmp_path, tmp_path / "few", "--metrics", "psnr-rgb", "--workers", "1")
    assert (tmp_path / "few" / "jpeg.json").read_bytes() == every


def test_a_codec_that_is_missing_is_named_and_left_out(tmp_path, monkeypatch):
    Image.fromarray(synthetic(170, 170)).save(tmp_path / "p.png")
    monkeypatch.setattr("bench.codecs.features.check", lambda library: library != "avif")
    options = ["--codecs", "jpeg", "--codecs", "avif", "--out", str(tmp_path / "out"), "--workers", "1"]
    result = CliRunner().invoke(main, [str(tmp_path), *options])
    assert result.exit_code == 0
    assert "avif is left out: this Pillow has no avif\n" in result.stderr
    assert not (tmp_path / "out" / "avif.json").exists()


def test_a_plugin_that_is_missing_is_named_and_left_out(tmp_path, monkeypatch):
    Image.fromarray(synthetic(170, 170)).save(tmp_path / "p.png")
    monkeypatch.setattr("bench.codecs.find_spec", lambda module: None)
    options = ["--codecs", "jpeg", "--codecs", "jpeg-xl", "--out", str(tmp_path / "out"), "--workers", "1"]
    result = CliRunner().invoke(main, [str(tmp_path), *options])
    assert result.exit_code == 0
    assert "jpeg-xl is left out: pillow-jxl-plugin is not installed\n" in result.stderr


def test_ssimulacra_falls_with_noise():
    a, rng = synthetic(180, 200), np.random.default_rng(0)
    noise = rng.normal(0, 1, a.shape)
    values = [ssimulacra2(Image.fromarray(a), Image.fromarray((a + s * noise).clip(0, 255).astype(np.uint8)))
              for s in (0, 3, 10, 30)]
    assert values[0] == pytest.approx(100)
    assert values == sorted(values, reverse=True)
