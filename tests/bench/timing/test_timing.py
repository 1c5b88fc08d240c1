"""Time and memory are those of the pictures named."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench.shared.codecs import the_codec
from bench.timing import compressai_models, large, speed
from convdraw_codec import Codec

from ..conftest import run


@pytest.fixture
def no_startup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "startup", lambda: {"import_s": 0.0, "load_model_s": 0.0})


@pytest.mark.usefixtures("processes")
def test_large() -> None:
    report = run(large.main, "--sides", "64,96")
    assert set(report) == {"64x64", "96x96"}
    assert report["96x96"]["bytes"] > report["64x64"]["bytes"]
    assert report["96x96"]["compress, peak memory in MB"] > 100
    assert report["64x64"]["decompress, seconds"] > 0


def test_runs_of_the_same_square_are_averaged() -> None:
    assert large.mean([{"seconds": 1.0}, {"seconds": 2.0}]) == {"seconds": 1.5}


def test_a_seam_is_measured(tmp_path: Path) -> None:
    original, decoded = np.full((1024, 2048, 3), 100, np.uint8), np.full((1024, 2048, 3), 100, np.uint8)
    decoded += np.random.default_rng(0).integers(0, 3, decoded.shape, np.uint8)
    paths = tmp_path / "a.ppm", tmp_path / "b.ppm"
    Image.fromarray(original).save(paths[0])
    Image.fromarray(decoded).save(paths[1])
    assert large.border_step(*paths) == pytest.approx(1, abs=0.05)
    decoded[256:] += 10  # where a strip begins
    Image.fromarray(decoded).save(paths[1])
    assert large.border_step(*paths) > 3


@pytest.fixture
def one_run(processes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once each, and with the processors that the tests have, unless in processes of their own."""
    if not processes:
        monkeypatch.setattr(speed, "RUNS", 1)
        monkeypatch.setattr("os.sched_setaffinity", lambda *_: None, raising=False)


@pytest.mark.usefixtures("one_run")
def test_speed(example: Path, processes: bool) -> None:
    report = run(speed.main, example, "--sizes", "64x48", "--threads", "1", "--codecs", "cdraw", "--codecs", "jpeg",
                 "--codecs", "webp")
    assert [row["codec"] for row in report["rows"]] == ["cdraw", "jpeg", "webp"]
    with Image.open(example) as image:
        data = (Codec() if processes else the_codec()).compress(image.convert("RGB").crop((0, 0, 64, 48)))
    first = report["rows"][0]
    assert first["bytes"] == len(data)
    assert first["size"] == [64, 48]
    assert 0 < first["memory_before_mb"] <= first["peak_memory_mb"]
    assert min(min(row["encode_s"], row["decode_s"]) for row in report["rows"]) > 0
    assert len(first["decode_steps_s"]) == 3
    assert first["bpp"] == pytest.approx(8 * len(data) / (64 * 48), abs=1e-4)
    assert 0 < first["kmac_per_pixel"]["encode"] < first["kmac_per_pixel"]["decode"]
    assert report["picture"] == "example.jpg"


@pytest.mark.usefixtures("no_startup")
def test_what_speed_cannot_measure_is_named(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressai_models, "find_spec", lambda module: None)
    result = CliRunner().invoke(speed.main, [str(example), "--sizes", "32x32", "--codecs", "cheng2020-anchor"])
    assert result.exit_code == 0
    assert result.stderr.count("cheng2020-anchor is left out: compressai is not installed\n") == 1
    assert json.loads(result.stdout)["rows"] == []


@pytest.mark.usefixtures("no_startup")
def test_a_codec_that_finds_no_memory_is_named(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failed(*_: object) -> None:
        raise RuntimeError("not enough memory")

    monkeypatch.setattr("bench.shared.parallel.in_own_process", failed)
    report = run(speed.main, example, "--sizes", "16x16", "--threads", "1", "--codecs", "jpeg")
    assert report["rows"][0]["left_out"] == "failed, as for want of memory"


@pytest.mark.usefixtures("one_run", "no_startup")
def test_speed_has_no_patience_with_a_slow_codec(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not tried on larger pictures, and the report says so."""
    monkeypatch.setattr(speed, "PATIENCE", 0)
    report = run(speed.main, example, "--sizes", "16x16,24x16,16x16", "--threads", "1", "--codecs", "jpeg")
    assert ["left_out" in row for row in report["rows"]] == [False, True, False]
    assert report["rows"][1]["size"] == [24, 16]


@pytest.mark.parametrize("options", [("--threads", "0"), ("--sizes", "0x8"), ("--sizes", "8"), ("--threads", "9999")])
def test_sizes_and_threads_that_make_no_sense(options: tuple[str, str]) -> None:
    assert CliRunner().invoke(speed.main, options).exit_code == 2
