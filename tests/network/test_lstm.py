"""The recurrence of the decoder: the same by stored tables as in training."""

import torch

from convdraw_codec.network.exact_conv import GATE_LIMIT, UNIT
from convdraw_codec.network.lstm import IntegerConvLSTM, gate_tables

from .test_exact_conv import integers


def test_gate_tables() -> None:
    logistic, tanh = gate_tables()
    middle = GATE_LIMIT
    assert [logistic[middle], tanh[middle]] == [64, 0]
    assert [logistic[0], logistic[-1], tanh[0], tanh[-1]] == [0, 128, -127, 127]
    assert (logistic.diff() >= 0).all()
    assert torch.equal(tanh.flip(0), -tanh)


def test_the_recurrence_by_tables_is_that_of_training() -> None:
    torch.manual_seed(1)
    cell = IntegerConvLSTM(6, 5, 3)
    x = integers(5, 1, 6, 9, 9).abs()
    h, c = integers(6, 1, 5, 9, 9), integers(7, 1, 5, 9, 9, limit=GATE_LIMIT)
    with torch.no_grad():
        trained = cell(x, h, c)
        cell.look_up(*gate_tables())
        exact = cell(x, h, c)
    for a, b in zip(trained, exact, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(b, b.round())
    assert exact[0].abs().max() < UNIT
