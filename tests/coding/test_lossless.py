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
from convdraw_codec.coding.scale_offsets import Shifts
from convdraw_codec.format import bitstream
from convdraw_codec.format.constants import PRECISION, SYMBOLS
from convdraw_codec.network.lossless import (
    CENTRES,
    ORDER,
    SCALES,
    frequency_table,
    place_of,
    probability,
    split_centre,
    squares,
)
from convdraw_codec.network.priors import frequency_table as latent_table
from convdraw_codec.pictures.metrics import psnr
from convdraw_codec.selftest import digest
from convdraw_codec.training.objective import residual_loss

from ..conftest import synthetic
from ..tiny import TINY_MODEL, tiny_model

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


@pytest.fixture
def unshifted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is coded under the prior as it is: that of random weights is far off."""
    monkeypatch.setattr(Shifts, "best", lambda self, symbols, rows, kinds, groups, frequencies: np.zeros(len(groups)))


def test_what_lies_beyond_the_picture_costs_nothing(tiny: Codec, unshifted: Any) -> None:
    """Padded to a multiple of 8, whatever the pixels at its edges."""
    noise = np.random.default_rng(0).integers(0, 256, (16, 17, 3), np.uint8)
    exact = [len(tiny.compress(array, tiny.lossless_steps)) - len(tiny.compress(array))
             for array in (noise[:, :16], noise)]
    assert exact[1] < 1.2 * exact[0]


def test_what_stands_in_for_missing_steps_does_not_matter(tiny: Codec) -> None:
    array = synthetic(20, 20)
    data = tiny.compress(array, tiny.lossless_steps)
    for fill in ("none", "mean", "sample"):
        assert np.array_equal(np.asarray(tiny.decompress(data, fill=fill)), array)
    assert tiny.decompress(data, reduce=2) == tiny.decompress(truncate(data, tiny.total_steps), reduce=2)


@pytest.mark.parametrize(("pixels", "width"), [(1, 1), (300, 2048), (2000, 16)])
def test_tiles_change_nothing(tiny: Codec, monkeypatch: pytest.MonkeyPatch, pixels: int, width: int) -> None:
    array = synthetic(33, 100)
    data = tiny.compress(array, tiny.lossless_steps)
    expected = [digest(picture) for picture in tiny.progressive(data)]
    monkeypatch.setattr("convdraw_codec.coding.tiling.TILE_PIXELS", pixels)
    monkeypatch.setattr("convdraw_codec.coding.tiling.TILE_WIDTH", width)
    assert [digest(picture) for picture in tiny.progressive(data)] == expected


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
    index = torch.arange(SCALES, dtype=torch.float64)[:, None]
    for left in (-0.5, 0.0, 0.25):
        mass = probability(torch.arange(-4000, 4001, dtype=torch.float64) - left, index).sum(1)
        assert torch.allclose(mass, torch.ones(SCALES, dtype=torch.float64), atol=1e-6)
    table = frequency_table(SYMBOLS, PRECISION)
    assert table.shape == (CENTRES * SCALES, latent_table(SYMBOLS, PRECISION).shape[1])
    assert (table.sum(1) == 2**PRECISION).all()
    assert (table > 0).all()


def test_centres_are_split_without_loss() -> None:
    centre = torch.arange(-40, 41).float()
    level, left = split_centre(centre)
    assert torch.equal(level * CENTRES + left - CENTRES // 2, centre)
    assert set(left.tolist()) == {0, 1, 2, 3}


def test_the_order_visits_every_sample_of_a_square_once() -> None:
    assert sorted(ORDER) == list(range(12))
    planes = torch.arange(48).float().reshape(1, 3, 4, 4)
    for i in range(12):
        colour, y, x = place_of(i)
        assert torch.equal(squares(planes)[0, i], planes[0, colour, y::2, x::2])


def test_training_counts_what_coding_takes(tiny: Codec, unshifted: Any) -> None:
    """The objective on the exact path is the size of the residual payloads, and no step sees what comes after it."""
    array = synthetic(96, 96, 4)
    contents = bitstream.read(tiny.compress(array, tiny.lossless_steps))
    payload = 8 * sum(map(len, contents.segments[tiny.total_steps:])) / 96**2
    with torch.inference_mode():
        counted = float(residual_loss(tiny.model, torch.from_numpy(array).permute(2, 0, 1)[None].float()))
    assert abs(payload / counted - 1) < 0.03  # what escapes costs a little more than its share of the tail


def test_training_lowers_the_rate_and_leaves_the_rest_alone() -> None:
    torch.manual_seed(0)
    model = tiny_model()
    images = torch.from_numpy(np.stack([synthetic(32, 32, s) for s in range(4)])).permute(0, 3, 1, 2).float()
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    before = {name: p.clone() for name, p in model.named_parameters() if not name.startswith("residual")}
    losses = []
    for _ in range(25):
        loss = residual_loss(model, images)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters() if name in before)
    assert all(p.grad.abs().sum() > 0 for name, p in model.named_parameters() if name.startswith("residual"))
