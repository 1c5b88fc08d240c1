"""Colours: turns are rotations, that of a picture takes its hues to the model's axes, and all of it comes back."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convdraw_codec.coding.rotation_fit import colours_of
from convdraw_codec.format.rotation import TURN_UNIT, Colours
from convdraw_codec.network.conv_draw import CANVAS_UNIT, SHOWN_UNIT
from convdraw_codec.network.transform.nested_dct import colour_axes

from ..conftest import synthetic
from ..tiny import tiny_model

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


@settings(deadline=None)
@given(st.lists(colours, min_size=1, max_size=3))
def test_what_goes_to_the_canvas_comes_back(batch: Any) -> None:
    model = tiny_model()
    one = torch.from_numpy(synthetic(16, 24)).permute(2, 0, 1).float()
    pictures = torch.stack([one.roll(i, 2) for i in range(len(batch))])
    canvas = (model.to_canvas(pictures, batch) * CANVAS_UNIT).round()
    shown = model.shown(canvas, batch)
    assert torch.equal(shown, shown.round())
    assert (shown / SHOWN_UNIT - pictures).abs().max() < 0.3
    assert torch.equal(shown[-1:], model.shown(canvas[-1:], batch[-1:]))


def test_errors_keep_their_size() -> None:
    model, batch = tiny_model(), [Colours((20, 200, 90), (50, -30, 80))]
    canvas = torch.randint(0, 16 * 255, (1, 3, 32, 32)).double()
    change = torch.randn(1, 3, 32, 32).double() * 100
    shown = (model.shown((canvas + change).round(), batch) - model.shown(canvas, batch)) / SHOWN_UNIT
    assert shown.square().mean().item() == pytest.approx((change / CANVAS_UNIT).square().mean().item(), rel=0.01)
