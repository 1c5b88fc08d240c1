"""What every generative model is: for a DRAW, steps of prior, posterior and latents, that end in a distribution of the
picture.

Equation numbers are those of Gregor et al., "Towards Conceptual Compression" (2016). Latents are Gaussian.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Distribution, Normal, kl_divergence

from .logistics import LogisticMixture
from .output import LEVELS, LEVELS_A_UNIT, LOG_VARIANCE, Output
from .pixel_cnn import CausalOutput


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
    mean = distribution.mean
    noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
    return mean + distribution.stddev * noise


@dataclass(frozen=True)
class EncoderState:
    """x: pictures in units, (B, channels, H, W). gates: what they give to the encoder's gates in every step. h, c: h^e
    and its cell, of the layer or of each layer."""

    x: Tensor
    gates: Tensor
    h: Any
    c: Any


class Generative(nn.Module):
    """A model of pictures. first_canvas: r_0, what is known before the first step. in_turn: whether pixels depend on
    those before them, given the last canvas. Here, without latents: no layers, no steps."""

    picture: Output
    first_canvas: nn.Parameter
    layers = 0
    steps = 0
    in_turn: bool

    @abstractmethod
    def start(self, batch: int) -> Any:
        """What the decoder knows before the first step, of ``batch`` pictures, with r_0 as ``canvas``."""

    @abstractmethod
    def start_encoder(self, x: Tensor) -> EncoderState:
        """What the encoder knows before the first step of pictures in units."""

    def explain(self, encoder: EncoderState, choose: Callable[[Normal, Normal], Tensor]) -> Tensor:
        """The last canvas for an encoder that has started; ``choose`` takes latents from posterior and prior."""
        return cast(Tensor, self.start(len(encoder.x)).canvas)

    def generate(self, count: int, choose: Callable[[Normal], Tensor]) -> Iterator[Any]:
        """The decoder of ``count`` pictures after each step, with the latents that ``choose`` takes from the prior; as
        it starts, if there is no step."""
        yield self.start(count)

    @abstractmethod
    def distribution(self, canvas: Tensor, x: Tensor) -> Distribution:
        """Likelihood p(x | r_T) of pixels in units, (B, channels, H, W): of each one, given those before it."""

    @abstractmethod
    def render(self, canvas: Tensor, choose: Callable[[Distribution, Any], Tensor]) -> Tensor:
        """Pixels (B, channels, H, W), of 0 and 1 or 0..255, as ``choose`` gives them: it is told the distribution of
        the next ones, and their place, an index of such a tensor. All at once, where they are independent."""


@dataclass(frozen=True)
class Canvas:
    """What a model without latents knows before the first pixel."""

    canvas: Tensor


class Autoregressive(Generative):
    """A model without latents: each pixel is drawn from those before it. The canvas is the same for all pictures.

    channels: of what the network makes of the earlier pixels.
    """

    in_turn = True

    def __init__(self, picture: Output, channels: int):
        super().__init__()
        self.picture = picture
        self.first_canvas = nn.Parameter(torch.zeros(picture.canvas_channels, picture.height, picture.width))
        self.hidden = nn.Conv2d(channels, channels, 1)
        self.exit = nn.Conv2d(channels, picture.canvas_channels, 1)
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)  # type: ignore[arg-type]

    def said(self, h: Tensor) -> Tensor:
        """What the network's last value, (B, channels, H, W), adds to the canvas."""
        return self.exit(F.relu(self.hidden(F.relu(h)))).float()

    def start(self, batch: int) -> Canvas:
        return Canvas(self.first_canvas.expand(batch, -1, -1, -1))

    def start_encoder(self, x: Tensor) -> EncoderState:
        return EncoderState(x, x.new_zeros(()), (), ())


