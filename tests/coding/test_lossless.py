"""Lossless files: the residual steps after those of the model."""

import io
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from convdraw_codec import CdrError, Codec, ImageError, inspect, register_cdr_opener, truncate
from convdraw_codec.cli.commands import main
from convdraw_codec.format import bitstream
from convdraw_codec.format.constants import PRECISION
from convdraw_codec.network.convolution import Convolver
from convdraw_codec.network.lossless import CENTRES, ORDER, SCALES, frequency_table, place_of, split_centre, squares
from convdraw_codec.network.weights import assemble
from convdraw_codec.options import FILLS
from convdraw_codec.pictures.metrics import psnr
from convdraw_codec.selftest import digest
from convdraw_codec.training.export import arrays_of
from convdraw_codec.training.networks.residual import probability

from ..conftest import synthetic
from ..tiny import CONFIG, TINY_MODEL, tiny_networks

MODES = ("RGB", "L", "RGBA", "LA")


def picture_of(height: int, width: int, seed: int, mode: str, kind: str) -> Image.Image:
    rng = np.random.default_rng(seed)
    kinds: dict[str, Callable[[], np.ndarray]] = {
        "smooth": lambda: synthetic(height, width, seed), "black": lambda: np.zeros((height, width, 3), np.uint8),
        "noise": lambda: rng.integers(0, 256, (height, width, 3), np.uint8),
        "extremes": lambda: rng.choice([0, 255], (height, width, 3)).astype(np.uint8)}
    array = kinds[kind]()
    image = Image.fromarray(array).convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.fromarray(rng.integers(0, 256, (height, width), np.uint8)))
    return image


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 45), st.integers(1, 45), st.integers(0, 99), st.sampled_from(MODES),
       st.sampled_from(("smooth", "black", "noise", "extremes")))
@example(1, 1, 0, "RGB", "extremes")
@example(45, 1, 0, "L", "noise")
def test_every_pixel_comes_back(height: int, width: int, seed: int, mode: Any, kind: Any) -> None:
    codec, image = Codec(TINY_MODEL), picture_of(height, width, seed, mode, kind)
    data = codec.compress(image, codec.lossless_steps)
    decoded = codec.decompress(data)
    assert (decoded.mode, decoded.size) == (image.mode, image.size)
    assert np.array_equal(np.asarray(decoded), np.asarray(image))
    assert inspect(data).lossless


@pytest.mark.parametrize("grey", [False, True])
def test_it_begins_with_the_lossy_file(tiny: Codec, grey: bool) -> None:
    array = synthetic(23, 31, grey=grey)
    data, lossy = tiny.compress(array, tiny.lossless_steps), tiny.compress(array)
    assert truncate(data, tiny.total_steps) == lossy
    assert not inspect(lossy).lossless
    for steps in (1, tiny.total_steps + 1, tiny.total_steps + 5):
        assert truncate(data, steps) == tiny.compress(array, steps)


@pytest.mark.parametrize("grey", [False, True])
def test_every_cut_decodes_and_quality_grows(tiny: Codec, grey: bool) -> None:
    array = synthetic(90, 21, grey=grey)
    original, data = Image.fromarray(array), tiny.compress(array, tiny.lossless_steps)
    predicted = list(tiny.predict(array, tiny.lossless_steps))
    assert [digest(p) for p in tiny.progressive(data)] == [digest(p) for p in predicted]
    quality = [psnr(original, picture) for picture in predicted[tiny.total_steps - 1:]]
    assert quality == sorted(quality)
    assert quality[-1] == math.inf
    before, grew_inside = 0.0, 0
    for size in range(len(truncate(data, tiny.total_steps)), len(data) + 1, 37):
        cut = truncate(data, size=size)
        assert size - 7 < len(cut) <= size
        now = psnr(original, tiny.decompress(cut))
        assert now >= before
        grew_inside += now > max(before, psnr(original, tiny.decompress(cut, inspect(cut).steps)))
        before = now
    assert grew_inside > 5
    for end in range(len(truncate(data, 1)), len(data), 53):
        assert tiny.decompress(data[:end], allow_truncated=True).size == original.size


