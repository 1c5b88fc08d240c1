"""Colours: turns are rotations, that of a picture takes its hues to the model's axes, and all of it comes back."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convdraw_codec.coding.canvas import colour_matrix, in_levels
from convdraw_codec.coding.rotation_fit import colours_of
from convdraw_codec.format.rotation import TURN_UNIT, Colours
from convdraw_codec.network.lapped_pyramid import UNIT, colour_axes
from convdraw_codec.network.weights import load_model

from ..conftest import synthetic
from ..tiny import TINY_MODEL

bytes_, signed = st.integers(0, 255), st.integers(-128, 127)
colours = st.builds(Colours, st.tuples(bytes_, bytes_, bytes_), st.tuples(signed, signed, signed))


@settings(deadline=None)
@given(colours)
def test_every_turn_is_a_rotation(one: Any) -> None:
    matrix = np.array(one.matrix()) / TURN_UNIT
    assert np.allclose(matrix @ matrix.T, np.eye(3), atol=3e-4)
    assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-3)


def test_a_turn_by_hand() -> None:
    """No turn, and a third of one about grey: quaternion 1, 1, 1, 1."""
    assert Colours().matrix() == [[TURN_UNIT, 0, 0], [0, TURN_UNIT, 0], [0, 0, TURN_UNIT]]
    assert Colours(turn=(127, 127, 127)).matrix() == [[0, 0, TURN_UNIT], [TURN_UNIT, 0, 0], [0, TURN_UNIT, 0]]


def varied(axes: np.ndarray, mean: tuple[float, ...] = (120, 130, 110)) -> np.ndarray:
    """A picture of noise, 30, 8 and 3 levels strong along three axes."""
    noise = np.random.default_rng(3).normal(size=(64, 64, 3)) * [30, 8, 3]
    return (noise @ axes + mean).round().clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("turn", [(0, 0, 0), (40, -20, 10), (-60, 5, 30), (0, 90, 0)])
def test_main_axes_become_those_of_the_model(turn: Any) -> None:
    pixels = varied(colour_axes() @ (np.array(Colours(turn=turn).matrix()) / TURN_UNIT).T)
    found = colours_of(pixels)
    canvas = (pixels - np.array(found.mean)) @ (np.array(found.matrix()) / TURN_UNIT)
    spread = (canvas.reshape(-1, 3) @ colour_axes().T).std(0)
    assert spread == pytest.approx([30, 8, 3], rel=0.1)


def test_the_mean_and_grey() -> None:
    assert colours_of(varied(colour_axes())).mean == pytest.approx((120, 130, 110), abs=1)
    assert colours_of(np.full((5, 7), 30, np.uint8)) == Colours((30, 30, 30))
    assert colours_of(np.full((1, 1, 3), 9, np.uint8)).mean == (9, 9, 9)


def test_it_looks_at_all_of_a_large_picture() -> None:
    """Strips, and what lies between two of them, count as in one piece."""
    pixels = synthetic(1100, 20)
    steps = np.concatenate([np.diff(pixels.astype(float), axis=axis).reshape(-1, 3) for axis in (0, 1)])
    turned = steps @ np.array(colours_of(pixels).matrix()) @ colour_axes().T
    correlation = np.corrcoef(turned.T)
    assert np.abs(correlation - np.eye(3)).max() < 0.2


@settings(deadline=None, max_examples=20)
@given(colours, st.booleans())
def test_what_goes_to_the_canvas_comes_back(one: Any, grey: bool) -> None:
    """Turned, taken apart in fine cells, put together and turned back."""
    model, pixels = load_model(TINY_MODEL), synthetic(16, 24)
    if grey:
        pixels = np.repeat(pixels[..., :1], 3, axis=2)
    axes = colour_axes() @ (np.array(one.matrix()) / TURN_UNIT).T
    planes = np.einsum("kc,yxc->kyx", axes, pixels - np.array(one.mean, float))
    low = None
    for layer, coefficients in enumerate(model.pyramid.analysis(planes)):
        low = model.pyramid.synthesis(layer, (UNIT * coefficients).round(), low)
    assert low is not None
    shown = in_levels(low, colour_matrix(one, model.axes), one.mean)
    assert np.abs(shown.transpose(1, 2, 0).astype(int) - pixels).max() <= 1
