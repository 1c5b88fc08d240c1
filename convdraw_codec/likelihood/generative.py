"""What every DRAW is: steps of prior, posterior and latents that end in a distribution of the picture.

Equation numbers are those of Gregor et al., "Towards Conceptual Compression" (2016). Latents are real numbers with
Gaussian posteriors and priors; the bound, samples and ``bits_back`` need nothing but the methods of ``Generative``.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Normal, kl_divergence

from ..errors import ConfigError

LEVELS = 256
LEVELS_A_UNIT = 64  # how a canvas counts the levels of grey and colour
LARGEST = 2**16  # of the sizes in a configuration
LOG_VARIANCE = (-9.0, 6.0)  # of latents and canvas, beyond which nothing is gained


def check_sizes(smallest: int = 1, **sizes: object) -> None:
    """Raise ConfigError unless all are whole numbers from ``smallest`` to ``LARGEST``."""
    for name, value in sizes.items():
        if type(value) is not int or not smallest <= value <= LARGEST:
            raise ConfigError(f"{name} is a whole number from {smallest} to {LARGEST}, not {value!r}")


@dataclass(frozen=True)
class Picture:
    """What a model draws: (channels, height, width), "bernoulli" for pixels of 0 and 1, "gaussian" for 0..255."""

    channels: int
    height: int
    width: int
    output: str

    def __post_init__(self) -> None:
        check_sizes(channels=self.channels, height=self.height, width=self.width)
        if self.output not in ("bernoulli", "gaussian"):
            raise ConfigError(f"the output of a model is bernoulli or gaussian, not {self.output!r}")

    @property
    def dimensions(self) -> int:
        """Numbers in a picture."""
        return self.channels * self.height * self.width

    @property
    def canvas_channels(self) -> int:
        """A logit for each number, or mean and logarithm of the variance."""
        return self.channels * (1 if self.output == "bernoulli" else 2)

    def units(self, x: Tensor) -> Tensor:
        """Pixels as a network sees them: 0 and 1, or levels around 0."""
        return x if self.output == "bernoulli" else (x - LEVELS / 2) / LEVELS_A_UNIT

    def mean(self, canvas: Tensor) -> Tensor:
        """The picture that a canvas shows, in units."""
        return torch.sigmoid(canvas) if self.output == "bernoulli" else canvas[:, :self.channels]

    def deviation(self, canvas: Tensor) -> Tensor:
        """That of levels, in units."""
        return (canvas[:, self.channels:].clamp(*LOG_VARIANCE) / 2).exp()

    def error(self, x: Tensor, canvas: Tensor) -> Tensor:
        """(1): what is wrong with a canvas; of levels, in the deviations that it expects."""
        wrong = x - self.mean(canvas)
        return wrong if self.output == "bernoulli" else wrong / self.deviation(canvas)

    def distribution(self, canvas: Tensor) -> Distribution:
        """p(x | r_T), of 0 and 1 or of real levels 0..256."""
        canvas = canvas.float()
        if self.output == "bernoulli":
            return Bernoulli(logits=canvas, validate_args=False)
        mean, deviation = canvas[:, :self.channels], self.deviation(canvas)
        return Normal(mean * LEVELS_A_UNIT + LEVELS / 2, deviation * LEVELS_A_UNIT, validate_args=False)


def gaussian(parameters: Tensor, around: Normal | None = None) -> Normal:
    """The distribution of latents whose mean and logarithm of the variance are the halves of (B, 2n, ...); in those of
    ``around``, if it is given, so that zeros say the same and cost nothing."""
    mean, spread = parameters.float().chunk(2, dim=1)
    deviation = (spread.clamp(*LOG_VARIANCE) / 2).exp()
    if around is not None:
        mean, deviation = around.mean + around.stddev * mean, around.stddev * deviation
    return Normal(mean, deviation, validate_args=False)


def as_the_prior(head: nn.Module) -> None:
    """Let a head for ``gaussian`` around a prior begin with its variance, and with means around its mean."""
    for name, parameter in head.named_parameters():
        nn.init.zeros_(parameter if name == "bias" else parameter.data[len(parameter) // 2:])


def draw_from(distribution: Normal, generator: torch.Generator | None = None) -> Tensor:
    """A draw through which gradients reach mean and deviation."""
    noise = torch.randn(distribution.mean.shape, generator=generator, device=distribution.mean.device)
    return distribution.mean + distribution.stddev * noise


class Generative(nn.Module):
    """A model of pictures with latents in ``layers`` layers, drawn from the first to the last, in each of ``steps``.

    What decoder and encoder remember is made anew by every method, and never changed in place. first_canvas: r_0,
    (canvas channels, H, W).
    """

    picture: Picture
    first_canvas: nn.Parameter
    layers: int
    steps: int

    @abstractmethod
    def start(self, batch: int) -> Any:
        """What the decoder knows before the first step, of ``batch`` pictures."""

    @abstractmethod
    def start_encoder(self, x: Tensor) -> Any:
        """What the encoder knows before the first step of pictures in units, (B, channels, H, W)."""

    @abstractmethod
    def look(self, encoder: Any, decoder: Any) -> Any:
        """(1)-(2): the encoder sees what is wrong with the canvas so far."""

    @abstractmethod
    def prior(self, layer: int, decoder: Any) -> Normal:
        """(4): p(z | h^d)."""

    @abstractmethod
    def posterior(self, layer: int, encoder: Any, decoder: Any, prior: Normal) -> Normal:
        """(3): q(z | h^e), in terms of the prior."""

    @abstractmethod
    def absorb(self, layer: int, z: Tensor, decoder: Any) -> Any:
        """(6): the decoder takes in the latents of a layer; with the last layer's it writes on its canvas, (7)."""

    @abstractmethod
    def canvas(self, decoder: Any) -> Tensor:
        """r_t, (B, canvas channels, H, W)."""

    def explain(self, x: Tensor, choose: Callable[[Normal, Normal], Tensor]) -> Tensor:
        """The last canvas for pictures in units, with the latents that ``choose`` takes from posterior and prior."""
        decoder, encoder = self.start(len(x)), self.start_encoder(x)
        for _ in range(self.steps):
            encoder = self.look(encoder, decoder)
            for layer in range(self.layers):
                p = self.prior(layer, decoder)
                decoder = self.absorb(layer, choose(self.posterior(layer, encoder, decoder, p), p), decoder)
        return self.canvas(decoder)

    def generate(self, count: int, choose: Callable[[Normal], Tensor]) -> Iterator[Any]:
        """The decoder of ``count`` pictures after each step, with the latents that ``choose`` takes from the prior."""
        decoder = self.start(count)
        for _ in range(self.steps):
            for layer in range(self.layers):
                decoder = self.absorb(layer, choose(self.prior(layer, decoder)), decoder)
            yield decoder