@pytest.mark.parametrize("mode", ["I;16", "CMYK", "YCbCr", "HSV", "LAB", "RGBa"])
def test_what_cannot_be_kept_is_refused(tiny: Codec, mode: str) -> None:
    colours: dict[str, int | tuple[int, ...]] = {"I;16": 65530, "RGBa": (9, 8, 7, 99), "CMYK": (5, 6, 7, 8)}
    image = Image.new(mode, (5, 4), colours.get(mode, (90, 80, 200)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert tiny.compress(image)
        with pytest.raises(ImageError, match="cannot be kept without loss: "):
            tiny.compress(image, lossless=True)


def test_what_lies_beyond_the_picture_costs_little(photo: Codec) -> None:
    """Padded to a multiple of 32, whatever the pixels at its edges."""
    picture = synthetic(64, 33)
    exact = [len(photo.compress(array, photo.lossless_steps)) - len(photo.compress(array))
             for array in (picture[:, :32], picture)]
    assert exact[1] < 1.4 * exact[0]


def test_what_stands_in_for_missing_steps_does_not_matter(tiny: Codec) -> None:
    array = synthetic(20, 20)
    data = tiny.compress(array, tiny.lossless_steps)
    for fill in FILLS:
        assert np.array_equal(np.asarray(tiny.decompress(data, fill=fill)), array)
    assert tiny.decompress(data, reduce=2) == tiny.decompress(truncate(data, tiny.total_steps), reduce=2)


def test_the_photo_model_makes_smaller_files_than_png(photo: Codec, example: Path) -> None:
    with Image.open(example) as opened:
        image = opened.convert("RGB").crop((60, 60, 316, 252))
    data, png = photo.compress(image, photo.lossless_steps), io.BytesIO()
    image.save(png, "PNG", optimize=True)
    assert np.array_equal(np.asarray(photo.decompress(data)), np.asarray(image))
    assert len(data) < len(png.getvalue())


def test_a_grey_file_with_residuals_of_colour_is_refused(tiny: Codec) -> None:
    data = tiny.compress(synthetic(9, 9, grey=True), tiny.lossless_steps)
    contents = bitstream.read(data)
    assert [bool(segment) for segment in contents.segments[tiny.total_steps:]] == [True, False, False] * 4
    contents.segments[tiny.total_steps + 1] = b"x"
    with pytest.raises(CdrError, match="step 9 holds colour, and the picture is grey"):
        tiny.decompress(bitstream.write(contents))


def test_steps_and_lossless_exclude_each_other(tiny: Codec) -> None:
    with pytest.raises(ValueError, match="only one of"):
        tiny.compress(synthetic(8, 8), steps=3, lossless=True)
    with pytest.raises(ValueError, match="1 to 7, or up to 19 with residual steps, not 20"):
        tiny.compress(synthetic(8, 8), steps=20)


def test_the_command(tmp_path: Path) -> None:
    array, run = synthetic(30, 40), CliRunner().invoke
    Image.fromarray(array).save(tmp_path / "a.png")
    file, model = str(tmp_path / "a.cdr"), ["--model", str(TINY_MODEL)]
    result = run(main, ["compress", str(tmp_path / "a.png"), "--lossless", *model])
    assert result.exit_code == 0, result.output
    assert result.stderr.endswith(" bpp, lossless, 7 steps and 12 residual steps)\n")
    assert "lossless" in run(main, ["info", file]).output
    assert run(main, ["decompress", file, "-o", str(tmp_path / "b.png"), *model]).exit_code == 0
    with Image.open(tmp_path / "b.png") as opened:
        assert np.array_equal(np.asarray(opened), array)
    result = run(main, ["compare", str(tmp_path / "a.png"), file, *model])
    assert "PSNR inf dB" in result.output
    assert run(main, ["truncate", file, "-o", str(tmp_path / "c.cdr"), "--steps", "10"]).exit_code == 0
    assert "7 steps, 3 of 12 residual steps" in run(main, ["info", str(tmp_path / "c.cdr")]).output
    for other in (["--steps", "3"], ["--psnr", "30"]):
        result = run(main, ["compress", str(tmp_path / "a.png"), "--lossless", *other, *model])
        assert result.exit_code == 2
        assert "exclude each other" in result.stderr


def test_pillow(tmp_path: Path) -> None:
    register_cdr_opener(TINY_MODEL)
    image = picture_of(17, 22, 3, "RGBA", "noise")
    image.save(tmp_path / "a.cdr", lossless=True)
    with Image.open(tmp_path / "a.cdr") as opened:
        assert np.array_equal(np.asarray(opened), np.asarray(image))


def test_masses_sum_to_one() -> None:
    table = frequency_table()
    assert table.shape == (CENTRES * SCALES, 32)
    assert (table.sum(1) == 2**PRECISION).all()
    assert (table > 0).all()
    index = torch.arange(SCALES, dtype=torch.float64)[:, None]
    levels = torch.arange(-4000, 4001, dtype=torch.float64)
    for left in range(CENTRES):
        mass = probability(levels - (left / CENTRES - 0.5), index)
        assert torch.allclose(mass.sum(1), torch.ones(SCALES, dtype=torch.float64), atol=1e-6)
        stored = torch.from_numpy(table[SCALES * left:SCALES * (left + 1), :31] / 2**PRECISION)
        assert (stored - mass[:, 3985:4016]).abs().max() < 1e-5


def test_centres_are_split_without_loss() -> None:
    centre = np.arange(-40, 41)
    level, left = split_centre(centre)
    assert np.array_equal(level * CENTRES + left - CENTRES // 2, centre)
    assert set(left.tolist()) == {0, 1, 2, 3}


def test_the_order_visits_every_sample_of_a_square_once() -> None:
    assert sorted(ORDER) == list(range(12))
    planes = np.arange(48).reshape(3, 4, 4)
    for i in range(12):
        colour, y, x = place_of(i)
        assert np.array_equal(squares(planes)[..., i], planes[colour, y::2, x::2])


def test_the_networks_are_those_of_training(tiny: Codec) -> None:
    networks, rng = tiny_networks(3), np.random.default_rng(0)
    model, convolve = assemble(CONFIG, arrays_of(networks)), Convolver("float32", 1)
    shown = rng.integers(0, 256, (9, 11, 12), np.uint8)
    known = rng.integers(-30, 31, (9, 11, 12)).astype(np.int16)
    tensors = (torch.from_numpy(x.astype(np.float32)).permute(2, 0, 1)[None] for x in (shown - 128.0, known))
    seen, past = tensors
    with torch.no_grad():
        for i, step in enumerate(networks.residual.steps):
            expected = [x[0, 0].numpy() for x in step(seen, past[:, :i])]
            found = model.residual[i].predict(shown, known[..., :i], slice(0, 9), convolve)
            assert all(map(np.array_equal, found, expected))
