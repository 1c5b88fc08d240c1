"""The command line: what a person sees, and what is left on disk when something is wrong."""

import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image, ImageOps

from convdraw_codec import __version__, truncate
from convdraw_codec.cli.commands import main
from convdraw_codec.format import bitstream

from ..conftest import synthetic
from ..tiny import TINY_MODEL

MODEL = ("--model", str(TINY_MODEL))


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder to work in, with a picture and its compressed form."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(synthetic(24, 32)).save("in.png")
    assert run("compress", "in.png", "-o", "in.cdr", *MODEL).exit_code == 0
    return tmp_path


def run(*arguments: str, input: bytes | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=input)


def opened(file) -> Image.Image:
    """The picture in a file, which is closed again."""
    with Image.open(file) as image:
        image.load()
        return image.copy()


def assert_fails(result: Result, *words: str, code: int = 1) -> None:
    """One sentence on standard error that has the words, no traceback."""
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    message = result.stderr.strip().splitlines()[-1]
    assert message.startswith("cdraw: error: " if code == 1 else "Error: ")
    assert len(result.stderr.strip().splitlines()) == 1 or code == 2
    for word in words:
        assert word in message


def test_there_and_back(folder):
    result = run("compress", "in.png", "-o", "out.cdr", "--steps", "3", *MODEL)
    size = Path("out.cdr").stat().st_size
    assert result.stderr == f"Compressed to {size:,} bytes ({8 * size / 768:.3f} bpp, 3 of 7 steps)\n"
    result = run("decompress", "out.cdr", "-o", "out.png", *MODEL)
    assert result.stderr == "Decompressed 32x24 RGB from 3 of 7 steps\n"
    assert result.stdout == ""
    assert opened("out.png").size == (32, 24)


def test_default_names_and_quiet(folder):
    Path("in.cdr").unlink()
    assert run("compress", "in.png", "-q", *MODEL).output == ""
    Path("in.png").unlink()
    assert run("decompress", "in.cdr", "-q", *MODEL).output == ""
    assert opened("in.png").size == (32, 24)


def test_pipes(folder):
    packed = run("compress", "-", *MODEL, input=Path("in.png").read_bytes())
    assert packed.stdout_bytes == Path("in.cdr").read_bytes()
    cut = run("truncate", "-", "-o", "-", "--steps", "2", input=packed.stdout_bytes)
    assert cut.stdout_bytes == truncate(packed.stdout_bytes, 2)
    unpacked = run("decompress", "-", *MODEL, input=cut.stdout_bytes)
    assert opened(io.BytesIO(unpacked.stdout_bytes)).size == (32, 24)
    assert "from 2 of 7 steps" in unpacked.stderr


def test_a_dash_is_standard_input_though_a_file_has_that_name(folder):
    for name in ("-", "in.cdr"):
        Path(name).unlink(missing_ok=True)
    picture = Path("in.png").read_bytes()
    Path("-").write_bytes(b"no picture")
    packed = run("compress", "-", *MODEL, input=picture)
    assert packed.exit_code == 0, packed.stderr
    Path("-").unlink()
    Path("-").mkdir()
    assert run("compress", "-", *MODEL, input=picture).stdout_bytes == packed.stdout_bytes
    Path("-").rmdir()
    Path("-").write_bytes(picture)
    assert run("compress", "./-", "-o", "./-.cdr", *MODEL, input=b"no picture").exit_code == 0
    assert run("compress", "./-", "in.png", "-o", "out/", *MODEL, input=b"no picture").exit_code == 0
    assert Path("out/-.cdr").read_bytes() == Path("-.cdr").read_bytes() == packed.stdout_bytes


def test_info(folder):
    result = run("info", "in.cdr", "-v")
    assert re.match(r"in\.cdr: 32x24 RGB, [\d,]+ bytes \(\d+\.\d{3} bpp, 7 of 7 steps\), model [0-9a-f]{16}\n",
                    result.stdout)
    assert len(result.stdout.splitlines()) == 8


