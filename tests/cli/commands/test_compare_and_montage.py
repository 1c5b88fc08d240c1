"""``cdraw compare`` and ``cdraw montage``: what is measured, and what is drawn."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from convdraw_codec.pictures.metrics import psnr, ssimulacra2

from ...conftest import synthetic
from ..runner import MODEL, assert_fails, opened, run


def test_comparing(folder: Path) -> None:
    """PSNR by its formula; MS-SSIM where it can be taken."""
    run("decompress", "in.cdr", "-o", "back.png", *MODEL)
    first, second = (np.asarray(opened(name), float) for name in ("in.png", "back.png"))
    expected = 10 * np.log10(255**2 / np.square(first - second).mean())
    similarity = ssimulacra2(opened("in.png"), opened("back.png"))
    result = run("compare", "in.png", "in.cdr", "back.png", "in.png", *MODEL)
    size, lines = Path("in.cdr").stat().st_size, result.stdout.splitlines()
    assert lines[0] == (f"in.cdr: {size:,} bytes, {8 * size / 768:.3f} bpp, PSNR {expected:.2f} dB, "
                        f"MS-SSIM needs 161 pixels on each side, SSIMULACRA 2 {similarity:.2f}")
    assert f"PSNR {expected:.2f} dB" in lines[1]
    assert "PSNR inf dB" in lines[2]
    Image.fromarray(synthetic(161, 170)).save("large.png")
    assert run("compare", "large.png", "large.png", *MODEL).stdout.endswith("MS-SSIM 1.0000, SSIMULACRA 2 100.00\n")
    assert_fails(run("compare", "in.png", "large.png", *MODEL), "large.png", "170x161 pixels, and the original 32x24")
    assert_fails(run("compare", "in.png", "absent.png", *MODEL), "absent.png")


def test_comparing_as_json(folder: Path) -> None:
    """A line for each file, with null where there is no number."""
    Image.fromarray(synthetic(161, 170)).save("large.png")
    Image.fromarray(synthetic(161, 170, 1)).save("other.png")
    result = run("compare", "large.png", "large.png", "other.png", "--json")
    same, different = map(json.loads, result.stdout.splitlines())
    size = Path("large.png").stat().st_size
    assert same == {"file": "large.png", "bytes": size, "bpp": 8 * size / (161 * 170), "psnr": None, "ms_ssim": 1.0,
                    "ssimulacra2": 100.0}
    assert different["psnr"] == psnr(opened("large.png"), opened("other.png"))
    assert different["ms_ssim"] < 1
    assert json.loads(run("compare", "in.png", "in.png", "--json").stdout)["ms_ssim"] is None


def test_comparing_without_the_packages_of_metrics(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(synthetic(161, 170)).save("large.png")
    for package in ("pytorch_msssim", "ssimulacra2"):
        monkeypatch.setitem(sys.modules, package, None)
    advice = "needs pip install 'cdraw[compare]'"
    assert run("compare", "large.png", "large.png").stdout.endswith(f"MS-SSIM {advice}, SSIMULACRA 2 {advice}\n")


def test_comparing_a_picture_that_was_not_turned(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(synthetic(24, 32)).save("turned.jpg", exif=exif)
    run("compress", "turned.jpg", "-o", "kept.cdr", "--keep-orientation", *MODEL)
    run("compress", "turned.jpg", "-o", "turned.cdr", *MODEL)
    kept, turned = run("compare", "turned.jpg", "kept.cdr", "turned.cdr", *MODEL).stdout.splitlines()
    qualities = [float(line.partition("PSNR ")[2].split()[0]) for line in (kept, turned)]
    assert min(qualities) > 25


def test_a_montage(folder: Path) -> None:
    result = run("montage", "in.png", "-o", "strip.png", "--steps", "1,3,7", "--width", "64", *MODEL)
    assert result.stderr == "Drew 256x82 pixels\n"
    strip = opened("strip.png")
    assert strip.width == 4 * 64
    shown = strip.crop((0, 0, 64, 48))
    expected = opened(io.BytesIO(run("decompress", "in.cdr", "--steps", "1", "-o", "-", *MODEL).stdout_bytes))
    assert shown.tobytes() == expected.resize((64, 48), Image.Resampling.LANCZOS).tobytes()
    last = strip.crop((3 * 64, 0, 4 * 64, 48))
    assert last.tobytes() == opened("in.png").resize((64, 48), Image.Resampling.LANCZOS).tobytes()
    assert len(strip.crop((0, 48, 64, strip.height)).getcolors() or ()) > 1  # a caption
    crop = ("--width", "32", "--crop", "0,8,16,24")
    assert run("montage", "in.cdr", "-o", "cuts.png", "--steps", "1", *crop, *MODEL).exit_code == 0
    expected = expected.crop((0, 8, 16, 24)).resize((32, 32), Image.Resampling.LANCZOS)
    assert opened("cuts.png").crop((0, 0, 32, 32)).tobytes() == expected.tobytes()
    assert_fails(run("montage", "in.png", "-o", "strip.png", *MODEL), "strip.png exists")


def test_a_montage_of_plausible_pictures(folder: Path) -> None:
    draw = ("montage", "in.png", "-o", "sheet.png", "--steps", "1,3", "--seeds", "2", "--width", "32", *MODEL)
    assert run(*draw).exit_code == 0
    sheet = opened("sheet.png")
    assert sheet.width == 4 * 32  # the likeliest, two seeds, the original
    for row, steps in enumerate(("1", "3")):
        for seed in range(2):
            run("decompress", "in.cdr", "-o", "p.png", "--force", "--steps", steps, "--fill", "plausible",
                "--seed", str(seed), *MODEL)
            left, top = 32 * (seed + 1), row * sheet.height // 2
            assert sheet.crop((left, top, left + 32, top + 24)).tobytes() == opened("p.png").tobytes()


def test_a_part_of_a_turned_picture(folder: Path) -> None:
    """Parts are those of what is shown."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(synthetic(24, 32)).save("turned.jpg", exif=exif)
    run("compress", "turned.jpg", "-o", "turned.cdr", "--keep-orientation", *MODEL)
    draw = ("montage", "turned.cdr", "-o", "strip.png", "--width", "24", "--steps", "1", *MODEL)
    assert_fails(run(*draw, "--crop", "0,0,32,24"), "--crop", "24x32", code=2)
    assert run(*draw, "--crop", "0,0,24,32").exit_code == 0
    shown = opened("strip.png").crop((0, 0, 24, 32))
    run("decompress", "turned.cdr", "-o", "back.png", "--steps", "1", *MODEL)
    assert shown.tobytes() == ImageOps.exif_transpose(opened("back.png")).tobytes()


@pytest.mark.parametrize("options", [("--steps", "8"), ("--steps", "1,x"), ("--crop", "0,0,40,10"),
                                     ("--crop", "1,2,3")])
def test_montages_that_make_no_sense(folder: Path, options: tuple[str, ...]) -> None:
    assert_fails(run("montage", "in.png", "-o", "strip.png", *options, *MODEL), options[0], code=2)
    assert not Path("strip.png").exists()


def test_a_montage_of_less_than_a_step(folder: Path) -> None:
    run("compress", "in.png", "-o", "one.cdr", "--steps", "1", *MODEL)
    size = Path("one.cdr").stat().st_size - 12
    run("truncate", "one.cdr", "-o", "cut.cdr", "--size", str(size))
    assert_fails(run("montage", "cut.cdr", "-o", "strip.png", *MODEL), "cut.cdr", "a whole step")


def test_a_montage_that_would_be_far_too_tall(folder: Path) -> None:
    Image.new("L", (1, 60_000)).save("tall.png")
    assert_fails(run("montage", "tall.png", "-o", "strip.png", "--width", "2000", *MODEL), "tall.png", "too large")
