"""The output of a generative model: the size and kind of its pictures, and what a canvas says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Normal

from ..configuration import Sizes
from ..errors import ConfigError
from .logistics import LogisticMixture, numbers_of, spread

OUTPUTS = "bernoulli", "gaussian", "logistics"
LEVELS = 256
LEVELS_A_UNIT = 64  # a canvas counts 64 levels of grey or colour as 1
LOG_VARIANCE = (-9.0, 6.0)  # of latents and canvas, beyond which nothing is gained


@dataclass(frozen=True)
class Output(Sizes):
    """Pictures of (channels, height, width); output: "bernoulli" for pixels of 0 and 1; for levels 0..255, "gaussian",
    which are real, or "logistics", which are whole."""

    channels: int
    height: int
    width: int
    output: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output not in OUTPUTS:
            raise ConfigError(f"the output of a model is {', '.join(OUTPUTS)}, not {self.output!r}")

    @property
    def dimensions(self) -> int:
        """Numbers in a picture."""
        return self.channels * self.height * self.width

    @property
    def canvas_channels(self) -> int:
        """A logit for each number, or mean and logarithm of the variance; or what a mixture takes."""
        if self.output == "logistics":
            return numbers_of(self.channels)
        return self.channels * (1 if self.output == "bernoulli" else 2)

    @property
    def largest(self) -> int:
        """Of a pixel."""
        return 1 if self.output == "bernoulli" else LEVELS - 1

    def units(self, x: Tensor) -> Tensor:
        """Pixels as a network sees them: 0 and 1, or levels around 0."""
        return x if self.output == "bernoulli" else (x - LEVELS / 2) / LEVELS_A_UNIT

    def numbers(self, units: Tensor) -> Tensor:
        """The inverse of ``units``."""
        return units if self.output == "bernoulli" else units * LEVELS_A_UNIT + LEVELS / 2

    def middles(self, levels: Tensor) -> Tensor:
        """Whole pixels as a network sees them: real levels have noise of mean 1/2 in training."""
        return self.units(levels + 0.5 if self.output == "gaussian" else levels)

    def mean(self, canvas: Tensor) -> Tensor:
        """The picture that a canvas shows, in units."""
        if self.output == "logistics":
            return self.units(self.distribution(canvas).mean)
        return torch.sigmoid(canvas) if self.output == "bernoulli" else canvas[:, :self.channels]

    def deviation(self, canvas: Tensor) -> Tensor:
        """That of levels, in units."""
        return (canvas[:, self.channels:].clamp(*LOG_VARIANCE) / 2).exp()

    def error(self, x: Tensor, canvas: Tensor) -> Tensor:
        """The error of a canvas, equation (1); of levels, in the deviations that it expects."""
        wrong = x - self.mean(canvas)
        return wrong if self.output == "bernoulli" else wrong / self.deviation(canvas)

    def distribution(self, canvas: Tensor) -> Distribution:
        """Likelihood p(x | r_T), of 0 and 1, of real levels 0..256, or of whole ones, all colours together."""
        canvas = canvas.float()
        if self.output == "logistics":
            return LogisticMixture(canvas, self.channels, LEVELS_A_UNIT, LEVELS / 2)
        if self.output == "bernoulli":
            return Bernoulli(logits=canvas, validate_args=False)
        return Normal(self.numbers(self.mean(canvas)), self.deviation(canvas) * LEVELS_A_UNIT, validate_args=False)

    def of_channel(self, canvas: Tensor, channel: int, known: Tensor) -> Distribution:
        """That of one channel alone, (B, 1, H, W), where those before it are ``known``, (B, channels, H, W) pixels."""
        if self.output == "logistics":
            return cast(LogisticMixture, self.distribution(canvas)).of_channel(channel, known)
        return replace(self, channels=1).distribution(canvas[:, channel::self.channels])

    def choose_pixel(self, canvas: Tensor, pixels: Tensor, y: int, x: int,
                     choose: Callable[[Distribution, Any], Tensor]) -> Tensor:
        """Let ``choose`` give the channels of a pixel, one after the other, in place: see ``Generative.render``.

        canvas: of this pixel, (B, canvas channels, 1, 1). Returns what a network sees of the pixel, (B, channels).
        """
        here = pixels[:, :, y:y + 1, x:x + 1]
        for channel in range(self.channels):
            place = slice(None), slice(channel, channel + 1), slice(y, y + 1), slice(x, x + 1)
            here[:, channel:channel + 1] = choose(self.of_channel(canvas, channel, here), place)
        return self.middles(here[:, :, 0, 0])

    def canvas_of(self, levels: Tensor) -> Tensor:
        """A canvas to begin with, where the mean of pictures is ``levels``, (channels, H, W) in 0..255."""
        if self.output == "bernoulli":
            return torch.logit(levels / (LEVELS - 1), eps=0.01)
        if self.output == "gaussian":
            return torch.cat([self.units(levels), torch.zeros_like(levels)])
        return spread(self.units(levels))
