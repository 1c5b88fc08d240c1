"""Mixtures of discretised logistic distributions of levels, in which a colour follows from those before it.

As in PixelCNN++ (Salimans et al., 2017): a level has what lies within half a level of it, the first and the last all
that lies beyond.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution

COMPONENTS = 10
LAST = 255.0  # level
LOG_SCALE = -5.0  # the least, in units
FIRST_LOG_SCALE = -1.5  # of untrained ones


def numbers_of(channels: int) -> int:
    """That describe a mixture of pixels: weight, means, scales, and factors between colours, of each component."""
    return COMPONENTS * (1 + 2 * channels + channels * (channels - 1) // 2)


def spread(means: Tensor) -> Tensor:
    """Parameters of a mixture whose components lie two units about means (channels, H, W): (``numbers_of``, H, W)."""
    channels, height, width = means.shape
    result = means.new_zeros(numbers_of(channels) // COMPONENTS, COMPONENTS, height, width)
    offsets = torch.linspace(-2, 2, COMPONENTS, device=means.device)[:, None, None]
    result[1:1 + channels] = means[:, None] + offsets
    result[1 + channels:1 + 2 * channels] = FIRST_LOG_SCALE
    return result.flatten(0, 1)


class LogisticMixture(Distribution):
    """Of whole levels 0..255. parameters: (B, ``numbers_of``(channels), H, W); means and scales count in units, of so
    many levels, about a middle."""

    def __init__(self, parameters: Tensor, channels: int, unit: float, middle: float):
        batch, _, height, width = parameters.shape
        each = parameters.view(batch, -1, COMPONENTS, height, width)
        sizes = [1, channels, channels, each.shape[1] - 1 - 2 * channels]
        weights, self.means, scales, self.factors = each.split(sizes, dim=1)
        self.log_weights = F.log_softmax(weights[:, 0], dim=1)  # (B, components, H, W)
        self.log_scales = scales.clamp_min(LOG_SCALE)
        self.unit, self.middle, self.channels = unit, middle, channels
        super().__init__(torch.Size((batch, channels, height, width)), validate_args=False)

    @property
    def mean(self) -> Tensor:
        """Of each colour, in levels, those before it being at their mean."""
        means: list[Tensor] = []
        for channel in range(self.channels):
            of_components = self._centre(channel, torch.stack(means, dim=1) if means else None)
            means.append((self.log_weights.exp() * of_components).sum(1))
        return torch.stack(means, dim=1) * self.unit + self.middle

    def log_prob(self, value: Tensor) -> Tensor:
        """Of levels (B, channels, H, W), all colours together: (B, 1, H, W)."""
        together = self.log_weights
        for channel in range(self.channels):
            together = together + self._of_components(channel, value)
        return together.logsumexp(1, keepdim=True)

    def of_channel(self, channel: int, known: Tensor) -> LogisticMixture:
        """The distribution of one colour, given those before it: levels (B, channels, H, W), of which others count not.
        """
        weights = self.log_weights
        for earlier in range(channel):
            weights = weights + self._of_components(earlier, known)
        parameters = [weights, self._centre(channel, self._in_units(known)), self.log_scales[:, channel]]
        return LogisticMixture(torch.cat(parameters, dim=1), 1, self.unit, self.middle)

    def probabilities(self) -> Tensor:
        """Of every level of one colour, (B, H, W, 256)."""
        levels = torch.arange(LAST + 1, dtype=self.means.dtype, device=self.means.device)
        every = torch.vmap(self.log_prob)(levels.view(-1, 1, 1, 1, 1).expand(-1, *self.batch_shape))
        return every[:, :, 0].movedim(0, 3).exp()

    def drawn(self, generator: torch.Generator | None = None) -> Tensor:
        """Levels of one colour, (B, 1, H, W)."""
        chances = self.probabilities()
        found = torch.multinomial(chances.flatten(0, 2), 1, generator=generator)
        return found.view(chances.shape[:3])[:, None].to(chances.dtype)

    def _in_units(self, levels: Tensor) -> Tensor:
        return (levels - self.middle) / self.unit

    def _centre(self, channel: int, known: Tensor | None) -> Tensor:
        """Means of a colour in all components, (B, components, H, W); known: the colours before it, in units."""
        mean, first = self.means[:, channel], channel * (channel - 1) // 2
        for earlier in range(channel):
            assert known is not None
            mean = mean + torch.tanh(self.factors[:, first + earlier]) * known[:, earlier, None]
        return mean

    def _of_components(self, channel: int, levels: Tensor) -> Tensor:
        """Logarithms of what each component gives to the levels of a colour: (B, components, H, W)."""
        level, known = levels[:, channel, None], self._in_units(levels)
        inverse, half = (-self.log_scales[:, channel]).exp(), 0.5 / self.unit
        away = known[:, channel, None] - self._centre(channel, known)
        # sigmoid(p) - sigmoid(m) = sigmoid(p) sigmoid(-m) (1 - exp(m - p))
        above = torch.where(level == LAST, 0, F.logsigmoid(inverse * (away + half)))
        below = torch.where(level == 0, 0, F.logsigmoid(-inverse * (away - half)))
        inside = (level > 0) & (level < LAST)
        width = torch.where(inside, torch.log1p(-torch.exp(-2 * half * inverse)), 0)
        return above + below + width
