"""The canvas: cells nest, and what is known never moves."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from convdraw_codec.coding.canvas import Canvas, refined, symbols_of
from convdraw_codec.coding.source import Latents
from convdraw_codec.format.rotation import Colours
from convdraw_codec.network.convolution import Convolver
from convdraw_codec.network.estimator import middles_of
from convdraw_codec.network.weights import load_model

from ..conftest import synthetic
from ..tiny import CONFIG, TINY_MODEL

MODEL = load_model(TINY_MODEL)
ALL = slice(None)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-2000, 2000), min_size=1, max_size=30), st.integers(1, 6))
def test_symbols_lead_to_every_cell(numbers: list[int], halvings: int) -> None:
    """From the first symbol on, each step halves the cell; zero stays zero until its cell is known."""
    numbers_ = np.array(numbers)
    known = np.zeros(len(numbers), np.int32)
    for shift in reversed(range(halvings + 1)):
        first = np.full(len(numbers), shift == halvings)
        wanted = np.sign(numbers_) * (np.abs(numbers_) >> shift)
        symbols = symbols_of(known, wanted, first)
        if shift < halvings:
            assert np.abs(symbols).max() <= 1
            assert (symbols[known != 0] >= 0).all()
        known = refined(known, symbols)
        assert np.array_equal(known, wanted)


def canvas_after(steps: int, array: np.ndarray) -> tuple[Canvas, Latents]:
    colours = Colours((120, 110, 130))
    canvas, latents = Canvas(MODEL, *array.shape[:2]), Latents(MODEL, array.transpose(2, 0, 1), colours)
    for t in range(steps):
        before = canvas.of_step(t)
        canvas.take(t, ALL, symbols_of(before, latents.of_step(t), CONFIG.seen_first(t)))
    return canvas, latents


def test_cells_nest() -> None:
    """What is known after more steps lies inside what was known before."""
    array = synthetic(40, 48)
    earlier: list[tuple[np.ndarray, np.ndarray]] = []
    for steps in range(len(CONFIG.steps) + 1):
        canvas, _ = canvas_after(steps, array)
        now = []
        for known, cells in zip(canvas.known, canvas.cells, strict=True):
            size = np.abs(known.astype(int))
            low, high = size * cells, np.where(cells, (size + 1) * cells, 2**20)
            now.append((np.where(known == 0, -high, np.where(known > 0, low, -high)),
                        np.where(known == 0, high, np.where(known > 0, high, -low))))
        for (low, high), (low_before, high_before) in zip(now, earlier, strict=False):
            assert (low >= low_before).all()
            assert (high <= high_before).all()
        earlier = now


def test_middles_of_the_largest_numbers_of_cells() -> None:
    assert middles_of(np.array([32767, -32767, 0], np.int16), np.full(3, 2, np.int32)).tolist() == [65535, -65535, 0]


def test_signs_are_expected_of_what_is_zero_alone() -> None:
    canvas, _ = canvas_after(3, synthetic(40, 48))
    known = canvas.of_step(3)
    ones = np.ones_like(known)
    assert (canvas.turned(3, ALL, ones) == 1).all()
    canvas.expect(3, Convolver("float32", 1))
    signs = canvas.turned(3, ALL, ones)
    assert np.array_equal(canvas.turned(3, ALL, signs), ones)
    assert set(np.unique(signs)) == {-1, 1}
    assert (signs[known != 0] == 1).all()


def test_what_is_expected_counts_away_from_zero() -> None:
    canvas, _ = canvas_after(5, np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8))
    convolve = Convolver("float32", 1)
    canvas.expect(5, convolve)
    known, told = canvas.known[-1], canvas.expected[-1]
    assert told is not None
    offsets = canvas._forecast(5, slice(0, len(known)), convolve)[0].astype(int) - 128
    assert (known < 0).any()
    assert np.array_equal(told.astype(int) - 128, np.where(known < 0, -1, 1) * offsets.clip(min=-127))


def test_a_forecast_that_changes_nothing_expects_the_middles() -> None:
    canvas, _ = canvas_after(7, synthetic(40, 48))
    forecast = canvas.model.forecast
    silent = replace(forecast.exit, weight=np.zeros_like(forecast.exit.weight),
                     bias=np.full_like(forecast.exit.bias, 128), factor=np.ones_like(forecast.exit.factor))
    canvas.model = replace(canvas.model, forecast=replace(forecast, exit=silent))
    canvas.expect(6, Convolver("float32", 1))
    *coarser, finest = canvas.expected
    assert finest is not None
    assert (finest == 128).all()
    for expected in coarser:
        assert expected is not None
        assert (np.abs(expected.astype(int) - 128) <= 1).all()  # of 64: the way there and back is rounded


def test_what_is_missing_stays_open_until_it_comes() -> None:
    """A step in two parts: until the second, a coefficient lies in the cell in which it lay before."""
    array, rng = synthetic(40, 48), np.random.default_rng(0)
    (canvas, latents), (whole, _) = canvas_after(3, array), canvas_after(4, array)
    before, middles = canvas.of_step(3).copy(), canvas.middles(0)
    symbols = symbols_of(before, latents.of_step(3), CONFIG.seen_first(3))
    there = rng.random(symbols.shape) < 0.5
    canvas.take(3, ALL, symbols * there, ~there)
    assert np.array_equal(canvas.of_step(3)[~there], 2 * before[~there])
    assert np.array_equal(canvas.middles(0)[~there], middles[~there])
    assert np.array_equal(canvas.middles(0)[there], whole.middles(0)[there])
    assert (before[~there] != 0).any()
    canvas.complete(3, ALL, symbols * ~there)
    assert np.array_equal(canvas.middles(0), whole.middles(0))
    for found, expected in zip(canvas.known + canvas.logarithms, whole.known + whole.logarithms, strict=True):
        assert np.array_equal(found, expected)
