"""Convolutional DRAW as a generative model, with the paper's Gaussian latents.

Equation numbers are those of Gregor et al., "Towards Conceptual Compression" (2016).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from ..configuration import Sizes
from ..errors import ConfigError
from .base import EncoderState, LatentModel, as_the_prior, gaussian
from .layers.lstm import lstm
from .layers.products import Down, Each, Up
from .layers.space_to_depth import from_patches, to_patches
from .output import Output
from .pixel_cnn import CausalOutput, CausalSize


@dataclass(frozen=True)
class GenerativeLayer(Sizes):
    """stride: pixels per position; state: channels of h^e and of h^d; latents: maps of z; kernel: of convolutions.

    A layer whose stride is the picture's side is a layer over the whole picture; its kernel is 1.
    """

    stride: int
    state: int
    latents: int
    kernel: int


@dataclass(frozen=True)
class ConvDRAWConfig(Sizes):
    """Layers from coarse to fine, each visited once a step. causal: what draws the pixels; None is the paper's way."""

    picture: Output
    steps: int
    layers: tuple[GenerativeLayer, ...]
    causal: CausalSize | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        strides = [layer.stride for layer in self.layers]
        if not strides or any(a <= b or a % b for a, b in itertools.pairwise(strides)):
            raise ConfigError(f"the strides {strides} are not multiples of one another, from coarse to fine")
        if self.picture.height % strides[0] or self.picture.width % strides[0]:
            raise ConfigError(f"a stride of {strides[0]} does not divide {self.picture.width}x{self.picture.height}")
        if strides[0] == self.picture.height == self.picture.width and self.layers[0].kernel > 1:
            raise ConfigError("the kernel of a layer over the whole picture is 1")


@dataclass(frozen=True)
class GaussianDecoderState:
    """r_t, and h^d and c^d of every layer, (B, state, H/s, W/s); what the layer that comes next is told of the others,
    for its gates, prior and posterior."""

    canvas: Tensor
    h: list[Tensor]
    c: list[Tensor]
    told: tuple[Tensor, ...] = ()


def _around(inputs: int, outputs: int, kernel: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2) if kernel > 1 else Each(inputs, outputs)


