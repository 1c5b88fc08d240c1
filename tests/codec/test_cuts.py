"""Fewer steps, fewer bytes: truncated files, budgets, streams that arrive or end early, reduced pictures, fills."""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from convdraw_codec import CdrError, Codec, TruncatedError, truncate
from convdraw_codec.coding.sessions import Session
from convdraw_codec.format.bitstream import HEADER_BYTES, read
from convdraw_codec.options import FILLS
from convdraw_codec.pictures.conversion import open_picture
from convdraw_codec.selftest import digest

from ..conftest import psnr, synthetic, with_alpha


def portions(data: bytes, size: int, taken: list[int]) -> Any:
    """The data piece by piece; how much was taken so far is left in ``taken``."""
    for start in range(0, len(data), size):
        taken.append(min(start + size, len(data)))
        yield data[start:start + size]


def test_pictures_come_as_their_steps_arrive(tiny: Codec) -> None:
    data = tiny.compress(with_alpha(20, 24))
    expected = [digest(picture) for picture in tiny.progressive(data)]
    assert [digest(picture) for picture in tiny.progressive(io.BytesIO(data))] == expected
    taken: list[int] = []
    for step, picture in enumerate(tiny.progressive(portions(data, 10, taken)), 1):
        assert digest(picture) == expected[step - 1]
        assert taken[-1] < len(truncate(data, step)) + 10


def test_streams_that_end_early(tiny: Codec) -> None:
    data = tiny.compress(synthetic(20, 24))
    pictures = tiny.progressive(portions(data[:-3], 50, []))
    assert len([next(pictures) for _ in range(6)]) == 6
    with pytest.raises(TruncatedError, match="step 7 of 7"):
        next(pictures)
    assert len(list(tiny.progressive(portions(data[:-3], 50, []), allow_truncated=True))) == 6
    for bad in (b"", b"no", data[:9], b"\xff" + data):
        with pytest.raises(CdrError):
            tiny.progressive(io.BytesIO(bad))
    for allowed in (False, True):  # without a step there is nothing to show
        with pytest.raises(TruncatedError, match="step 1 of 7"):
            list(tiny.progressive(io.BytesIO(data[:HEADER_BYTES + 3]), allow_truncated=allowed))


def test_fills_differ_while_steps_are_missing(tiny: Codec) -> None:
    data = tiny.compress(synthetic(24, 24))
    whole = {fill: digest(tiny.decompress(data, fill=fill)) for fill in FILLS}
    assert whole["prior"] == whole["estimate"]  # nothing is left to draw
    assert len({digest(tiny.decompress(data, 3, fill=fill)) for fill in FILLS}) == len(FILLS)


def test_the_estimate_comes_nearer_to_the_original(photo: Codec, example: Path) -> None:
    array = np.asarray(open_picture(example).pixels)[:256, :256]
    data = photo.compress(array)
    for steps in (4, 8, 12, 17, 21):
        bare, estimated = (psnr(photo.decompress(data, steps, fill=fill), array) for fill in ("none", "estimate"))
        assert estimated > bare


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_a_reduced_picture_is_the_whole_one_made_smaller(tiny: Codec, mode: str) -> None:
    """Its last steps are left out where they hardly show."""
    image = Image.fromarray(synthetic(45, 38)).convert(mode)
    data = tiny.compress(image)
    whole = tiny.decompress(data)
    assert digest(tiny.decompress(data, reduce=1)) == digest(whole)
    taken: list[int] = []
    half, quarter = tiny.decompress(data, reduce=2, on_step=taken.append), tiny.decompress(data, reduce=4)
    assert taken == [1, 2, 3, 4, 5, 6]
    assert (half.size, half.mode, quarter.size) == ((19, 23), mode, (10, 12))
    assert psnr(half, whole.reduce(2)) > 30
    assert psnr(quarter, whole.reduce(4)) > 30
    assert tiny.decompress(data, reduce=8, on_step=taken.append).size == (5, 6)
    assert taken[6:] == [1, 2, 3]
    with pytest.raises(ValueError, match="reduce must be"):
        tiny.decompress(data, reduce=3)


def test_a_reduced_picture_of_a_file_cut_short(tiny: Codec) -> None:
    data = tiny.compress(synthetic(40, 40))
    for cut in (truncate(data, 1), truncate(data, size=len(truncate(data, 1)) + 40), truncate(data, 6)):
        assert tiny.decompress(cut, reduce=4).size == (10, 10)
    assert digest(tiny.decompress(truncate(data, 1), reduce=4)) == digest(tiny.decompress(data, 1).reduce(4))


