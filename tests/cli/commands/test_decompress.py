"""``cdraw decompress``: steps, fills, formats, and files that arrive slowly or not whole."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convdraw_codec.format import bitstream

from ...conftest import synthetic, with_alpha
from ...tiny import TINY_MODEL
from ..runner import MODEL, assert_fails, opened, run


def test_steps_of_decompress_and_fill(folder: Path) -> None:
    run("decompress", "in.cdr", "-o", "a.png", "--steps", "2", *MODEL)
    run("truncate", "in.cdr", "-o", "cut.cdr", "--steps", "2")
    run("decompress", "cut.cdr", "-o", "b.png", *MODEL)
    run("decompress", "cut.cdr", "-o", "c.png", "--fill", "prior", "--seed", "3", *MODEL)
    a, b, c = (np.asarray(opened(f"{n}.png")) for n in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(b, c)


def test_plausible_pictures(folder: Path) -> None:
    run("truncate", "in.cdr", "-o", "cut.cdr", "--steps", "2")
    for name, options in (("a", ()), ("b", ("--seed", "1")), ("c", ("--detail", "0.5")), ("d", ("--seed", "0"))):
        result = run("decompress", "cut.cdr", "-o", f"{name}.png", "--fill", "plausible", *options, *MODEL)
        assert result.exit_code == 0, result.stderr
    assert len({opened(f"{name}.png").tobytes() for name in "abcd"}) == 3
    assert opened("a.png").tobytes() == opened("d.png").tobytes()
    filled = ("--fill", "plausible", "--detail", "0.5", "--follow")
    assert run("decompress", "cut.cdr", "-o", "follow.png", *filled, *MODEL).exit_code == 0
    assert opened("follow.png").tobytes() == opened("c.png").tobytes()
    for wrong in (["--detail", "1.5"], ["--fill", "prior", "--follow"], ["--fill", "sample"]):
        assert run("decompress", "cut.cdr", "-o", "none.png", *wrong, *MODEL).exit_code == 2


def test_a_model_without_texture(folder: Path) -> None:
    Path("mine.safetensors").write_bytes(TINY_MODEL.read_bytes())
    result = run("decompress", "in.cdr", "-o", "out.png", "--fill", "plausible", "--model", "mine.safetensors")
    assert_fails(result, "mine.texture.safetensors is not there", "cdraw train")
    Path("mine.texture.safetensors").write_bytes(b"no texture")
    result = run("decompress", "in.cdr", "-o", "out.png", "--fill", "plausible", "--model", "mine.safetensors")
    assert_fails(result, "mine.texture.safetensors is not a cdraw texture")
    assert not Path("out.png").exists()


def test_follow_writes_a_picture_for_each_step(folder: Path) -> None:
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


def test_allow_truncated_says_how_many_steps(folder: Path) -> None:
    Path("cut.cdr").write_bytes(Path("in.cdr").read_bytes()[:-3])
    assert_fails(run("decompress", "cut.cdr", "-o", "out.png", *MODEL), "--allow-truncated decodes the 6 whole steps")
    result = run("decompress", "cut.cdr", "-o", "out.png", "--allow-truncated", *MODEL)
    assert result.exit_code == 0
    assert "cut.cdr: it ends inside step 7 of 7; decoding its 6 whole steps" in result.stderr
    assert opened("out.png").size == (32, 24)


def test_a_reduced_picture(folder: Path) -> None:
    result = run("decompress", "in.cdr", "-o", "small.png", "--reduce", "4", *MODEL)
    assert "-> small.png: 8x6 RGB, " in result.stderr
    assert opened("small.png").size == (8, 6)


def test_xmp_comes_back_in_every_format(folder: Path) -> None:
    xmp = "<x:xmpmeta>ä</x:xmpmeta>".encode()
    Image.fromarray(synthetic(24, 32)).save("meta.jpg", xmp=xmp)
    assert run("compress", "meta.jpg", "-o", "meta.cdr", *MODEL).exit_code == 0
    for name in ("back.png", "back.jpg", "back.webp"):
        assert run("decompress", "meta.cdr", "-o", name, *MODEL).exit_code == 0
        assert opened(name).info["xmp"] == xmp


@pytest.mark.parametrize(("options", "name"), [((), "out.webp"), (("--keep-orientation",), "out.tif")])
def test_formats_that_keep_it_in_their_way(folder: Path, options: tuple[str, ...], name: str) -> None:
    """An alpha channel without holes, and a picture that its EXIF turns."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(synthetic(24, 70)).convert("RGBA").save("other.png", exif=exif)
    assert run("compress", "other.png", "-o", "other.cdr", *options, *MODEL).exit_code == 0
    assert run("decompress", "other.cdr", "-o", name, *MODEL).exit_code == 0


