"""The networks in bytes are those that are trained, whatever the path, and strips change nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from convdraw_codec import Codec
from convdraw_codec.coding.canvas import Canvas, symbols_of
from convdraw_codec.coding.rotation_fit import colours_of
from convdraw_codec.coding.source import Latents
from convdraw_codec.network.config import Step
from convdraw_codec.network.convolution import GRAPHS, Convolver, is_exact
from convdraw_codec.network.prior import REACH, enlarged, margins, pooled, strips, widened
from convdraw_codec.network.weights import assemble
from convdraw_codec.training.export import arrays_of
from convdraw_codec.training.networks.prior import rows_of
from convdraw_codec.training.objectives import middles_at, turned

from ..conftest import synthetic
from ..tiny import CONFIG, tiny_networks

ALL = slice(None)


@pytest.mark.parametrize("path", [path for path in GRAPHS if is_exact(path)])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_row_and_estimate_is_that_of_training(path: str, seed: int) -> None:
    """On the way of a picture through all steps: rows of symbols, expected signs, planes as the estimator has them."""
    networks, array, convolve = tiny_networks(seed), synthetic(40, 56, seed), Convolver(path, 1)
    model, colours = assemble(CONFIG, arrays_of(networks)), colours_of(array)
    planes, _, _ = turned(torch.from_numpy(array.astype(np.float32)).permute(2, 0, 1)[None])
    latents = networks.prior.latents(planes)
    source = Latents(model, array.transpose(2, 0, 1), colours)
    canvas, states, signs_seen, late_seen = Canvas(model, 40, 56), model.prior.start(40, 56), 0, 0
    with torch.no_grad():
        for t, prediction in enumerate(networks.prior(latents, networks.forecast)):
            step, first = CONFIG.steps[t], CONFIG.seen_first(t)
            layer, before = step.layer, canvas.of_step(t)
            if step.forecast:
                canvas.expect(t, convolve)
            [(_, rows)] = model.prior.step(t, states, canvas.logarithms[layer], canvas.transform.low(layer),
                                           canvas.expected[layer], convolve)
            assert np.array_equal(rows, rows_of(prediction, first)[0].permute(1, 2, 0))
            signs = latents.signs[layer][:, step.first:step.last]
            after = (prediction.after * signs)[0].permute(1, 2, 0).numpy()
            assert np.array_equal(after, source.of_step(t))
            odds = prediction.odds[0].permute(1, 2, 0).numpy()
            there = (before == 0) & (after != 0) & (odds != 0)
            signs_seen += there.sum()
            assert np.array_equal((canvas.turned(t, ALL, after) > 0)[there], (odds > 0)[there])
            late = np.zeros(rows.shape, bool)
            if prediction.late is not None:
                late = prediction.late[0].permute(1, 2, 0).numpy()
            late_seen += late.sum()
            canvas.take(t, ALL, symbols_of(before, after, first) * ~late, late)
            if prediction.late is None:
                for s, still in canvas.open.items():
                    symbols = symbols_of(canvas.of_step(s), source.of_step(s), CONFIG.seen_first(s))
                    canvas.complete(s, ALL, symbols * still)
                    assert np.array_equal(canvas.of_step(s), source.of_step(s))
                canvas.open.clear()
            values = middles_at(networks, latents, t, 1)
            for layer, value in enumerate(values):
                assert np.array_equal(value[0].permute(1, 2, 0), canvas.middles(layer))
            shown = canvas.estimated(slice(0, len(canvas.known[-1])), t, convolve)
            assert np.array_equal(shown, networks.estimator(networks.prior.shown(values), t)[0])
    assert late_seen > 10
    assert signs_seen > 10


def test_passes_go_from_coarse_to_fine_and_send_nothing_twice() -> None:
    found = {CONFIG.pass_of(t) for t in range(len(CONFIG.steps))}
    assert found == {range(3), range(3, 6), range(6, 7)}
    steps = Step(0, 40, 0, 20), Step(0, 40, 20, 30), Step(0, 20, 0, 30)
    one_layer = replace(CONFIG, layers=CONFIG.layers[:1], steps=steps)
    assert [one_layer.pass_of(t) for t in range(3)] == [range(2), range(2), range(2, 3)]


@pytest.mark.parametrize("pixels", [1, 300, 2000])
def test_strips_change_nothing(tiny: Codec, monkeypatch: pytest.MonkeyPatch, pixels: int) -> None:
    array = synthetic(70, 45)
    data = tiny.compress(array, tiny.lossless_steps)
    expected = [picture.tobytes() for picture in tiny.progressive(data)]
    for name in ("network.prior.STRIP_PIXELS", "coding.strip_transform.SHOWN_PIXELS",
                 "coding.source.SHOWN_PIXELS", "coding.lossless.STRIP_SQUARES"):
        monkeypatch.setattr(f"convdraw_codec.{name}", pixels)
    assert tiny.compress(array, tiny.lossless_steps) == data
    assert [picture.tobytes() for picture in tiny.progressive(data)] == expected


def test_strips_cover_all_rows() -> None:
    for height, rows, parts in ((10, 3, 1), (3, 0, 2), (7, 100, 3), (100, 30, 8), (1, 1, 4)):
        found = strips(height, rows, parts)
        assert [i for strip in found for i in range(strip.start, strip.stop)] == list(range(height))
        assert len(found) == 1 or min(strip.stop - strip.start for strip in found) >= REACH
    assert max(strip.stop - strip.start for strip in strips(100, 30)) <= 30
    assert len(strips(64, 100, 2)) == 2
    assert len(strips(15, 100, 2)) == 1  # too few rows to share
    assert widened(slice(0, 3), 10, 2) == slice(0, 5)


def test_a_margin_is_what_lies_around_or_outside() -> None:
    given: Any = np.arange(5 * 4).reshape(5, 4, 1).astype(np.uint8)
    whole = margins(given, slice(0, 5), slice(0, 5), np.array([99], np.uint8))
    assert whole.shape == (7, 6, 1)
    assert (whole[0] == 99).all()
    assert (whole[:, -1] == 99).all()
    part = margins(given[1:4], slice(1, 4), slice(2, 3), np.array([99], np.uint8))
    assert np.array_equal(part, whole[2:5])


def test_states_of_other_layers() -> None:
    h = np.random.default_rng(0).integers(0, 256, (4, 6, 2), np.uint8)
    large = enlarged(h, 2, slice(1, 7))
    assert np.array_equal(large, h.repeat(2, 0).repeat(2, 1)[1:7])
    small = pooled(h, 2, slice(1, 2))
    assert np.array_equal(small[0, 1], (h[2:4, 2:4].astype(int).sum((0, 1)) + 2) // 4)
