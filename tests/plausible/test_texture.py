"""The texture network in bytes: the numbers of training, whatever the strips."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convdraw_codec import Codec
from convdraw_codec.coding.sessions import Encoding
from convdraw_codec.network.convolution import GRAPHS, Convolver
from convdraw_codec.network.model import Model
from convdraw_codec.network.prior import widened
from convdraw_codec.network.weights import load_model
from convdraw_codec.pictures.conversion import open_picture
from convdraw_codec.plausible.texture import NOISE, Texture, noise_of
from convdraw_codec.plausible.weights import beside, load_texture
from convdraw_codec.training.networks.texture import TextureNetwork
from convdraw_codec.training.plausible.export import restore

from ..conftest import synthetic
from ..tiny import CONFIG, TEXTURE_SIZE, TINY_MODEL


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(TINY_MODEL)


@pytest.fixture(scope="module")
def texture(model: Model) -> Texture:
    return load_texture(beside(TINY_MODEL), model)


def begun(codec: Codec, array: np.ndarray, steps: int) -> Encoding:
    """After so many steps."""
    _, encoding = codec._begun(open_picture(array), keep=False)
    list(encoding.segments(steps))
    return encoding


@pytest.mark.parametrize("path", GRAPHS)
@pytest.mark.parametrize("steps", [1, 4, 7])
def test_it_adds_what_training_adds(tiny: Codec, model: Model, texture: Texture, path: str, steps: int) -> None:
    session, convolve = begun(tiny, synthetic(40, 56), steps), Convolver(path, 1)
    rows, t, noise = slice(0, 10), session.last_begun, noise_of(3, 20, 28)
    planes = session.canvas.estimated(rows, t, convolve)
    found = texture.added(t, planes, session.states, noise, rows, rows, convolve)
    network = TextureNetwork(CONFIG, TEXTURE_SIZE)
    restore(beside(TINY_MODEL), model, network)
    with torch.no_grad():
        states = [torch.from_numpy(state.h).permute(2, 0, 1)[None].float() for state in session.states]
        there = torch.from_numpy(noise).permute(2, 0, 1)[None].float() - 128
        expected = network(torch.from_numpy(planes)[None].float(), states, there, torch.tensor([t]))
    assert np.array_equal(found, expected[0].numpy())
    assert np.abs(found).max() > 8  # a level


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_rows_by_themselves_are_those_of_the_whole(tiny: Codec, texture: Texture, data: st.DataObject) -> None:
    session, convolve, whole = begun(tiny, synthetic(80, 24), 5), Convolver("float32", 1), slice(0, 20)
    noise, t = noise_of(1, 40, 12), session.last_begun
    first = data.draw(st.integers(0, 19))
    strip = slice(first, data.draw(st.integers(first + 1, 20)))
    seen = widened(strip, 20, texture.reach)
    planes = session.canvas.estimated(whole, t, convolve)
    expected = texture.added(t, planes, session.states, noise, whole, whole, convolve)
    part = planes[:, 4 * seen.start:4 * seen.stop]
    found = texture.added(t, part, session.states, noise, seen, strip, convolve)
    assert np.array_equal(found, expected[:, 4 * strip.start:4 * strip.stop])


def test_noise() -> None:
    """That of other seeds is another; all of it has about the same energy."""
    one, again, other = (noise_of(seed, 30, 40) for seed in (1, 1, 2))
    assert one.shape == (30, 40, NOISE)
    assert np.array_equal(one, again)
    assert (one != other).mean() > 0.9
    assert one.min() == 1
    assert abs(one.astype(float).mean() - 128) < 2