def test_truncate(folder):
    result = run("truncate", "in.cdr", "-o", "cut.cdr", "--steps", "4")
    assert Path("cut.cdr").read_bytes() == truncate(Path("in.cdr").read_bytes(), 4)
    assert result.stderr.startswith("Cut to ")
    assert_fails(run("truncate", "cut.cdr", "-o", "x.cdr", "--steps", "5"), "cut.cdr", "stores 4 whole steps")
    assert_fails(run("truncate", "cut.cdr", "--steps", "2"), code=2)


def test_steps_of_decompress_and_fill(folder):
    run("decompress", "in.cdr", "-o", "a.png", "--steps", "2", *MODEL)
    run("truncate", "in.cdr", "-o", "cut.cdr", "--steps", "2")
    run("decompress", "cut.cdr", "-o", "b.png", *MODEL)
    run("decompress", "cut.cdr", "-o", "c.png", "--fill", "sample", "--seed", "3", *MODEL)
    a, b, c = (np.asarray(opened(f"{n}.png")) for n in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(b, c)


def test_nothing_is_overwritten_without_force(folder):
    before = Path("in.cdr").read_bytes()
    assert_fails(run("compress", "in.png", "-o", "in.cdr", "--steps", "1", *MODEL), "in.cdr exists", "--force")
    assert Path("in.cdr").read_bytes() == before
    assert run("compress", "in.png", "-o", "in.cdr", "--steps", "1", "--force", *MODEL).exit_code == 0
    assert len(Path("in.cdr").read_bytes()) < len(before)


def test_what_a_conversion_loses_is_said_in_one_line(folder):
    Image.fromarray(synthetic(9, 9)).convert("CMYK").save("inks.tif")
    result = run("compress", "inks.tif", *MODEL)
    assert result.stderr.splitlines()[0] == "inks.tif: the separation into CMYK is not kept"


def test_alpha_and_metadata_go_along(folder):
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


@pytest.mark.parametrize(("option", "value", "bytes_"), [("--size", "125", 125), ("--size", "0.12KB", 120),
                                                         ("--size", "0.125 KiB", 128), ("--bpp", "1.3", 124)])
def test_budgets(folder, option, value, bytes_):
    """Compressing to a budget, and cutting to it, give the same file, just below it."""
    result = run("compress", "in.png", "-o", "a.cdr", option, value, *MODEL)
    data = Path("a.cdr").read_bytes()
    assert bytes_ - 8 <= len(data) <= bytes_
    assert re.search(r"\d\+ of 7 steps", result.stderr)
    assert run("truncate", "in.cdr", "-o", "b.cdr", option, value).exit_code == 0
    assert Path("b.cdr").read_bytes() == data
    assert run("decompress", "a.cdr", "-o", "a.png", *MODEL).exit_code == 0
    assert "a part of it" in run("info", "a.cdr", "-v").stdout


def test_follow_writes_a_picture_for_each_step(folder):
    result = run("decompress", "-", "-o", "out.png", "--follow", *MODEL, input=Path("in.cdr").read_bytes())
    assert result.exit_code == 0, result.stderr
    assert result.stderr.splitlines() == [f"out.png: step {step}" for step in range(1, 8)]
    assert run("decompress", "in.cdr", "-o", "whole.png", *MODEL).exit_code == 0
    assert opened("out.png").tobytes() == opened("whole.png").tobytes()
    Path("cut.cdr").write_bytes(Path("in.cdr").read_bytes()[:-3])
    result = run("decompress", "cut.cdr", "-o", "out.png", "--force", "--follow", *MODEL)
    assert result.exit_code == 1
    assert "out.png: step 6" in result.stderr
    assert "cut.cdr: it ends inside step 7 of 7" in result.stderr
    assert run("decompress", "in.cdr", "-o", "-", "--follow", *MODEL).exit_code == 2
    result = run("decompress", "cut.cdr", "-o", "out.png", "--force", "--follow", "--allow-truncated", *MODEL)
    assert result.exit_code == 0, result.stderr
    assert "cut.cdr: it ends inside step 7 of 7; out.png shows what came before" in result.stderr
    Path("cut.cdr").write_bytes(Path("in.cdr").read_bytes()[:40])
    for more in ((), ("--allow-truncated",)):
        result = run("decompress", "cut.cdr", "-o", "none.png", "--follow", *more, *MODEL)
        assert_fails(result, "cut.cdr", "it ends inside step 1 of 7")
        assert not Path("none.png").exists()


def test_a_budget_in_decibels(folder):
    assert run("compress", "in.png", "-o", "a.cdr", "--psnr", "22", *MODEL).exit_code == 0
    assert Path("a.cdr").stat().st_size < Path("in.cdr").stat().st_size


@pytest.mark.parametrize("budgets", [("--steps", "2", "--size", "300"), ("--size", "2 parsecs"), ("--size", "0"),
                                     ("--bpp", "0")])
def test_budgets_that_make_no_sense(folder, budgets):
    assert run("compress", "in.png", "-o", "a.cdr", *budgets, *MODEL).exit_code == 2
    assert_fails(run("compress", "in.png", "-o", "a.cdr", "--size", "30", *MODEL), "in.png", "cannot be cut to 30")
    assert not Path("a.cdr").exists()


def test_verbose_tells_the_size_of_every_cut(folder):
    lines = run("truncate", "in.cdr", "-o", "x.cdr", "--steps", "3", "-v").stderr.splitlines()
    assert len(lines) == 4
    assert lines[2].endswith(f"a file cut here has {Path('x.cdr').stat().st_size:,}")
    assert "model" in run("decompress", "x.cdr", "-o", "x.png", "-v", *MODEL).stderr.splitlines()[0]


def test_version_and_help(folder):
    assert run("--version").stdout == f"cdraw, version {__version__}\n"
    for command in main.commands:
        assert run(command, "--help").exit_code == 0


@pytest.mark.parametrize(("content", "words"), [
    (b"", "it is empty"),
    (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a .cdr file"),
    ("cut header", "inside its header"),
    ("cut", "ends inside step 7 of 7"),
    ("flip header", "header is damaged"),
    ("flip", "damaged (checksum mismatch)"),
    ("tail", "bytes follow its last step"),
])
@pytest.mark.parametrize("command", ["decompress", "truncate", "info"])
def test_damaged_files(folder, command, content, words):
    good = Path("in.cdr").read_bytes()
    flip = bytearray(good)
    flip[10 if content == "flip header" else 60] ^= 4
    data = {"cut header": good[:9], "cut": good[:-3], "tail": good + b"x"}.get(content, bytes(flip)) \
        if isinstance(content, str) else content
    Path("bad.cdr").write_bytes(data)
    options = {"decompress": ("-o", "out.png", *MODEL), "truncate": ("-o", "out.png", "--steps", "7"), "info": ()}
    assert_fails(run(command, "bad.cdr", *options[command]), "bad.cdr", words)
    assert not Path("out.png").exists()


def test_allow_truncated_says_how_many_steps(folder):
    Path("cut.cdr").write_bytes(Path("in.cdr").read_bytes()[:-3])
    assert_fails(run("decompress", "cut.cdr", "-o", "out.png", *MODEL), "--allow-truncated decodes the 6 whole steps")
    result = run("decompress", "cut.cdr", "-o", "out.png", "--allow-truncated", *MODEL)
    assert result.exit_code == 0
    assert "cut.cdr: it ends inside step 7 of 7; decoding its 6 whole steps" in result.stderr
    assert opened("out.png").size == (32, 24)


def test_a_file_of_another_model(folder):
    assert_fails(run("decompress", "in.cdr", "-o", "out.png"), "in.cdr", "decode it with the model that made it")
    assert not Path("out.png").exists()


def test_models_that_are_none(folder):
    Path("m.safetensors").write_bytes(b"nothing of the kind")
    for name in ("m.safetensors", "absent.safetensors"):
        assert_fails(run("compress", "in.png", "-o", "x.cdr", "--model", name), name)
    assert not Path("x.cdr").exists()


def test_inputs_that_are_none(folder):
    Path("text.png").write_text("hello")
    assert_fails(run("compress", "text.png", "-o", "x.cdr", *MODEL), "text.png", "no picture")
    assert_fails(run("compress", "absent.png", "-o", "x.cdr", *MODEL), "absent.png", "no such file")
    assert_fails(run("decompress", "absent.cdr", "-o", "x.png", *MODEL), "absent.cdr", "no such file")
    Path("half.png").write_bytes(Path("in.png").read_bytes()[:300])
    assert_fails(run("compress", "half.png", "-o", "x.cdr", *MODEL), "half.png")
    assert not list(folder.glob("x.*"))


def test_usage_errors(folder):
    assert_fails(run("compress", "in.png", "-o", "x.cdr", "--steps", "20", *MODEL), "has 7 steps", code=2)
    assert_fails(run("compress", "in.png", "-o", "x.cdr", "--steps", "0", *MODEL), code=2)
    assert_fails(run("decompress", "in.cdr", "-o", "x.what", *MODEL), "'.what'", code=2)


def test_a_folder_that_cannot_be_written(folder):
    assert_fails(run("compress", "in.png", "-o", "absent/x.cdr", *MODEL), "cannot write", "absent")
    assert_fails(run("truncate", "in.cdr", "-o", ".", "--steps", "1"), "cannot write", "folder")


def test_links_are_followed_and_devices_stay(folder):
    Path("real.cdr").write_bytes(b"old")
    Path("link.cdr").symlink_to("real.cdr")
    assert run("truncate", "in.cdr", "-o", "link.cdr", "--steps", "1", "--force").exit_code == 0
    assert Path("link.cdr").is_symlink()
    assert Path("real.cdr").read_bytes() == truncate(Path("in.cdr").read_bytes(), 1)
    assert run("truncate", "in.cdr", "-o", os.devnull, "--steps", "1", "--force").exit_code == 0
    assert not Path(os.devnull).is_file()


def test_a_format_that_cannot_hold_the_picture(folder):
    Image.fromarray(np.zeros((1, 17000), np.uint8)).save("wide.png")
    assert run("compress", "wide.png", "--steps", "1", *MODEL).exit_code == 0
    assert_fails(run("decompress", "wide.cdr", "-o", "wide.webp", *MODEL), "wide.webp")
    assert not Path("wide.webp").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_on_standard_output(folder):
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "convdraw_codec", "truncate", "in.cdr", "-o", "-", "--steps", "1"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert result.stderr == "cdraw: error: cannot write standard output: no space left on device\n"


def test_a_reduced_picture(folder):
    result = run("decompress", "in.cdr", "-o", "small.png", "--reduce", "4", *MODEL)
    assert result.stderr == "Decompressed 8x6 RGB from 7 of 7 steps\n"
    assert opened("small.png").size == (8, 6)


def test_orientation_may_be_kept(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(synthetic(24, 32)).save("turned.jpg", exif=exif)
    for options, size in (((), "24x32"), (("--keep-orientation",), "32x24")):
        assert run("compress", "turned.jpg", "-o", "turned.cdr", "--force", *options, *MODEL).exit_code == 0
        assert size in run("info", "turned.cdr").stdout


def test_xmp_comes_back_in_every_format(folder):
    xmp = "<x:xmpmeta>ä</x:xmpmeta>".encode()
    Image.fromarray(synthetic(24, 32)).save("meta.jpg", xmp=xmp)
    assert run("compress", "meta.jpg", "-o", "meta.cdr", *MODEL).exit_code == 0
    for name in ("back.png", "back.jpg", "back.webp"):
        assert run("decompress", "meta.cdr", "-o", name, *MODEL).exit_code == 0
        assert opened(name).info["xmp"] == xmp


@pytest.mark.parametrize(("options", "name"), [((), "out.webp"), (("--keep-orientation",), "out.tif")])
def test_formats_that_keep_it_in_their_way(folder, options, name):
    """An alpha channel without holes, and a picture that its EXIF turns."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(synthetic(24, 70)).convert("RGBA").save("other.png", exif=exif)
    assert run("compress", "other.png", "-o", "other.cdr", *options, *MODEL).exit_code == 0
    assert run("decompress", "other.cdr", "-o", name, *MODEL).exit_code == 0


@pytest.mark.parametrize(("mode", "name", "words"), [("RGBA", "out.bmp", "alpha"), ("RGBA", "out.ppm", "alpha"),
                                                     ("RGB", "out.ico", "pixels")])
def test_formats_that_lose_something(folder, mode, name, words):
    other = Image.fromarray(synthetic(24, 70)).convert(mode)
    if mode == "RGBA":
        other.putpixel((3, 3), (0, 0, 0, 0))
    other.save("other.png")
    assert run("compress", "other.png", "-o", "other.cdr", *MODEL).exit_code == 0
    assert_fails(run("decompress", "other.cdr", "-o", name, *MODEL), name, words)
    assert not Path(name).exists()


def test_permissions_stay(folder):
    Path("out.cdr").write_bytes(b"old")
    Path("out.cdr").chmod(0o600)
    assert run("compress", "in.png", "-o", "out.cdr", "--force", *MODEL).exit_code == 0
    assert Path("out.cdr").stat().st_mode & 0o777 == 0o600


def test_names_as_long_as_the_disk_takes(folder):
    name = f"{'写' * 83}a.cdr"  # 254 bytes
    assert run("compress", "in.png", "-o", name, *MODEL).exit_code == 0
    assert Path(name).read_bytes() == Path("in.cdr").read_bytes()
    assert sorted(path.name for path in Path().iterdir()) == ["in.cdr", "in.png", name]


def test_a_pipe_by_its_name(folder):
    program = [sys.executable, "-m", "convdraw_codec"]
    cut = subprocess.run([*program, "truncate", "in.cdr", "--steps", "1", "--force", "-o", "/dev/stdout"],
                         capture_output=True, check=True)
    assert cut.stdout == truncate(Path("in.cdr").read_bytes(), 1)


def test_decibels_that_cannot_be_had(folder):
    result = run("compress", "in.png", "-o", "out.cdr", "--psnr", "99", *MODEL)
    assert result.exit_code == 0
    assert "in.png: all steps together give less than 99 decibels" in result.stderr


@pytest.mark.parametrize(("command", "closed"), [
    (["info", "-"], "stdin"), (["decompress", "-", "-o", "out.png", "--follow"], "stdin"),
    (["truncate", "in.cdr", "--steps", "1", "-o", "-"], "stdout"),
])
def test_closed_standard_streams(folder, command, closed):
    shut = f"import sys; sys.{closed} = None; from convdraw_codec.cli.commands import main; main()"
    result = subprocess.run([sys.executable, "-c", shut, *command], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("cdraw: error: ")
    assert "it is closed" in result.stderr


def test_a_part_of_a_turned_picture(folder):
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


@pytest.mark.parametrize("suffix", [".tif", ".jpg", ".webp"])
def test_metadata_that_make_no_sense_are_a_failure_or_go_along(folder, suffix):
    contents = bitstream.read(Path("in.cdr").read_bytes())
    Path("bad.cdr").write_bytes(bitstream.write(replace(contents, chunks={"EXIF": b"Exif\0\0no TIFF"})))
    result = run("decompress", "bad.cdr", "-o", f"out{suffix}", *MODEL)
    if result.exit_code:
        assert_fails(result, f"out{suffix}")
    assert Path(f"out{suffix}").exists() == (result.exit_code == 0)


def test_comparing(folder):
    """PSNR by its formula; MS-SSIM where it can be taken."""
    run("decompress", "in.cdr", "-o", "back.png", *MODEL)
    first, second = (np.asarray(opened(name), float) for name in ("in.png", "back.png"))
    expected = 10 * np.log10(255**2 / np.square(first - second).mean())
    result = run("compare", "in.png", "in.cdr", "back.png", "in.png", *MODEL)
    size, lines = Path("in.cdr").stat().st_size, result.stdout.splitlines()
    assert lines[0] == (f"in.cdr: {size:,} bytes, {8 * size / 768:.3f} bpp, PSNR {expected:.2f} dB, "
                        "MS-SSIM needs 161 pixels on each side")
    assert f"PSNR {expected:.2f} dB" in lines[1]
    assert "PSNR inf dB" in lines[2]
    Image.fromarray(synthetic(161, 170)).save("large.png")
    assert run("compare", "large.png", "large.png", *MODEL).stdout.endswith("MS-SSIM 1.0000\n")
    assert_fails(run("compare", "in.png", "large.png", *MODEL), "large.png", "170x161 pixels, and the original 32x24")
    assert_fails(run("compare", "in.png", "absent.png", *MODEL), "absent.png")


def test_a_montage(folder):
    result = run("montage", "in.png", "-o", "strip.png", "--steps", "1,3,7", "--width", "64", *MODEL)
    assert result.stderr == "Drew 256x82 pixels\n"
    strip = opened("strip.png")
    assert strip.width == 4 * 64
    shown = strip.crop((0, 0, 64, 48))
    expected = opened(io.BytesIO(run("decompress", "in.cdr", "--steps", "1", "-o", "-", *MODEL).stdout_bytes))
    assert shown.tobytes() == expected.resize((64, 48), Image.Resampling.LANCZOS).tobytes()
    last = strip.crop((3 * 64, 0, 4 * 64, 48))
    assert last.tobytes() == opened("in.png").resize((64, 48), Image.Resampling.LANCZOS).tobytes()
    assert len(strip.crop((0, 48, 64, strip.height)).getcolors()) > 1  # a caption
    crop = ("--width", "32", "--crop", "0,8,16,24")
    assert run("montage", "in.cdr", "-o", "cuts.png", "--steps", "1", *crop, *MODEL).exit_code == 0
    expected = expected.crop((0, 8, 16, 24)).resize((32, 32), Image.Resampling.LANCZOS)
    assert opened("cuts.png").crop((0, 0, 32, 32)).tobytes() == expected.tobytes()
    assert_fails(run("montage", "in.png", "-o", "strip.png", *MODEL), "strip.png exists")


@pytest.mark.parametrize("options", [("--steps", "8"), ("--steps", "1,x"), ("--crop", "0,0,40,10"),
                                     ("--crop", "1,2,3")])
def test_montages_that_make_no_sense(folder, options):
    assert_fails(run("montage", "in.png", "-o", "strip.png", *options, *MODEL), options[0], code=2)
    assert not Path("strip.png").exists()


@pytest.mark.parametrize(("option", "value"), [("--bpp", "nan"), ("--bpp", "inf"), ("--bpp", "1e308"),
                                               ("--psnr", "nan"), ("--size", "9" * 400), ("--bpp", "-1"),
                                               ("--size", "12 parsecs")])
def test_budgets_that_are_no_numbers(folder, option, value):
    assert_fails(run("compress", "in.png", "-o", "out.cdr", option, value, *MODEL), option, code=2)
    assert not Path("out.cdr").exists()


def test_a_montage_of_less_than_a_step(folder):
    run("compress", "in.png", "-o", "one.cdr", "--steps", "1", *MODEL)
    size = Path("one.cdr").stat().st_size - 12
    run("truncate", "one.cdr", "-o", "cut.cdr", "--size", str(size))
    assert_fails(run("montage", "cut.cdr", "-o", "strip.png", *MODEL), "cut.cdr", "a whole step")


def test_damaged_exif_is_named_and_costs_no_picture(folder):
    image = Image.fromarray(synthetic(24, 32))
    image.save("odd.png", exif=b"Exif\0\0II*\0\x08\0\0")
    result = run("compress", "odd.png", "-o", "odd.cdr", *MODEL)
    assert (result.exit_code, "EXIF is damaged" in result.stderr) == (0, True)
    assert run("compare", "odd.png", "odd.cdr", *MODEL).exit_code == 0
    assert run("montage", "odd.png", "-o", "strip.png", *MODEL).exit_code == 0


def test_a_montage_that_would_be_far_too_tall(folder):
    Image.new("L", (1, 60_000)).save("tall.png")
    assert_fails(run("montage", "tall.png", "-o", "strip.png", "--width", "2000", *MODEL), "tall.png", "too large")


def test_comparing_a_picture_that_was_not_turned(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(synthetic(24, 32)).save("turned.jpg", exif=exif)
    run("compress", "turned.jpg", "-o", "kept.cdr", "--keep-orientation", *MODEL)
    run("compress", "turned.jpg", "-o", "turned.cdr", *MODEL)
    kept, turned = run("compare", "turned.jpg", "kept.cdr", "turned.cdr", *MODEL).stdout.splitlines()
    qualities = [float(line.partition("PSNR ")[2].split()[0]) for line in (kept, turned)]
    assert min(qualities) > 25
