"""Long short-term memories: in real numbers for encoders and generative models, in exact integers for the decoder."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .exact_conv import GATE_LIMIT, UNIT, IntegerConv, rectified_conv, round_through, whole


def lstm(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """h and c of a long short-term memory from its gates, (B, 4n, ...), and its last c, (B, n, ...)."""
    admit, keep, emit, candidate = gates.float().chunk(4, dim=1)
    c = torch.sigmoid(keep + 1) * c + torch.sigmoid(admit) * torch.tanh(candidate)
    return torch.sigmoid(emit) * torch.tanh(c), c


def _look_up(table: Tensor, index: Tensor) -> Tensor:
    """The table's entry for every index from -1023 on, (B, C, H, W)."""
    places = index.to(torch.int32).add_(GATE_LIMIT).permute(0, 2, 3, 1)
    return table.index_select(0, places.flatten()).view(places.shape).permute(0, 3, 1, 2)  # several times table[places]


def sigmoid_units(index: Tensor, table: Tensor | None) -> Tensor:
    """Logistic function of index/128, in units of 1/128 (0..128). table: as ``gate_tables`` gives it, if it is stored.
    """
    if table is not None:
        return _look_up(table, index)
    return round_through(UNIT * torch.sigmoid(index / UNIT))


def tanh_units(index: Tensor, table: Tensor | None) -> Tensor:
    """Hyperbolic tangent of index/128, in units of 1/128 (-127..127); table as for ``sigmoid_units``."""
    if table is not None:
        return _look_up(table, index)
    return round_through((UNIT * torch.tanh(index / UNIT)).clamp(-(UNIT - 1), UNIT - 1))


def gate_tables() -> tuple[Tensor, Tensor]:
    """The stored look-up tables of the logistic function and of tanh: index -1023..1023, in 1/128."""
    grid = range(-GATE_LIMIT, GATE_LIMIT + 1)
    logistic = [round(UNIT / (1 + math.exp(-i / UNIT))) for i in grid]
    tanh = [max(1 - UNIT, min(UNIT - 1, round(UNIT * math.tanh(i / UNIT)))) for i in grid]
    return torch.tensor(logistic, dtype=torch.float32), torch.tensor(tanh, dtype=torch.float32)


class IntegerConvLSTM(nn.Module):
    """A convolutional LSTM whose state (h, c) holds integers in units of 1/128."""

    def __init__(self, inputs: int, state: int, kernel: int):
        super().__init__()
        self.state = state
        self.gates_from_input = rectified_conv(inputs, 4 * state, kernel, output_unit=1 / UNIT)
        self.gates_from_state = IntegerConv(state, 4 * state, kernel, input_unit=1 / UNIT, input_limit=UNIT - 1,
                                            output_unit=1 / UNIT, bias=False)
        with torch.no_grad():
            self.gates_from_input.get_parameter("bias")[state:2 * state] = 1.0  # remember by default
        self.tables: tuple[Tensor | None, Tensor | None] = (None, None)

    def look_up(self, logistic: Tensor, tanh: Tensor) -> None:
        """Use stored tables from now on, as ``gate_tables`` gives them."""
        self.tables = logistic, tanh

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """x: (B, inputs, H, W) integers 0..127; h, c: (B, state, H, W). Returns the new h and c."""
        logistic, tanh = self.tables
        gates = self.gates_from_input(x)
        gates += self.gates_from_state(h)
        index = whole(gates, -GATE_LIMIT, GATE_LIMIT)
        candidate = tanh_units(index[:, 3 * self.state:], tanh)
        admit, keep, emit = sigmoid_units(index[:, :3 * self.state], logistic).chunk(3, dim=1)
        c = torch.addcmul(keep * c, admit, candidate)
        c /= UNIT
        c = whole(c, -GATE_LIMIT, GATE_LIMIT)
        h = emit * tanh_units(c, tanh)
        h /= UNIT
        return whole(h, 1 - UNIT, UNIT - 1), c