@dataclass(frozen=True)
class Bound:
    """What pictures cost, in nats.

    reconstruction: -log p(x | z), (B,); of pixels 0..255, with uniform noise of a level added, (9).
    divergence: KL(q | p) of each step and layer, (steps, layers, B), (5).
    log_ratio: log q(z | x) - log p(z) of the latents drawn, (B,), whose mean is the divergence.
    """

    reconstruction: Tensor
    divergence: Tensor
    log_ratio: Tensor

    @property
    def nats(self) -> Tensor:
        """Upper bound of -log p(x), (B,), (8)."""
        return self.reconstruction + self.divergence.sum((0, 1))


def bound(model: Generative, x: Tensor, generator: torch.Generator | None = None) -> Bound:
    """One draw of the bound for pictures (B, channels, H, W), of 0 and 1 or 0..255."""
    x = x.float()
    if model.picture.output == "gaussian":
        x = x + torch.rand(x.shape, generator=generator, device=x.device)
    divergence, log_ratio = [], []

    def choose(q: Normal, p: Normal) -> Tensor:
        z = draw_from(q, generator)
        divergence.append(kl_divergence(q, p).flatten(1).sum(1))
        log_ratio.append((q.log_prob(z) - p.log_prob(z)).flatten(1).sum(1))
        return z

    seen = model.picture.distribution(model.explain(model.picture.units(x), choose)).log_prob(x)
    return Bound(-seen.flatten(1).sum(1), torch.stack(divergence).unflatten(0, (model.steps, model.layers)),
                 torch.stack(log_ratio).sum(0))


def importance_weighted(model: Generative, x: Tensor, draws: int, generator: torch.Generator | None = None) -> Tensor:
    """A tighter bound of -log p(x), (B,), in nats, from the mean of ``draws`` weights (Burda et al., 2016)."""
    weights = [-(one.reconstruction + one.log_ratio) for one in (bound(model, x, generator) for _ in range(draws))]
    return math.log(draws) - torch.stack(weights).logsumexp(0)


def sample(model: Generative, count: int, generator: torch.Generator | None = None) -> Tensor:
    """Pictures drawn from the prior, as the canvas shows them after every step: (steps, count, C, H, W), 0..1."""
    drawn = model.generate(count, lambda p: draw_from(p, generator))
    pictures = torch.stack([model.picture.mean(model.canvas(decoder).float()) for decoder in drawn])
    if model.picture.output == "gaussian":
        pictures = pictures * LEVELS_A_UNIT / LEVELS + 0.5
    return pictures.clamp(0, 1)
