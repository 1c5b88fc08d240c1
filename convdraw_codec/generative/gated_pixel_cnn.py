"""Gated PixelCNN: pixels one after the other, row by row, each drawn from what the earlier ones say.

Equation numbers are those of van den Oord et al., "Conditional Image Generation with PixelCNN Decoders" (2016). Two
stacks of convolutions see all earlier pixels within reach: one the rows above, the other what lies to the left.
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
from .base import Autoregressive
from .output import Output

FIRST_KERNEL = 7


@dataclass(frozen=True)
class PixelCNNConfig(Sizes):
    """channels: of each stack. layers: of both, the first with a kernel of 7, the others with ``kernel``."""

    BOUNDS: ClassVar = Sizes.BOUNDS | {"layers": (1, 64)}
    picture: Output
    channels: int
    layers: int
    kernel: int


def gated(x: Tensor) -> Tensor:
    """Equation (2): (B, 2 n, H, W) -> (B, n, H, W)."""
    feature, gate = x.chunk(2, dim=1)
    return torch.tanh(feature) * torch.sigmoid(gate)


class GatedLayer(nn.Module):
    """One layer of both stacks, Figure 2. ``first``: it sees pixels, and not the one at its own position."""

    def __init__(self, inputs: int, channels: int, kernel: int, *, first: bool):
        super().__init__()
        self.reach, self.first = kernel // 2, first
        self.down = nn.Conv2d(inputs, 2 * channels, (self.reach + 1, kernel))
        self.across = nn.Conv2d(inputs, 2 * channels, (1, self.reach + (not first)))
        self.link = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.exit = nn.Conv2d(channels, channels, 1)

    def above(self, x: Tensor) -> Tensor:
        """What ``down`` takes: rows as far up as it sees, without the last one in the first layer; zeros outside."""
        return F.pad(x, [self.reach, self.reach, self.reach + self.first, -int(self.first)])

    def before(self, x: Tensor) -> Tensor:
        """What ``across`` takes: as far to the left as it sees, without the last one in the first layer."""
        return F.pad(x, [self.reach, -int(self.first)])

    def beside(self, seen: Tensor, down: Tensor, h: Tensor) -> Tensor:
        """The horizontal stack, from what ``before`` gives, what ``down`` says, and its own value so far."""
        new = self.exit(gated(self.across(seen) + self.link(down)))
        return new if self.first else h + new

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Both stacks, (B, inputs, H, W) each."""
        down = self.down(self.above(v))
        return gated(down), self.beside(self.before(h), down, h)


class PixelCNN(Autoregressive):
    """The model of a ``PixelCNNConfig``."""

    parts: Sequence[GatedLayer]

    def __init__(self, config: PixelCNNConfig):
        super().__init__(config.picture, config.channels)
        self.config, channels = config, config.channels
        first = GatedLayer(config.picture.channels, channels, FIRST_KERNEL, first=True)
        others = (GatedLayer(channels, channels, config.kernel, first=False) for _ in range(config.layers - 1))
        self.parts = nn.ModuleList([first, *others])  # type: ignore[assignment]

    def distribution(self, canvas: Tensor, x: Tensor) -> Distribution:
        v = h = x
        for part in self.parts:
            v, h = part(v, h)
        return self.picture.distribution(canvas + self.said(h))

    def render(self, canvas: Tensor, choose: Callable[[Distribution, Any], Tensor]) -> Tensor:
        """Each convolution is computed once at each position: the vertical stack by rows, the other by pixels."""
        picture, parts, reach = self.picture, self.parts, FIRST_KERNEL // 2
        batch, height, width = len(canvas), picture.height, picture.width
        pixels = canvas.new_zeros(batch, picture.channels, height, width)
        # what each layer sees: of the vertical stack, the rows above; of the other, this row so far; with margins
        above = [canvas.new_zeros(batch, part.down.in_channels, height + part.reach + part.first,
                                  width + 2 * part.reach) for part in parts]
        for y in range(height):
            before = [canvas.new_zeros(batch, part.across.in_channels, 1, width + part.reach) for part in parts]
            downs = list[Tensor]()
            for part, seen in zip(parts, above, strict=True):
                if not part.first:
                    seen[:, :, y + part.reach, part.reach:part.reach + width] = gated(downs[-1])[:, :, 0]
                downs.append(part.down(seen[:, :, y:y + part.reach + 1]))
            for x in range(width):
                h = canvas.new_zeros(())
                for part, down, seen in zip(parts, downs, before, strict=True):
                    if not part.first:
                        seen[..., x + part.reach] = h[..., 0]
                    window = seen[..., x:x + part.reach + (not part.first)]
                    h = part.beside(window, down[..., x:x + 1], h)
                now = canvas[:, :, y:y + 1, x:x + 1] + self.said(h)
                shown = picture.choose_pixel(now, pixels, y, x, choose)
                above[0][:, :, y + reach + 1, x + reach] = shown
                before[0][..., 0, x + reach] = shown
        return pixels