def test_a_sampled_fill_depends_on_its_seed(tiny: Codec) -> None:
    data = tiny.compress(synthetic(32, 32), 2)
    one, again, other = (digest(tiny.decompress(data, fill="prior", seed=s)) for s in (1, 1, 2))
    assert one == again != other
    full = tiny.compress(synthetic(32, 32))
    assert digest(tiny.decompress(full, fill="prior")) == digest(tiny.decompress(full))


@pytest.mark.parametrize("budget", [{"psnr": math.nan}, {"psnr": math.inf}, {"bpp": math.inf}, {"bpp": -1.0},
                                    {"size": -5}])
def test_budgets_that_are_no_numbers(tiny: Codec, budget: Any) -> None:
    with pytest.raises(ValueError, match="numbers from 0 on"):
        tiny.compress(synthetic(6, 9), **budget)


@pytest.mark.parametrize("steps", [0, 20, -1])
def test_step_counts_out_of_range(tiny: Codec, steps: int) -> None:
    with pytest.raises(ValueError, match="steps must be 1 to 7"):
        tiny.compress(synthetic(8, 8), steps)


def test_asking_for_more_steps_than_stored(tiny: Codec) -> None:
    with pytest.raises(CdrError, match="stores 3 whole steps"):
        tiny.decompress(tiny.compress(synthetic(8, 8), 3), steps=4)


BUDGETS = st.integers(60, 4000)


@settings(deadline=None, max_examples=25)
@given(BUDGETS)
def test_a_budget_in_bytes_is_kept_and_used(tiny: Codec, size: Any) -> None:
    array = synthetic(40, 50)
    data = tiny.compress(array)
    cut = truncate(data, size=size)
    assert len(cut) <= size
    assert len(cut) >= min(size, len(data)) - 8
    assert cut == tiny.compress(array, size=size)
    assert tiny.decompress(cut).size == (50, 40)


def test_quality_grows_with_bytes(photo: Codec, example: Path) -> None:
    array = np.asarray(open_picture(example).pixels)[200:328, 200:328]
    data = photo.compress(array)
    quality = [psnr(photo.decompress(truncate(data, size=size)), array) for size in range(300, len(data), 700)]
    assert all(np.diff(quality) > -0.02)
    assert quality[-1] - quality[0] > 5


def test_a_cut_step_holds_a_beginning_of_the_whole_one(tiny: Codec) -> None:
    """No symbol that a cut file shows as known may change with more bytes, and those of large slope come first."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    contents = read(tiny.compress(noise))
    [(held, every)] = Session(tiny.network, contents.header).parts(0)
    rows, coder = held.flat(every), tiny.network.symbols(0)
    [(whole, everywhere)] = coder.decode(contents.segments[0], [rows])
    assert everywhere is None
    counts, slopes = [], tiny.model.slopes[rows]
    for length in range(len(contents.segments[0])):
        [(part, known)] = coder.decode(contents.segments[0][:length], [rows], cut=True)
        assert known is not None
        assert np.array_equal(part[known], whole[known])
        assert slopes[known].min(initial=2**30) >= slopes[~known].max(initial=0)
        counts.append(int(known.sum()))
    assert counts == sorted(counts)
    assert counts[-1] > 0.95 * len(whole)


def test_a_budget_in_bits_per_pixel_and_in_decibels(tiny: Codec) -> None:
    array = synthetic(40, 50)
    assert tiny.compress(array, bpp=0.8) == tiny.compress(array, size=200)
    whole = tiny.compress(array)
    levels = [psnr(p, array) for p in tiny.progressive(whole)]
    data = tiny.compress(array, psnr=(levels[2] + levels[3]) / 2)
    assert psnr(tiny.decompress(data), array) >= (levels[2] + levels[3]) / 2
    assert len(truncate(whole, 3)) < len(data) <= len(truncate(whole, 4))
    with pytest.warns(UserWarning, match="less than 99 decibels"):
        assert tiny.compress(array, psnr=99) == whole
    with pytest.raises(ValueError, match="only one"):
        tiny.compress(array, 3, psnr=30)
    with pytest.raises(CdrError, match="cannot be cut to 20 bytes"):
        tiny.compress(array, size=20)


def test_truncated_files(tiny: Codec) -> None:
    data = tiny.compress(synthetic(16, 16))
    cut = data[:len(truncate(data, 3)) + 2]
    with pytest.raises(TruncatedError) as caught:
        tiny.decompress(cut)
    assert caught.value.steps == 3
    assert digest(tiny.decompress(cut, allow_truncated=True)) == digest(tiny.decompress(data, 3))
    assert len(list(tiny.progressive(cut, allow_truncated=True))) == 3
