"""Codec: round trips, and the same bytes and pixels in every way."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from bench.robustness.verify import estimate
from convdraw_codec import Codec, truncate
from convdraw_codec.format.bitstream import read
from convdraw_codec.network.convolution import GRAPHS, is_exact
from convdraw_codec.pictures.conversion import open_picture
from convdraw_codec.selftest import digest

from ..conftest import psnr, synthetic
from ..golden.make_golden import DATA
from ..tiny import TINY_MODEL

SIZES = [(1, 1), (1, 7), (9, 1), (8, 8), (17, 23), (40, 31)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("grey", [False, True])
def test_the_decoder_shows_what_the_encoder_predicted(tiny: Codec, size: tuple[int, int], grey: bool) -> None:
    array = synthetic(*size, grey=grey)
    data = tiny.compress(array)
    predicted = list(tiny.predict(array))
    progressive = list(tiny.progressive(data))
    assert len(predicted) == len(progressive) == tiny.total_steps
    for steps, (a, b) in enumerate(zip(predicted, progressive, strict=True), 1):
        assert a.size == b.size == size[::-1]
        assert a.mode == b.mode == ("L" if grey else "RGB")
        assert digest(a) == digest(b) == digest(tiny.decompress(data, steps))
        assert truncate(data, steps) == tiny.compress(array, steps)
        assert digest(tiny.decompress(truncate(data, steps))) == digest(a)


def test_files_grow_and_pictures_improve_with_every_step(photo: Codec, example: Path) -> None:
    array = np.asarray(open_picture(example).pixels)[:256, :256]
    data = photo.compress(array)
    sizes = [len(truncate(data, steps + 1)) for steps in range(photo.total_steps)]
    quality = [psnr(picture, array) for picture in photo.progressive(data)]
    assert all(np.diff(sizes) > 0)
    assert all(np.diff(quality) > 0)
    assert quality[-1] > 34


def test_the_file_is_as_large_as_the_model_estimates(photo: Codec, example: Path) -> None:
    """Symbols under the differentiable prior of training, against real bytes."""
    part = open_picture(example).pixels.crop((0, 0, 256, 256))
    data = photo.compress(part)
    payload = sum(map(len, read(data).segments))
    assert payload == pytest.approx(estimate(photo, None, part), rel=0.01)
    assert len(data) - payload <= 32 + 6 * photo.total_steps


def test_every_convolution_path_gives_the_same_bytes_and_pixels() -> None:
    array = synthetic(37, 50)
    codecs = [Codec(TINY_MODEL, convolution=path) for path in GRAPHS if is_exact(path)]
    files = {codec.compress(array) for codec in codecs}
    assert len(files) == 1
    data = files.pop()
    assert len({digest(codec.decompress(data)) for codec in codecs}) == 1


def test_a_codec_may_be_pickled(tiny: Codec) -> None:
    other, picture = pickle.loads(pickle.dumps(tiny)), synthetic(12, 9)
    assert other.fingerprint == tiny.fingerprint
    assert other.compress(picture) == tiny.compress(picture)


def test_steps_are_reported(tiny: Codec) -> None:
    seen: list[int] = []
    data = tiny.compress(synthetic(8, 8), 4, on_step=seen.append)
    tiny.decompress(data, on_step=seen.append)
    assert seen == [1, 2, 3, 4, 1, 2, 3, 4]


@pytest.mark.parametrize("model", ["tiny", pytest.param("photo", marks=pytest.mark.slow)])
def test_golden_files_decode_to_the_same_pixels(model: str, request: pytest.FixtureRequest) -> None:
    golden = json.loads((DATA / f"{model}.json").read_text())
    codec: Codec = request.getfixturevalue(model)
    for name, digests in golden.items():
        data = (DATA / f"{name}.cdr").read_bytes()
        pictures = {str(t): digest(picture) for t, picture in enumerate(codec.progressive(data), 1)}
        assert pictures | {"prior": digest(codec.decompress(data, 1, fill="prior", seed=7))} == digests