class _Layer(nn.Module):
    """The weights of one layer, the same in every step, and its first memories: h^d, c^d, h^e and c^e."""

    def __init__(self, layer: GenerativeLayer, finer: GenerativeLayer | None, coarser: GenerativeLayer | None,
                 picture: Output):
        super().__init__()
        state, kernel = layer.state, layer.kernel
        self.first = nn.Parameter(torch.zeros(4, state, picture.height // layer.stride, picture.width // layer.stride))
        self.encoder = _around(state, 4 * state, kernel)
        self.encoder_from_decoder = Each(state, 4 * state, bias=False)
        self.decoder = _around(layer.latents + state, 4 * state, kernel)
        self.posterior = Each(state, 2 * layer.latents)
        self.prior = Each(state, 2 * layer.latents)
        as_the_prior(self.posterior)
        self.shares = 4 * state, 2 * layer.latents, 2 * layer.latents  # of what it is told
        if finer:
            ratio = layer.stride // finer.stride
            self.from_finer = Each(finer.state * ratio**2, 4 * state, bias=False)
            self.from_finer_decoder = Each(finer.state * ratio**2, sum(self.shares), bias=False)
        if coarser:
            ratio = coarser.stride // layer.stride
            self.from_coarser = Each(coarser.state, sum(self.shares) * ratio**2, bias=False)
            nn.init.normal_(self.from_coarser.weight, std=0.5 / coarser.state**0.5)


class GenerativeConvDRAW(LatentModel):
    """The model of a ``ConvDRAWConfig``."""

    parts: Sequence[_Layer]

    def __init__(self, config: ConvDRAWConfig):
        super().__init__()
        self.config, self.picture, self.steps, self.layers = config, config.picture, config.steps, len(config.layers)
        layers = config.layers
        self.parts = nn.ModuleList(  # type: ignore[assignment]
            map(_Layer, layers, (*layers[1:], None), (None, *layers[:-1]), itertools.repeat(config.picture)))
        finest, channels = layers[-1], config.picture.channels
        stride, kernel = finest.stride, max(finest.kernel, finest.stride | 1)  # odd, and misses no pixel
        self.from_picture = Down(channels, 4 * finest.state, kernel, stride)
        self.from_error = Down(channels, 4 * finest.state, kernel, stride)
        self.from_canvas = Down(config.picture.canvas_channels, 4 * finest.state, kernel, stride)
        self.write = Up(finest.state, config.picture.canvas_channels, kernel, stride)
        self.first_canvas = nn.Parameter(torch.zeros(config.picture.canvas_channels, config.picture.height,
                                                     config.picture.width))
        self.causal = CausalOutput(config.picture, config.causal) if config.causal else None

    def _ratio(self, layer: int) -> int:
        """Of the strides of the next coarser layer and this one."""
        return self.config.layers[layer - 1].stride // self.config.layers[layer].stride

    def _gathered(self, layer: int, h: Tensor) -> Tensor:
        """What a position of the next coarser layer sees of this one."""
        return to_patches(h, self._ratio(layer))

    def _first(self, which: int, batch: int) -> list[Tensor]:
        return [part.first[which].expand(batch, -1, -1, -1) for part in self.parts]

    def start(self, batch: int) -> GaussianDecoderState:
        h = self._first(0, batch)
        canvas = self.first_canvas.expand(batch, -1, -1, -1)
        return GaussianDecoderState(canvas, h, self._first(1, batch), self._told(0, h))

    def start_encoder(self, x: Tensor) -> EncoderState:
        return EncoderState(x, self.from_picture(x), self._first(2, len(x)), self._first(3, len(x)))

    def look(self, encoder: EncoderState, decoder: GaussianDecoderState) -> EncoderState:
        """The error of the canvas, equation (1), for the finest layer; h^e_t of every layer, equation (2)."""
        h, c = list(encoder.h), list(encoder.c)
        from_below = encoder.gates + self.from_error(self.picture.error(encoder.x, decoder.canvas))
        for layer in reversed(range(self.layers)):
            part = self.parts[layer]
            around = part.encoder(encoder.h[layer]) + part.encoder_from_decoder(decoder.h[layer])
            h[layer], c[layer] = lstm(from_below + around, encoder.c[layer])  # (2)
            if layer:
                from_below = self.parts[layer - 1].from_finer(self._gathered(layer, h[layer]))
        return replace(encoder, h=h, c=c)

    def _told(self, layer: int, h: list[Tensor]) -> tuple[Tensor, ...]:
        """What a layer hears of the coarser one, as drawn in this step, and of the finer one, as drawn in the last."""
        part, said = self.parts[layer], []
        if layer:
            said.append(from_patches(part.from_coarser(h[layer - 1]), self._ratio(layer)))
        if layer < self.layers - 1:
            said.append(part.from_finer_decoder(self._gathered(layer + 1, h[layer + 1])))
        return sum(said[1:], said[0]).split(part.shares, dim=1) if said else (h[0].new_zeros(()),) * 3

    def prior(self, layer: int, decoder: GaussianDecoderState) -> Normal:
        """Prior p(z_t | h^d), equation (4), of this layer's h^d_{t-1} and of what its neighbours drew last."""
        return gaussian(self.parts[layer].prior(decoder.h[layer]) + decoder.told[1])

    def posterior(self, layer: int, encoder: EncoderState, decoder: GaussianDecoderState, prior: Normal) -> Normal:
        """Posterior q(z_t | h^e_t), equation (3), in terms of the prior."""
        return gaussian(self.parts[layer].posterior(encoder.h[layer]) + decoder.told[2], around=prior)

    def absorb(self, layer: int, z: Tensor, decoder: GaussianDecoderState) -> GaussianDecoderState:
        """The decoder h^d_t of a layer, equation (6); the finest layer writes the canvas r_t, equation (7)."""
        h, c, canvas, finest = list(decoder.h), list(decoder.c), decoder.canvas, layer == self.layers - 1
        gates = self.parts[layer].decoder(torch.cat([z, h[layer]], dim=1)) + decoder.told[0]
        if finest:
            shown = self.picture.mean(canvas) if self.picture.output == "bernoulli" else canvas
            gates = gates + self.from_canvas(shown)
        h[layer], c[layer] = lstm(gates, c[layer])
        if finest:
            canvas = canvas + self.write(h[layer]).float()  # (7)
        return GaussianDecoderState(canvas, h, c, self._told((layer + 1) % self.layers, h))
