"""Plausible pictures: inside what is stored, the same for the same seed, and as much texture as asked for."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.plausible.pictures import changed_symbols
from convdraw_codec import CdrError, Codec, ModelError, truncate
from convdraw_codec.plausible.fill import inside
from convdraw_codec.selftest import digest

from ..conftest import psnr, synthetic, with_alpha
from ..tiny import TINY_MODEL

MILD = 60 + synthetic(96, 64) // 3  # with texture, nothing is cut off at black and white


@pytest.mark.parametrize("steps", [2, 3, 5, 7])
def test_the_picture_keeps_what_is_stored(tiny: Codec, steps: int) -> None:
    data = tiny.compress(MILD, steps)
    picture = tiny.decompress(data, fill="plausible", detail=0.5)
    assert changed_symbols(tiny, data, picture) < 0.002
    assert psnr(tiny.decompress(data), picture) < 45


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 99), st.booleans(), st.data())
def test_any_cut_has_one(tiny: Codec, height: int, width: int, seed: int, grey: bool, data: st.DataObject) -> None:
    whole = tiny.compress(synthetic(height, width, seed, grey=grey))
    cut = truncate(whole, size=data.draw(st.integers(len(truncate(whole, 1)), len(whole))))
    one, again = (tiny.decompress(cut, fill="plausible", seed=seed) for _ in range(2))
    assert one.size == (width, height)
    assert one.mode == ("L" if grey else "RGB")
    assert digest(one) == digest(again)


@settings(max_examples=30, deadline=None)
@given(st.integers(-2**17, 2**17), st.integers(2, 2**12), st.integers(-2**18, 2**18))
def test_inside(low: int, width: int, value: int) -> None:
    found = inside(np.array([value]), np.array([low]), np.array([low + width]))[0]
    margin = min(width // 4, 8)
    assert low + margin <= found <= low + width - margin
    if low + margin <= value <= low + width - margin:
        assert found == value


def test_strips_threads_and_kernels_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Codec(TINY_MODEL).compress(MILD, 4)
    expected = digest(Codec(TINY_MODEL, threads=1).decompress(data, fill="plausible", seed=5))
    for threads in (2, 3):
        assert digest(Codec(TINY_MODEL, threads=threads).decompress(data, fill="plausible", seed=5)) == expected
    monkeypatch.setattr("convdraw_codec.coding.strip_transform.SHOWN_PIXELS", 300)
    for path in ("int8", "float32"):
        codec = Codec(TINY_MODEL, convolution=path, threads=1)
        assert digest(codec.decompress(data, fill="plausible", seed=5)) == expected


def test_seed_and_detail(tiny: Codec) -> None:
    data = tiny.compress(MILD, 3)
    pictures = {detail: tiny.decompress(data, fill="plausible", detail=detail) for detail in (0, 0.25, 0.5, 1)}
    faithful = tiny.decompress(data)
    away = [np.abs(np.asarray(picture, int) - np.asarray(faithful, int)).mean() for picture in pictures.values()]
    assert away == sorted(away)
    assert away[0] < 0.3 * away[2]
    assert digest(tiny.decompress(data, fill="plausible", seed=1)) != digest(pictures[1])


def test_progressive_and_alpha(tiny: Codec) -> None:
    data = tiny.compress(with_alpha(30, 20), 4)
    shown = [digest(picture) for picture in tiny.progressive(data, "plausible", 2, detail=0.5)]
    assert shown == [digest(tiny.decompress(data, n, "plausible", 2, detail=0.5)) for n in range(1, 5)]
    with pytest.raises(ValueError, match="goes without"):
        tiny.progressive(data, "prior")


def test_what_is_exact_stays(tiny: Codec) -> None:
    data = tiny.compress(MILD, lossless=True)
    assert digest(tiny.decompress(data, fill="plausible")) == digest(tiny.decompress(data))


def test_arguments_and_models_without_texture(tiny: Codec, tmp_path: Path) -> None:
    data = tiny.compress(MILD, 1)
    for detail in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="from 0 to 1"):
            tiny.decompress(data, fill="plausible", detail=detail)
    path = tmp_path / "mine.safetensors"
    path.write_bytes(TINY_MODEL.read_bytes())
    with pytest.raises(ModelError, match=r"mine.texture.safetensors is not there"):
        Codec(path).decompress(data, fill="plausible")
    assert issubclass(ModelError, Exception)
    assert not issubclass(ModelError, CdrError)