class LatentModel(Generative):
    """A model with latents in ``layers`` layers, drawn from the first to the last, in each of ``steps``.

    States of encoder and decoder are never changed in place. That of a decoder has the canvas r_t, (B, canvas channels,
    H, W), as ``canvas``. causal: the output, where pixels depend on each other given r_T.
    """

    causal: CausalOutput | None
    layers: int
    steps: int

    @property
    def in_turn(self) -> bool:  # type: ignore[override]
        return self.causal is not None

    @abstractmethod
    def look(self, encoder: EncoderState, decoder: Any) -> EncoderState:
        """The error of the canvas so far, equation (1), and what the encoder makes of it, h^e_t, equation (2)."""

    @abstractmethod
    def prior(self, layer: int, decoder: Any) -> Normal:
        """Prior p(z_t | h^d_{t-1}), equation (4)."""

    @abstractmethod
    def posterior(self, layer: int, encoder: EncoderState, decoder: Any, prior: Normal) -> Normal:
        """Posterior q(z_t | h^e_t), equation (3), given in terms of the prior."""

    @abstractmethod
    def absorb(self, layer: int, z: Tensor, decoder: Any) -> Any:
        """The decoder h^d_t from the latents of a layer, equation (6); after the last layer, the canvas r_t, (7)."""

    def explain(self, encoder: EncoderState, choose: Callable[[Normal, Normal], Tensor]) -> Tensor:
        decoder = self.start(len(encoder.x))
        for _ in range(self.steps):
            encoder = self.look(encoder, decoder)
            for layer in range(self.layers):
                p = self.prior(layer, decoder)
                decoder = self.absorb(layer, choose(self.posterior(layer, encoder, decoder, p), p), decoder)
        return cast(Tensor, decoder.canvas)

    def generate(self, count: int, choose: Callable[[Normal], Tensor]) -> Iterator[Any]:
        decoder = self.start(count)
        for _ in range(self.steps):
            for layer in range(self.layers):
                decoder = self.absorb(layer, choose(self.prior(layer, decoder)), decoder)
            yield decoder

    def distribution(self, canvas: Tensor, x: Tensor) -> Distribution:
        return self.picture.distribution(self.causal(canvas, x) if self.causal else canvas)

    def render(self, canvas: Tensor, choose: Callable[[Distribution, Any], Tensor]) -> Tensor:
        return self.causal.render(canvas, choose) if self.causal else choose(self.picture.distribution(canvas), ...)


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
        x = x + torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return bound_of_started(model, model.start_encoder(model.picture.units(x)), generator)


def bound_of_started(model: Generative, encoder: EncoderState, generator: torch.Generator | None = None) -> Bound:
    """The same for pictures with which an encoder has started."""
    divergence, log_ratio = [], []

    def choose(q: Normal, p: Normal) -> Tensor:
        z = draw_from(q, generator)
        divergence.append(kl_divergence(q, p).flatten(1).sum(1))
        log_ratio.append((q.log_prob(z) - p.log_prob(z)).flatten(1).sum(1))
        return z

    seen = model.distribution(model.explain(encoder, choose), encoder.x).log_prob(model.picture.numbers(encoder.x))
    nothing = seen.new_zeros(0, len(seen))  # without latents
    return Bound(-seen.flatten(1).sum(1),
                 torch.cat([nothing, *(each[None] for each in divergence)]).unflatten(0, (model.steps, model.layers)),
                 torch.cat([nothing, *(each[None] for each in log_ratio)]).sum(0))


def sample(model: Generative, count: int, generator: torch.Generator | None = None) -> Tensor:
    """Pictures drawn from the prior, as the canvas shows them after every step: (steps, count, C, H, W), 0..1.

    With a causal output, the last are what it draws.
    """
    *canvases, last = [decoder.canvas.float() for decoder in model.generate(count, lambda p: draw_from(p, generator))]
    return torch.stack([*(mean_of(model, canvas) for canvas in canvases), shown(model, last, generator)])


def redrawn(model: LatentModel, x: Tensor, stored: int, generator: torch.Generator | None = None) -> Tensor:
    """Pictures (B, C, H, W), of 0 and 1 or 0..255, as a decoder shows them that has the latents of the first steps, and
    draws the others from the prior: (B, C, H, W), 0..1."""
    encoder, decoder = model.start_encoder(model.picture.middles(x)), model.start(len(x))
    for t in range(model.steps):
        if t < stored:
            encoder = model.look(encoder, decoder)
        for layer in range(model.layers):
            p = model.prior(layer, decoder)
            chosen = model.posterior(layer, encoder, decoder, p) if t < stored else p
            decoder = model.absorb(layer, draw_from(chosen, generator), decoder)
    return shown(model, decoder.canvas.float(), generator)


def shown(model: Generative, canvas: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The picture of a canvas, 0..1: its mean, or pixels drawn in turn."""
    if model.in_turn:
        return drawn_pixels(model, canvas, generator) / model.picture.largest
    return mean_of(model, canvas)


def mean_of(model: Generative, canvas: Tensor) -> Tensor:
    """The mean of the distribution that a canvas stands for, 0..1."""
    mean = model.picture.mean(canvas)
    return (mean if model.picture.output == "bernoulli" else mean * LEVELS_A_UNIT / LEVELS + 0.5).clamp(0, 1)


def drawn_pixels(model: Generative, canvas: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Pixels drawn from the distribution that a canvas stands for, (B, C, H, W), of 0 and 1 or 0..255."""
    def choose(distribution: Distribution, _: Any) -> Tensor:
        if isinstance(distribution, Normal):
            return draw_from(distribution, generator).floor().clamp(0, LEVELS - 1)
        if isinstance(distribution, LogisticMixture):
            return distribution.drawn(generator)
        return torch.bernoulli(distribution.mean, generator=generator)

    return model.render(canvas, choose)
