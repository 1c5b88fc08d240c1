"""PixelRNN: pixels one after the other, row by row, each drawn from what two-dimensional LSTMs remember of the others.

As in van den Oord et al., "Pixel Recurrent Neural Networks" (2016); equation and figure numbers are theirs. Colours
depend on each other by the output, so no masks are needed for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Distribution

from ..configuration import Sizes
from ..errors import ConfigError
from .base import Autoregressive
from .layers.lstm import lstm
from .output import Output

FIRST_KERNEL = 7
ROW_KERNEL = 3


@dataclass(frozen=True)
class PixelRNNConfig(Sizes):
    """recurrence: "row" or "diagonal". state: channels of each LSTM; half of those between them. layers: LSTMs."""

    BOUNDS: ClassVar = Sizes.BOUNDS | {"layers": (1, 64)}
    picture: Output
    recurrence: str
    state: int
    layers: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.recurrence not in RECURRENCES:
            raise ConfigError(f"the recurrence of a model is {' or '.join(RECURRENCES)}, not {self.recurrence!r}")


Memory = tuple[Tensor, ...]  # of the row above: h, and c where it is needed


class RowLSTM(nn.Module):
    """Each row from the one above it, by convolutions along the row, equation (3): it sees a triangle of pixels, as in
    Figure 4."""

    def __init__(self, inputs: int, state: int):
        super().__init__()
        self.state, self.reach = state, ROW_KERNEL // 2
        self.from_inputs = nn.Conv2d(inputs, 4 * state, (1, self.reach + 1))
        self.from_state = nn.Conv1d(state, 4 * state, ROW_KERNEL, padding=self.reach, bias=False)

    def start(self, batch: int, width: int) -> Memory:
        """The memory above the first row."""
        nothing = self.from_state.weight.new_zeros(batch, self.state, width)
        return nothing, nothing

    def _next(self, gates: Tensor, memory: Memory) -> Memory:
        return lstm(gates + self.from_state(memory[0]), memory[1])

    def _gates(self, x: Tensor) -> Tensor:
        return self.from_inputs(F.pad(x, [self.reach, 0]))

    def row(self, x: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """One row, (B, inputs, W), after that of the memory: what it says, (B, state, W), and its memory."""
        memory = self._next(self._gates(x[:, :, None])[:, :, 0], memory)
        return memory[0], memory

    def forward(self, x: Tensor) -> Tensor:
        """All rows: (B, inputs, H, W) -> (B, state, H, W)."""
        memory, rows = self.start(len(x), x.shape[3]), list[Tensor]()
        for gates in self._gates(x).unbind(2):
            memory = self._next(gates, memory)
            rows.append(memory[0])
        return torch.stack(rows, dim=2)


class DiagonalBiLSTM(nn.Module):
    """Each position from the one above it and the one beside it: once from the left, and once from the right, of which
    the row above is seen. So it sees all earlier pixels, but for the last one of the row above.

    Both directions are computed together, the latter on mirrored rows; and all positions of a diagonal, which are a
    column once each row is shifted by one more than that above it, Figure 3.
    """

    def __init__(self, inputs: int, state: int):
        super().__init__()
        self.state = state
        self.from_inputs = nn.Conv2d(inputs, 8 * state, 1)
        bound = (2 * state) ** -0.5
        self.from_states = nn.Parameter(torch.empty(2, 2 * state, 4 * state).uniform_(-bound, bound))

    def start(self, batch: int, width: int) -> Memory:
        """The memory above the first row: h of both directions."""
        return (self.from_states.new_zeros(2, batch, width, self.state),)

    def _gates(self, x: Tensor) -> Tensor:
        """What pixels give to the gates: (B, inputs, H, W) -> (2, B, H, W, 4 state), the second mirrored."""
        left, right = self.from_inputs(x).permute(0, 2, 3, 1).chunk(2, dim=3)
        return torch.stack([left, right.flip(2)])

    def _next(self, gates: Tensor, beside: Tensor, above: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """h and c, (2, N, state), from those of the positions beside and h of those above."""
        given = gates + torch.cat([beside, above], dim=2) @ self.from_states
        h, c = lstm(given.flatten(0, 1), c.flatten(0, 1))
        return h.view_as(beside), c.view_as(beside)

    def row(self, x: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """As that of ``RowLSTM``."""
        (above,), made = memory, list[Tensor]()
        h = c = torch.zeros_like(above[:, :, 0])
        for column, gates in enumerate(self._gates(x[:, :, None])[:, :, 0].unbind(2)):
            h, c = self._next(gates, h, above[:, :, column], c)
            made.append(h)
        new = torch.stack(made, dim=2)
        said = new[0] + above[1].flip(1)
        return said.transpose(1, 2), (new,)

    def forward(self, x: Tensor) -> Tensor:
        """All rows: (B, inputs, H, W) -> (B, state, H, W)."""
        batch, _, height, width = x.shape
        gates = F.pad(self._gates(x), [0, 0, 0, height])  # and a row of H + W columns, less one shift, is the next
        skewed = gates.flatten(2, 3)[:, :, :-height].unflatten(2, (height, -1))
        h = c = x.new_zeros(2, batch * height, self.state)
        columns = list[Tensor]()
        for column in skewed.unbind(3):
            above = F.pad(h.view(2, batch, height, -1), [0, 0, 1, -1]).flatten(1, 2)
            h, c = self._next(column.flatten(1, 2), h, above, c)
            columns.append(h.view(2, batch, height, -1))
        made = F.pad(torch.stack(columns, dim=3).flatten(2, 3), [0, 0, 0, height])
        left, right = made.unflatten(2, (height, -1))[:, :, :, :width]
        return (left + F.pad(right.flip(2), [0, 0, 0, 0, 1, -1])).permute(0, 3, 1, 2)


RECURRENCES: dict[str, type[RowLSTM] | type[DiagonalBiLSTM]] = {"row": RowLSTM, "diagonal": DiagonalBiLSTM}


class PixelRNN(Autoregressive):
    """The model of a ``PixelRNNConfig``: a convolution that sees earlier pixels, LSTMs with residual connections,
    Figure 5, and two convolutions at each position."""

    parts: Sequence[RowLSTM | DiagonalBiLSTM]

    def __init__(self, config: PixelRNNConfig):
        super().__init__(config.picture, 2 * config.state)
        self.config, channels, reach = config, 2 * config.state, FIRST_KERNEL // 2
        self.above = nn.Conv2d(config.picture.channels, channels, (reach, FIRST_KERNEL))
        self.before = nn.Conv2d(config.picture.channels, channels, (1, reach), bias=False)
        self.parts = nn.ModuleList(  # type: ignore[assignment]
            RECURRENCES[config.recurrence](channels, config.state) for _ in range(config.layers))
        self.widen = nn.ModuleList(nn.Conv2d(config.state, channels, 1) for _ in range(config.layers))

    def _entry(self, x: Tensor) -> Tensor:
        """What the earlier pixels around each position say, of pixels with margins: three above, left and right."""
        reach = FIRST_KERNEL // 2
        rows = x.shape[2] - reach
        return self.above(x[:, :, :rows + reach - 1]) + self.before(x[:, :, reach:, :-reach - 1])

    def distribution(self, canvas: Tensor, x: Tensor) -> Distribution:
        reach = FIRST_KERNEL // 2
        seen = self._entry(F.pad(x, [reach, reach, reach, 0]))
        for part, widen in zip(self.parts, self.widen, strict=True):
            seen = seen + widen(part(seen))
        return self.picture.distribution(canvas + self.said(seen))

    def render(self, canvas: Tensor, choose: Callable[[Distribution, Any], Tensor]) -> Tensor:
        """The row of a pixel is computed for each of them anew, the rows above only once."""
        picture, reach = self.picture, FIRST_KERNEL // 2
        batch, height, width = len(canvas), picture.height, picture.width
        pixels = canvas.new_zeros(batch, picture.channels, height, width)
        known = F.pad(pixels, [reach, reach, reach, 0])
        memories = [part.start(batch, width) for part in self.parts]
        for y in range(height):
            made = memories
            for x in range(width):
                seen, made = self._entry(known[:, :, y:y + reach + 1]), []
                for part, widen, memory in zip(self.parts, self.widen, memories, strict=True):
                    said, new = part.row(seen[:, :, 0], memory)
                    seen, made = seen + widen(said[:, :, None]), [*made, new]
                now = canvas[:, :, y:y + 1, x:x + 1] + self.said(seen[:, :, :, x:x + 1])
                known[:, :, y + reach, x + reach] = picture.choose_pixel(now, pixels, y, x, choose)
            memories = made  # those of its last pixel, which is in none of them
        return pixels
