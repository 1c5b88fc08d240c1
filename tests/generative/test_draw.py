"""The windows of DRAW's attention are those of its equations."""

import math

import pytest
import torch

from convdraw_codec.generative.draw import DRAW, DRAWConfig, window
from convdraw_codec.generative.output import Output
from convdraw_codec.generative.weights import new_model


def test_filters_are_those_of_the_equations() -> None:
    """(19)-(26), written out."""
    height, width, filters = 9, 14, 3
    parameters = [0.3, -0.2, 0.5, -0.7, 0.1]
    place = window(torch.tensor([parameters]), filters, height, width)
    x, y = (width + 1) / 2 * (0.3 + 1), (height + 1) / 2 * (-0.2 + 1)
    spacing = (max(height, width) - 1) / (filters - 1) * math.exp(-0.7)
    for bank, centre, size in ((place.columns, x, width), (place.rows, y, height)):
        for i in range(1, filters + 1):
            mean = centre + (i - filters / 2 - 0.5) * spacing
            row = [math.exp(-(a - mean) ** 2 / (2 * math.exp(0.5))) for a in range(1, size + 1)]
            assert bank[0, i - 1].tolist() == pytest.approx([v / sum(row) for v in row], abs=1e-6)
    assert place.intensity.item() == pytest.approx(math.exp(0.1))


def test_a_window_beyond_the_picture_can_come_back() -> None:
    """Its filters still sum to one, and it has a gradient."""
    parameters = torch.tensor([[1.6, -1.8, -1.0, -2.0, 0.0]], requires_grad=True)
    place = window(parameters, 2, 8, 12)
    assert place.rows.sum(2).allclose(torch.ones(1, 2))
    place.read(torch.arange(96.0).view(1, 1, 8, 12)).sum().backward()
    assert (parameters.grad[0, :2] != 0).all()
    extreme = window(torch.tensor([[30.0, -40.0, -90.0, 90.0, 90.0]]), 2, 8, 12)
    assert extreme.rows.isfinite().all()
    assert extreme.intensity.isfinite().all()


def test_attention_begins_with_the_whole_picture() -> None:
    model = new_model(DRAWConfig(Output(1, 28, 28, "bernoulli"), 2, 16, 4, read=2, write=5))
    for head, filters in ((model.to_read, 2), (model.to_write, 5)):
        place = window(head.bias[None], filters, 28, 28)
        centres = [28 / filters * (i + 0.5) - 0.5 for i in range(filters)]
        assert place.rows[0].argmax(1).tolist() == pytest.approx(centres, abs=1)


def test_a_window_reads_what_lies_under_it() -> None:
    picture = torch.zeros(1, 1, 20, 20)
    picture[0, 0, 4, 15] = 1.0  # row 5, column 16, counted from one
    across, down = 16 / 10.5 - 1, 5 / 10.5 - 1
    place = window(torch.tensor([[across, down, -6.0, math.log(2 / 19 * 2), 0.0]]), 3, 20, 20)
    patch = place.read(picture)[0, 0]
    assert patch[1, 1] == pytest.approx(1.0, abs=1e-3)
    assert patch.sum() == pytest.approx(1.0, abs=1e-3)
    assert place.write(patch[None, None])[0, 0, 4, 15] == pytest.approx(1.0, abs=1e-2)


def test_the_prior_of_its_authors_is_standard_normal() -> None:
    model = new_model(DRAWConfig(Output(1, 8, 8, "bernoulli"), 3, 16, 4, standard_prior=True))
    assert isinstance(model, DRAW)
    decoder = model.start(2)
    for _ in range(3):
        p = model.prior(0, decoder)
        assert torch.equal(p.mean, torch.zeros(2, 4))
        assert torch.equal(p.stddev, torch.ones(2, 4))
        decoder = model.absorb(0, torch.randn(2, 4), decoder)
