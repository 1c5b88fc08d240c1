"""A causal output: the pixels one after the other, row by row, each of which the canvas and the earlier ones predict.

As in PixelCNN (van den Oord et al., "Pixel Recurrent Neural Networks", 2016), here upon latents (as in Gulrajani et
al., "PixelVAE", 2017). It only corrects the canvas, which is the same in all models.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Distribution

from ..configuration import Sizes
from .output import Output

KERNEL = 7  # of the first convolutions
LOGITS_A_UNIT = 8  # the network sees logits divided by 8


@dataclass(frozen=True)
class CausalSize(Sizes):
    """channels: of every hidden layer. layers: 3x3 convolutions after the first, of 7x7."""

    BOUNDS: ClassVar = {"layers": (0, 64)}
    channels: int
    layers: int


class CausalConv(nn.Module):
    """A convolution that sees the rows above, what lies to the left, and, with ``itself``, the position; without
    padding: (B, inputs, H, W) -> (B, outputs, H - kernel // 2, W - kernel + 1)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, itself: bool):
        super().__init__()
        self.shape, taps = (kernel // 2 + 1, kernel), kernel**2 // 2 + itself
        bound = (inputs * taps) ** -0.5
        self.weight = nn.Parameter(torch.empty(outputs, inputs, taps).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        unseen = self.shape[0] * self.shape[1] - self.weight.shape[2]
        return F.conv2d(x, F.pad(self.weight, (0, unseen)).unflatten(2, self.shape))


class CausalOutput(nn.Module):
    """Corrects the canvas of an ``Output``. Untrained, it corrects nothing."""

    def __init__(self, picture: Output, size: CausalSize):
        super().__init__()
        self.picture, self.layers, channels = picture, size.layers, size.channels
        self.reach = size.layers + KERNEL // 2
        self.canvas = nn.Conv2d(picture.canvas_channels + 1, channels, KERNEL)
        self.known = CausalConv(picture.channels, channels, KERNEL, itself=False)
        self.hidden = nn.ModuleList(CausalConv(channels, channels, 3, itself=True) for _ in range(size.layers))
        # of every canvas channel, and of a mean by what is known of the channels before
        between = 0 if picture.output == "bernoulli" else picture.channels * (picture.channels - 1) // 2
        self.exit = nn.Conv2d(channels, picture.canvas_channels + between, 1)
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)  # type: ignore[arg-type]

    def forward(self, canvas: Tensor, x: Tensor) -> Tensor:
        """The canvas, (B, canvas channels, H, W), that pixels x, (B, channels, H, W) in units, are drawn from."""
        return self._corrected(canvas, self._corrections(self._shown(canvas), self._with_margin(x)), x)

    def render(self, canvas: Tensor, choose: Callable[[Distribution, Any], Tensor]) -> Tensor:
        """Pixels as ``choose`` gives them, one place after the other; see ``Generative.render``."""
        picture, reach, layers = self.picture, self.reach, self.layers
        pixels = canvas.new_zeros(len(canvas), picture.channels, picture.height, picture.width)
        shown, known = self._shown(canvas), self._with_margin(torch.zeros_like(pixels))
        for y, x in itertools.product(range(picture.height), range(picture.width)):
            corrections = self._corrections(shown[:, :, y:y + layers + 1, x:x + 2 * layers + 1],
                                            known[:, :, y:y + reach + 1, x:x + 2 * reach + 1])
            here = known[:, :, y + reach:y + reach + 1, x + reach:x + reach + 1]
            for channel in range(picture.channels):
                place = slice(None), slice(channel, channel + 1), slice(y, y + 1), slice(x, x + 1)
                corrected = self._corrected(canvas[:, :, y:y + 1, x:x + 1], corrections, here)
                pixels[place] = choose(picture.of_channel(corrected, channel, pixels[:, :, y:y + 1, x:x + 1]), place)
                here[:, channel] = picture.middles(pixels[place])[:, 0]
        return pixels

    def _with_margin(self, x: Tensor) -> Tensor:
        """(B, C, H, W), with zeros above, to the left and to the right, as far as the network sees."""
        return F.pad(x, [self.reach, self.reach, self.reach, 0])

    def _shown(self, canvas: Tensor) -> Tensor:
        """What the network sees of a canvas: (B, hidden channels, H, W), with the margin that its layers need."""
        seen = canvas / LOGITS_A_UNIT if self.picture.output == "bernoulli" else canvas
        around = KERNEL // 2
        return self.canvas(F.pad(torch.cat([seen, torch.ones_like(seen[:, :1])], dim=1),
                                 [self.reach, self.reach, self.reach, around]))

    def _corrections(self, shown: Tensor, known: Tensor) -> Tensor:
        """Of ``_shown`` and of pixels with their margin -> what the network says, (B, ..., H, W)."""
        seen = shown + self.known(known)
        for layer in self.hidden:
            seen = seen[:, :, 1:, 1:-1] + layer(F.relu(seen))
        return self.exit(F.relu(seen)).float()

    def _corrected(self, canvas: Tensor, corrections: Tensor, x: Tensor) -> Tensor:
        """A canvas with its corrections; x: pixels, of which a channel sees those before it."""
        own, between = corrections.tensor_split([canvas.shape[1]], dim=1)
        canvas = canvas + own
        if between.shape[1] == 0:
            return canvas
        means: list[Tensor] = []
        factors = iter(between.unbind(1))
        for channel, mean in enumerate(canvas[:, :x.shape[1]].unbind(1)):
            for earlier in range(channel):
                mean = mean + next(factors) * (x[:, earlier] - means[earlier])
            means.append(mean)
        return torch.cat([torch.stack(means, dim=1), canvas[:, x.shape[1]:]], dim=1)
