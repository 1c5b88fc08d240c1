"""``cdraw info`` and ``cdraw truncate``, which need no model."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from convdraw_codec import truncate
from convdraw_codec.format import bitstream

from ...conftest import synthetic
from ..runner import MODEL, assert_fails, run


def test_info(folder: Path) -> None:
    result = run("info", "in.cdr", "-v")
    assert re.match(r"in\.cdr: 32x24 RGB, [\d,]+ bytes \(\d+\.\d{3} bpp, 7 of 7 steps\), model [0-9a-f]{16}\n",
                    result.stdout)
    assert len(result.stdout.splitlines()) == 8


def test_truncate(folder: Path) -> None:
    result = run("truncate", "in.cdr", "-o", "cut.cdr", "--steps", "4")
    assert Path("cut.cdr").read_bytes() == truncate(Path("in.cdr").read_bytes(), 4)
    sizes = [Path(name).stat().st_size for name in ("in.cdr", "cut.cdr")]
    assert re.match(f"in.cdr: {sizes[0]:,} bytes -> cut.cdr: {sizes[1]:,} bytes .*, 4 of 7 steps", result.stderr)
    assert_fails(run("truncate", "cut.cdr", "-o", "x.cdr", "--steps", "5"), "cut.cdr", "stores 4 whole steps")
    assert_fails(run("truncate", "cut.cdr", "--steps", "2"), code=2)


def test_verbose_tells_the_size_of_every_cut(folder: Path) -> None:
    lines = run("truncate", "in.cdr", "-o", "x.cdr", "--steps", "3", "-v").stderr.splitlines()
    assert len(lines) == 4
    assert lines[2].endswith(f"a file cut here has {Path('x.cdr').stat().st_size:,}")
    assert "model" in run("decompress", "x.cdr", "-o", "x.png", "-v", *MODEL).stderr.splitlines()[0]


def test_info_of_what_goes_along(folder: Path) -> None:
    picture = Image.fromarray(synthetic(24, 32)).convert("RGBA")
    picture.putpixel((3, 3), (9, 9, 9, 77))
    picture.save("a.png", icc_profile=b"a profile", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")
    run("compress", "a.png", *MODEL)
    chunks = bitstream.read(Path("a.cdr").read_bytes()).chunks
    result = run("info", "a.cdr", "in.cdr")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("a.cdr: 32x24 RGBA, ")
    assert f"ICC profile ({len(chunks['ICCP'])} bytes)" in lines[1]
    assert f"alpha channel ({len(chunks['ALPH'])} bytes)" in lines[1]
    assert f"EXIF ({len(chunks['EXIF'])} bytes)" in lines[1]
    assert lines[2].startswith("in.cdr: 32x24 RGB, ")
    assert len(lines) == 3


def test_info_as_json(folder: Path) -> None:
    run("compress", "in.png", "-o", "exact.cdr", "--steps", "9", *MODEL)
    data = Path("exact.cdr").read_bytes()
    Path("cut.cdr").write_bytes(truncate(data, size=len(data) - 1) + b"x")
    contents = bitstream.read(data)
    result = run("info", "exact.cdr", "cut.cdr", "absent.cdr", "--json")
    whole, cut = map(json.loads, result.stdout.splitlines())
    assert whole == {"file": "exact.cdr", "bytes": len(data), "bpp": 8 * len(data) / 768, "width": 32, "height": 24,
                     "mode": "RGB", "model": contents.header.model, "steps": 7, "total_steps": 7, "residual_steps": 2,
                     "cut": False, "lossless": False, "chunks": {},
                     "segments": [len(segment) for segment in contents.segments], "error": None}
    assert (cut["residual_steps"], cut["cut"], cut["error"]) == (1, True, "it has 1 byte behind its last step")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 2


@pytest.mark.parametrize(("length", "words"), [(-3, "ends inside step 7"), (45, "ends inside step 1")])
def test_info_shows_what_can_be_read_of_a_damaged_file(folder: Path, length: int, words: str) -> None:
    Path("bad.cdr").write_bytes(Path("in.cdr").read_bytes()[:length])
    result = run("info", "bad.cdr", "in.cdr")
    assert result.stdout.startswith("bad.cdr: 32x24 RGB, ")
    assert "\nin.cdr: 32x24 RGB, " in result.stdout
    assert_fails(result, f"cannot read bad.cdr: it {words} of 7")


def test_truncating_folders(folder: Path) -> None:
    Path("many/deep").mkdir(parents=True)
    for name in ("many/a.cdr", "many/deep/b.cdr"):
        Path(name).write_bytes(Path("in.cdr").read_bytes())
    result = run("truncate", "many", "-o", "cut", "-r", "--steps", "2")
    assert result.exit_code == 0, result.stderr
    for name in ("cut/a.cdr", "cut/deep/b.cdr"):
        assert Path(name).read_bytes() == truncate(Path("in.cdr").read_bytes(), 2)
    assert "many/deep/b.cdr: " in result.stderr
    assert "-> cut/deep/b.cdr: " in result.stderr


def test_truncating_cannot_measure(folder: Path) -> None:
    assert_fails(run("truncate", "in.cdr", "-o", "cut.cdr", "--psnr", "30"), "--psnr takes the original", code=2)