@pytest.mark.parametrize(("mode", "name", "words"), [("RGBA", "out.bmp", "alpha"), ("RGBA", "out.ppm", "alpha"),
                                                     ("RGB", "out.ico", "pixels")])
def test_formats_that_lose_something(folder: Path, mode: str, name: str, words: str) -> None:
    other = Image.fromarray(synthetic(24, 70)).convert(mode)
    if mode == "RGBA":
        other.putpixel((3, 3), (0, 0, 0, 0))
    other.save("other.png")
    assert run("compress", "other.png", "-o", "other.cdr", *MODEL).exit_code == 0
    assert_fails(run("decompress", "other.cdr", "-o", name, *MODEL), name, words)
    assert not Path(name).exists()


def test_a_format_that_cannot_hold_the_picture(folder: Path) -> None:
    Image.fromarray(np.zeros((1, 17000), np.uint8)).save("wide.png")
    assert run("compress", "wide.png", "--steps", "1", *MODEL).exit_code == 0
    assert_fails(run("decompress", "wide.cdr", "-o", "wide.webp", *MODEL), "wide.webp")
    assert not Path("wide.webp").exists()


@pytest.mark.parametrize("suffix", [".tif", ".jpg", ".webp"])
def test_metadata_that_make_no_sense_are_a_failure_or_go_along(folder: Path, suffix: str) -> None:
    contents = bitstream.read(Path("in.cdr").read_bytes())
    Path("bad.cdr").write_bytes(bitstream.write(replace(contents, chunks={"EXIF": b"Exif\0\0no TIFF"})))
    result = run("decompress", "bad.cdr", "-o", f"out{suffix}", *MODEL)
    if result.exit_code:
        assert_fails(result, f"out{suffix}")
    assert Path(f"out{suffix}").exists() == (result.exit_code == 0)


@pytest.mark.parametrize("follow", [(), ("--follow",)])
def test_alpha_and_quality(folder: Path, follow: tuple[str, ...]) -> None:
    with_alpha(24, 32).save("alpha.png")
    assert run("compress", "alpha.png", *MODEL).exit_code == 0
    for name in ("a.jpg", "a.bmp"):
        assert_fails(run("decompress", "alpha.cdr", "-o", name, *follow, *MODEL), name, "--background", "--drop-alpha")
        assert not Path(name).exists()
    sizes = []
    for number, options in enumerate((("--drop-alpha",), ("--background", "white"),
                                      ("--background", "white", "--quality", "20"))):
        result = run("decompress", "alpha.cdr", "-o", f"{number}.jpg", *options, *follow, *MODEL)
        assert result.exit_code == 0, result.stderr
        assert "JPEG is lossy" in result.stderr
        assert follow or "32x24 RGB, " in result.stderr
        sizes.append(Path(f"{number}.jpg").stat().st_size)
    assert np.asarray(opened("1.jpg")).mean() > np.asarray(opened("0.jpg")).mean() + 20  # the light shines through
    assert sizes[2] < sizes[1] / 2
    assert_fails(run("decompress", "alpha.cdr", "-o", "a.png", "--quality", "20", *follow, *MODEL), ".jpg", code=2)
