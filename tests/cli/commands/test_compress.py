"""``cdraw compress``: budgets, and what goes along."""

import re
from pathlib import Path

import pytest
from PIL import Image

from convdraw_codec.pictures.metrics import psnr

from ...conftest import synthetic
from ..runner import MODEL, assert_fails, opened, run


def test_what_a_conversion_loses_is_said_in_one_line(folder: Path) -> None:
    Image.fromarray(synthetic(9, 9)).convert("CMYK").save("inks.tif")
    result = run("compress", "inks.tif", *MODEL)
    assert result.stderr.splitlines()[0] == "inks.tif: not kept: the separation into CMYK"


def test_alpha_and_metadata_go_along(folder: Path) -> None:
    image = Image.fromarray(synthetic(9, 9)).convert("RGBA")
    image.putpixel((3, 3), (9, 9, 9, 77))
    image.save("a.png", icc_profile=b"a profile")
    run("compress", "a.png", *MODEL)
    run("decompress", "a.cdr", "-o", "back.png", *MODEL)
    back = opened("back.png")
    assert (back.mode, back.getpixel((3, 3))[3], back.info["icc_profile"]) == ("RGBA", 77, b"a profile")
    run("compress", "a.png", "-f", "--drop-alpha", "--strip", *MODEL)
    run("decompress", "a.cdr", "-f", "-o", "back.png", *MODEL)
    assert (opened("back.png").mode, "icc_profile" in opened("back.png").info) == ("RGB", False)


def test_orientation_may_be_kept(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(synthetic(24, 32)).save("turned.jpg", exif=exif)
    for options, size in (((), "24x32"), (("--keep-orientation",), "32x24")):
        assert run("compress", "turned.jpg", "-o", "turned.cdr", "--force", *options, *MODEL).exit_code == 0
        assert size in run("info", "turned.cdr").stdout


def test_damaged_exif_is_named_and_costs_no_picture(folder: Path) -> None:
    image = Image.fromarray(synthetic(24, 32))
    image.save("odd.png", exif=b"Exif\0\0II*\0\x08\0\0")
    result = run("compress", "odd.png", "-o", "odd.cdr", *MODEL)
    assert (result.exit_code, "EXIF is damaged" in result.stderr) == (0, True)
    assert run("compare", "odd.png", "odd.cdr", *MODEL).exit_code == 0
    assert run("montage", "odd.png", "-o", "strip.png", *MODEL).exit_code == 0


@pytest.mark.parametrize(("option", "value", "bytes_"), [("--size", "175", 175), ("--size", "0.18KB", 180),
                                                         ("--size", "0.16 KiB", 163), ("--bpp", "1.9", 182)])
def test_budgets(folder: Path, option: str, value: str, bytes_: int) -> None:
    """Compressing to a budget, and cutting to it, give the same file, just below it."""
    result = run("compress", "in.png", "-o", "a.cdr", option, value, *MODEL)
    data = Path("a.cdr").read_bytes()
    assert bytes_ - 8 <= len(data) <= bytes_
    assert re.search(r"\d\+ of 7 steps", result.stderr)
    assert run("truncate", "in.cdr", "-o", "b.cdr", option, value).exit_code == 0
    assert Path("b.cdr").read_bytes() == data
    assert run("decompress", "a.cdr", "-o", "a.png", *MODEL).exit_code == 0
    assert "a part of it" in run("info", "a.cdr", "-v").stdout


def test_a_budget_in_decibels(folder: Path) -> None:
    assert run("compress", "in.png", "-o", "a.cdr", "--psnr", "22", *MODEL).exit_code == 0
    assert Path("a.cdr").stat().st_size < Path("in.cdr").stat().st_size


@pytest.mark.parametrize("budgets", [("--steps", "2", "--size", "300"), ("--size", "2 parsecs"), ("--size", "0"),
                                     ("--bpp", "0")])
def test_budgets_that_make_no_sense(folder: Path, budgets: tuple[str, ...]) -> None:
    assert run("compress", "in.png", "-o", "a.cdr", *budgets, *MODEL).exit_code == 2
    assert_fails(run("compress", "in.png", "-o", "a.cdr", "--size", "30", *MODEL), "in.png", "cannot be cut to 30")
    assert not Path("a.cdr").exists()


def test_decibels_that_cannot_be_had(folder: Path) -> None:
    result = run("compress", "in.png", "-o", "out.cdr", "--psnr", "99", *MODEL)
    assert result.exit_code == 0
    assert "in.png: all steps together give less than 99 decibels" in result.stderr


@pytest.mark.parametrize(("option", "value"), [("--bpp", "nan"), ("--bpp", "inf"), ("--bpp", "1e308"),
                                               ("--psnr", "nan"), ("--size", "9" * 400), ("--bpp", "-1"),
                                               ("--size", "12 parsecs")])
def test_budgets_that_are_no_numbers(folder: Path, option: str, value: str) -> None:
    assert_fails(run("compress", "in.png", "-o", "out.cdr", option, value, *MODEL), option, code=2)
    assert not Path("out.cdr").exists()


def test_the_decibels_that_were_reached_are_told(folder: Path) -> None:
    result = run("compress", "in.png", "-o", "a.cdr", "--psnr", "22", *MODEL)
    run("decompress", "a.cdr", "-o", "back.png", *MODEL)
    assert result.stderr.endswith(f" {psnr(opened('in.png'), opened('back.png')):.2f} dB)\n")
    assert "dB" not in run("compress", "in.png", "-o", "b.cdr", *MODEL).stderr


def test_a_result_that_is_larger_than_the_input_is_told(folder: Path) -> None:
    Image.new("RGB", (64, 48), "navy").save("flat.png")
    result = run("compress", "flat.png", "in.png", "-o", "out/", *MODEL)
    assert "flat.png: the result is larger than the input" in result.stderr
    assert "in.png: the result" not in result.stderr


def test_how_many_pixels_are_allowed(folder: Path) -> None:
    allowed = ["--max-pixels", "50", *MODEL]
    Image.fromarray(synthetic(8, 6)).save("small.png")
    assert run("compress", "small.png", "-o", "small.cdr", *allowed[:1], "48", *MODEL).exit_code == 0
    assert_fails(run("compress", "in.png", "-o", "out.cdr", *allowed), "more than the 50 pixels allowed: --max-pixels")
    assert_fails(run("decompress", "in.cdr", "-o", "out.png", *allowed), "more than the 50 allowed: --max-pixels")


def test_a_page(folder: Path) -> None:
    pages = [Image.fromarray(synthetic(24, 32, seed)) for seed in range(2)]
    pages[0].save("pages.tif", save_all=True, append_images=pages[1:])
    pages[1].save("second.png")
    assert_fails(run("compress", "pages.tif", *MODEL), "pages.tif", "2 pages", "--page")
    assert_fails(run("compress", "pages.tif", "--page", "3", *MODEL), "no page 3")
    assert run("compress", "pages.tif", "--page", "2", *MODEL).exit_code == 0
    assert run("compress", "second.png", *MODEL).exit_code == 0
    assert Path("pages.cdr").read_bytes() == Path("second.cdr").read_bytes()
    assert_fails(run("compress", "in.png", "--max-pixels", "9", "-o", "x.cdr", *MODEL), "in.png", "--max-pixels allows")
