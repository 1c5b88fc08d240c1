"""Long short-term memories: in real numbers for encoders and generative models, in exact integers for the decoder."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

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


def sigmoid_units(index: Tensor) -> Tensor:
    """Logistic function of index/128, in units of 1/128 (0..128)."""
    return round_through(UNIT * torch.sigmoid(index / UNIT))


def tanh_units(index: Tensor) -> Tensor:
    """Hyperbolic tangent of index/128, in units of 1/128 (-127..127)."""
    return round_through((UNIT * torch.tanh(index / UNIT)).clamp(1 - UNIT, UNIT - 1))


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
        self.functions: tuple[Callable[[Tensor], Tensor], ...] = sigmoid_units, tanh_units

    def look_up(self, *tables: Tensor) -> None:
        """Use stored tables of the logistic function and of tanh from now on, as ``gate_tables`` gives them."""
        self.functions = tuple(partial(_look_up, table) for table in tables)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """x: (B, inputs, H, W) integers 0..127; h, c: (B, state, H, W). Returns the new h and c."""
        logistic, tanh = self.functions
        index = whole(self.gates_from_input(x).add_(self.gates_from_state(h)), -GATE_LIMIT, GATE_LIMIT)
        candidate = tanh(index[:, 3 * self.state:])
        admit, keep, emit = logistic(index[:, :3 * self.state]).chunk(3, dim=1)
        c = whole(torch.addcmul(keep * c, admit, candidate).div_(UNIT), -GATE_LIMIT, GATE_LIMIT)
        return whole((emit * tanh(c)).div_(UNIT), 1 - UNIT, UNIT - 1), c
