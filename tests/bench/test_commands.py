"""The commands of the bench run, and what they print agrees with the files that it is about."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench import budgets, fills, grey, large, likelihood, lossless, paper_figures, same_size, soak, speed, verify
from bench.pictures import mirrored, opened
from convdraw_codec import Codec, truncate
from convdraw_codec.format.bitstream import HEADER_BYTES
from convdraw_codec.generative.weights import new_model, save_generative
from convdraw_codec.pictures.metrics import psnr

from ..conftest import synthetic
from ..tiny import TINY_MODEL


@pytest.fixture
def pictures(tmp_path):
    """A folder with two."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(2):
        Image.fromarray(synthetic(48, 64, seed)).save(folder / f"{seed}.png")
    return folder


def run(command, *arguments):
    """Its standard output, as JSON where it is."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout) if result.stdout.startswith("{") else result.stdout


def test_budgets(pictures, monkeypatch):
    monkeypatch.setattr(budgets, "map_images", lambda work, images, workers, label: map(work, images))
    monkeypatch.setattr(budgets, "SMALLEST", 200)
    monkeypatch.setattr(budgets, "LARGEST", 3000)
    report = run(budgets.main, pictures, "--count", 4)
    assert report["images"] == 2
    assert 0 <= report["share of a budget left"]["mean"] < 0.02


def test_a_budget_that_is_not_kept_is_reported(monkeypatch):
    image = Image.fromarray(synthetic(48, 64))
    data = budgets.the_codec().compress(image)
    monkeypatch.setattr(budgets, "truncate", lambda data, size: truncate(data, size=3000 - size))
    failures, _ = budgets.check_budgets(image, data, [1200, 1800], "p.png")
    assert [failure.partition(":")[0].partition(",")[0] for failure in failures] == ["p.png"] * 2
    assert "1800 bytes for a budget of 1200" in failures[0]
    assert "dB with fewer" in failures[1]


def test_lossless(pictures, monkeypatch):
    monkeypatch.setattr(lossless, "map_images", lambda work, images, workers, label: map(work, images))
    report = run(lossless.main, pictures, "--random", 3)
    assert report["failures"] == []
    assert set(report["each"]) == {"0.png", "1.png"}
    mean = report["mean bytes"]
    assert mean["cdraw"] > mean["cdraw, steps of the model"]
    assert report["cdraw against"]["png"] == f"{100 * (mean['cdraw'] / mean['png'] - 1):+.1f} %"


def test_a_picture_that_came_back_changed_is_reported(pictures, monkeypatch):
    monkeypatch.setattr(lossless, "map_images", lambda work, images, workers, label: map(work, images))
    codec = lossless.the_codec()
    monkeypatch.setattr(codec, "compress", lambda image, lossless: Codec.compress(codec, image))
    result = CliRunner().invoke(lossless.main, [str(pictures), "--random", "1"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["failures"] == ["0.png", "1.png", "random 0"]


def test_grey(pictures, monkeypatch):
    monkeypatch.setattr(grey, "map_images", lambda work, images, workers, label: map(work, images))
    shares = run(grey.main, pictures)["grey bytes over colour bytes at equal grey PSNR"]
    assert 0.1 < shares["mean"] <= shares["largest"] < 1


def test_same_size(tmp_path, monkeypatch):
    monkeypatch.setattr(same_size, "map_images", lambda work, images, workers, label: map(work, images))
    Image.fromarray(synthetic(176, 192)).save(tmp_path / "0.png")
    report = run(same_size.main, tmp_path)
    assert set(report["BD-rate of cdraw"]) == {"psnr-rgb", "ms-ssim-rgb"}
    row, image = report["at rates that all pictures have"][3], opened(tmp_path / "0.png")
    cut = truncate(Codec().compress(image), size=round(row["bpp"] * 176 * 192 / 8))
    assert row["psnr-rgb"]["cdraw"] == pytest.approx(psnr(image, Codec().decompress(cut)), abs=1e-3)
    better = row["psnr-rgb"]["cdraw"] > row["psnr-rgb"]["jpeg2000"]
    assert row["psnr-rgb"]["pictures that cdraw shows better"] == better


def test_the_same_size_of_a_codec_that_is_always_better():
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


def test_fills(pictures, monkeypatch):
    monkeypatch.setattr(fills, "map_images", lambda work, images, workers, label: map(work, images))
    report = run(fills.main, pictures)
    codec, images = Codec(), [opened(pictures / f"{i}.png") for i in range(2)]
    assert report["images"] == 2
    assert len(report["gain by retouch"]) == codec.total_steps
    assert report["gain by mean"][-1] == 0  # nothing is missing
    bare = [psnr(image, codec.decompress(codec.compress(image, 3), fill="none")) for image in images]
    assert report["psnr of the canvas"][2] == pytest.approx(np.mean(bare), abs=1e-3)


def test_verify(pictures, monkeypatch):
    """With a model that has other steps; an estimate of the rate that is wrong is noticed."""
    monkeypatch.setattr(verify, "map_images", lambda work, images, workers, label: map(work, images))
    monkeypatch.setattr(verify, "estimate", lambda codec, image: 1.0)
    result = CliRunner().invoke(verify.main, [str(pictures), "--model", str(TINY_MODEL)])
    assert result.exit_code == 1
    failures = json.loads(result.stdout)["failures"]
    assert any("of the estimate" in failure for failure in failures)
    assert not any("prediction" in failure or "differs" in failure for failure in failures)


def test_large():
    report = run(large.main, "--sides", "64,96")
    assert set(report) == {"64x64", "96x96"}
    assert report["96x96"]["bytes"] > report["64x64"]["bytes"]
    assert report["96x96"]["compress, peak memory in MB"] > 100
    assert report["64x64"]["decompress, seconds"] > 0


def test_runs_of_the_same_square_are_averaged():
    assert large.mean([{"seconds": 1.0}, {"seconds": 2.0}]) == {"seconds": 1.5}


def test_a_seam_is_measured(tmp_path):
    original, decoded = np.full((1024, 2048, 3), 100, np.uint8), np.full((1024, 2048, 3), 100, np.uint8)
    decoded += np.random.default_rng(0).integers(0, 3, decoded.shape, np.uint8)
    paths = tmp_path / "a.ppm", tmp_path / "b.ppm"
    Image.fromarray(original).save(paths[0])
    Image.fromarray(decoded).save(paths[1])
    assert large.border_step(*paths) == pytest.approx(1, abs=0.05)
    decoded[:, 1024:] += 10
    Image.fromarray(decoded).save(paths[1])
    assert large.border_step(*paths) > 3


def test_speed(example):
    report = run(speed.main, example, "--sizes", "64x48", "--threads", "1", "--codecs", "cdraw", "--codecs", "jpeg",
                 "--codecs", "webp")
    assert [row["codec"] for row in report["rows"]] == ["cdraw", "jpeg", "webp"]
    with Image.open(example) as image:
        data = Codec().compress(image.convert("RGB").crop((0, 0, 64, 48)))
    first = report["rows"][0]
    assert first["bytes"] == len(data)
    assert first["size"] == [64, 48]
    assert 0 < first["memory_before_mb"] <= first["peak_memory_mb"]
    assert min(min(row["encode_s"], row["decode_s"]) for row in report["rows"]) > 0
    assert len(first["decode_steps_s"]) == 3
    assert first["bpp"] == pytest.approx(8 * len(data) / (64 * 48), abs=1e-4)
    assert 0 < first["kmac_per_pixel"]["retouch"] < first["kmac_per_pixel"]["decode"]
    assert report["picture"] == "example.jpg"


def test_what_speed_cannot_measure_is_named(example, monkeypatch):
    monkeypatch.setattr(speed.compressai_models, "find_spec", lambda module: None)
    result = CliRunner().invoke(speed.main, [str(example), "--sizes", "32x32", "--codecs", "cheng2020-anchor"])
    assert result.exit_code == 0
    assert result.stderr.count("cheng2020-anchor is left out: compressai is not installed\n") == 1
    assert json.loads(result.stdout)["rows"] == []


def test_a_codec_that_finds_no_memory_is_named(example, monkeypatch):
    class Failed:
        def result(self):
            raise RuntimeError("not enough memory")

    monkeypatch.setattr(speed.ProcessPoolExecutor, "submit", lambda *_: Failed())
    report = run(speed.main, example, "--sizes", "16x16", "--threads", "1", "--codecs", "jpeg")
    assert report["rows"][0]["left_out"] == "failed, as for want of memory"


def test_speed_has_no_patience_with_a_slow_codec(example, monkeypatch):
    """It is not tried on larger pictures, and the report says so."""
    monkeypatch.setattr(speed, "PATIENCE", 0)
    report = run(speed.main, example, "--sizes", "16x16,24x16,16x16", "--threads", "1", "--codecs", "jpeg")
    assert ["left_out" in row for row in report["rows"]] == [False, True, False]
    assert report["rows"][1]["size"] == [24, 16]


@pytest.mark.parametrize(("width", "height"), [(30, 20), (100, 70), (300, 50)])
def test_a_picture_mirrored_to_any_size(example, width, height):
    image = mirrored(example, width, height)
    assert image.size == (width, height)
    with Image.open(example) as opened:
        size = min(width, opened.width), min(height, opened.height)
        assert image.crop((0, 0, *size)).tobytes() == opened.convert("RGB").crop((0, 0, *size)).tobytes()


@pytest.mark.parametrize("options", [("--threads", "0"), ("--sizes", "0x8"), ("--sizes", "8"), ("--threads", "9999")])
def test_sizes_and_threads_that_make_no_sense(options):
    assert CliRunner().invoke(speed.main, options).exit_code == 2


def test_soak(monkeypatch):
    monkeypatch.setattr(soak, "LARGEST_SIDE", 60)
    report = run(soak.main, "--minutes", 0.03)
    assert report["failures"] == []
    assert report["files"] == 3 * report["rounds"] > 0
    assert report["bytes"] > HEADER_BYTES * report["files"]


def test_soak_notices_a_wrong_picture(monkeypatch):
    monkeypatch.setattr(soak, "LARGEST_SIDE", 60)
    different = iter(range(10**9))
    monkeypatch.setattr(soak, "digest", lambda picture: next(different))
    result = CliRunner().invoke(soak.main, ["--minutes", "0.01"])
    assert result.exit_code == 1
    assert "not what was predicted" in result.stdout
    assert "paths disagree" in result.stdout


def test_figure_1(pictures, tmp_path):
    run(paper_figures.main, "fills", pictures, "--columns", 3, "--out", tmp_path)
    numbers = json.loads((tmp_path / "fills.json").read_text())
    assert [n["steps"] for n in numbers[:3]] == [1, 13, 25]
    codec, image = Codec(), opened(pictures / "1.png")
    data = codec.compress(image)
    last = numbers[-2]  # 13 steps, sampled
    assert last["bytes"] == len(truncate(data, 13))
    assert last["psnr"] == pytest.approx(psnr(image, codec.decompress(data, 13, "sample")), abs=1e-3)
    assert opened(tmp_path / "fills.png").size[0] > 300


def test_figure_2(pictures, tmp_path):
    run(paper_figures.main, "bits", pictures, "--model", TINY_MODEL, "--out", tmp_path)
    numbers = json.loads((tmp_path / "bits.json").read_text())
    sizes = [len(Codec(TINY_MODEL).compress(pictures / f"{i}.png")) for i in range(2)]
    assert sum(numbers["bits per pixel"]) == pytest.approx(8 * np.mean(sizes) / (48 * 64), abs=1e-4)
    assert numbers["layer"] == [1, 1, 2, 1, 2, 2, 1]


@pytest.mark.parametrize("sheet", [True, False])
def test_figure_3(pictures, tmp_path, monkeypatch, sheet):
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
    ours = [n["psnr"] for n in numbers if n["method"] == "cdraw, retouched"]
    assert ours == sorted(ours)
    assert len(ours) == 2


def test_a_sheet_that_is_too_small(tmp_path):
    Image.fromarray(synthetic(64, 320)).save(tmp_path / "sheet.png")
    result = CliRunner().invoke(paper_figures.main, ["small", str(tmp_path / "sheet.png"), "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "at least 320x320" in result.output


@pytest.mark.parametrize("figure", ["fills", "bits", "small"])
def test_a_folder_without_pictures(tmp_path, figure):
    result = CliRunner().invoke(paper_figures.main, [figure, str(tmp_path), "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "no pictures there" in result.output


def test_the_effect_of_lambda(pictures, tmp_path):
    run(paper_figures.main, "tradeoff", pictures / "0.png", TINY_MODEL, TINY_MODEL, "--size", 900, "--out", tmp_path)
    numbers = json.loads((tmp_path / "tradeoff.json").read_text())
    assert numbers[0] == numbers[2]
    assert numbers[1]["bytes"] <= 900
    assert numbers[0]["steps"] == 3
    assert numbers[0]["picture"] == "0.png"


@pytest.mark.parametrize("name", ["one layer", "attention"])
def test_likelihood(tmp_path, name, monkeypatch):
    """The report adds up, and the pictures are there."""
    from ..generative.test_generative import BITS, CONFIGS, write_bits

    write_bits(tmp_path / "bits.npz")
    save_generative(new_model(CONFIGS[name]), CONFIGS[name], tmp_path / "m.safetensors")
    arguments = tmp_path / "m.safetensors", tmp_path / "bits.npz", "--bits-back", 4, "--out", tmp_path
    said = run(likelihood.main, *arguments, "--draws", 3)
    report = json.loads((tmp_path / "m.json").read_text())
    assert f"{report['nats']} nats" in said
    bits = np.array(json.loads((tmp_path / "m-steps.json").read_text())["bits by step and layer, from the top"])
    assert report["pictures"] == 8
    assert report["nats"] == pytest.approx(report["reconstruction"] + bits.sum() * np.log(2), abs=0.01)
    assert report["bits per dimension"] == pytest.approx(report["nats"] / np.log(2) / BITS.dimensions, abs=1e-4)
    assert report["bits-back"]["exact"]
    assert opened(tmp_path / "m-samples.png").size == (10 * 13, 10 * 9)
    assert (tmp_path / "m-drawing.png").exists() == (name == "attention")
    monkeypatch.setattr(likelihood, "BATCH", 3)
    reports = []
    for jobs in (1, 3):
        run(likelihood.main, *arguments, "--refine", 2, "--jobs", jobs)
        reports.append((tmp_path / "m-refined.json").read_text())
    assert reports[0] == reports[1]
    refined = json.loads(reports[0])
    assert refined["bits-back"]["exact"]
    assert [one["updates of posteriors"] for one in (report, refined)] == [0, 2]
