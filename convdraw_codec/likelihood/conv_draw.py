"""Convolutional DRAW as a generative model, with the paper's Gaussian latents.

Equation numbers are those of Gregor et al., "Towards Conceptual Compression" (2016).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from ..errors import ConfigError
from .generative import Generative, Picture, check_sizes, gaussian, lstm


@dataclass(frozen=True)
class GenerativeLayer:
    """stride: pixels per position; state: channels of h^e and of h^d; latents: maps of z; kernel: of convolutions.

    A layer whose stride is the picture's side is a layer over the whole picture; its kernel is 1.
    """

    stride: int
    state: int
    latents: int
    kernel: int

    def __post_init__(self) -> None:
        check_sizes(**vars(self))
        if self.kernel % 2 == 0:
            raise ConfigError(f"kernels have an odd size, not {self.kernel}")


@dataclass(frozen=True)
class ConvDRAWConfig:
    """Layers from coarse to fine, each visited once a step."""

    picture: Picture
    steps: int
    layers: tuple[GenerativeLayer, ...]

    def __post_init__(self) -> None:
        check_sizes(steps=self.steps)
        strides = [layer.stride for layer in self.layers]
        if not strides or any(a <= b or a % b for a, b in itertools.pairwise(strides)):
            raise ConfigError(f"the strides {strides} are not multiples of one another, from coarse to fine")
        if self.picture.height % strides[0] or self.picture.width % strides[0]:
            raise ConfigError(f"a stride of {strides[0]} does not divide {self.picture.width}x{self.picture.height}")


@dataclass(frozen=True)
class Decoder:
    """r_t, and h^d and c^d of every layer, (B, state, H/s, W/s)."""

    canvas: Tensor
    h: tuple[Tensor, ...]
    c: tuple[Tensor, ...]


@dataclass(frozen=True)
class Encoder:
    """The picture in units, what never changes of the finest layer's gates, and h^e and c^e of every layer."""

    x: Tensor
    gates: Tensor
    h: tuple[Tensor, ...]
    c: tuple[Tensor, ...]


class _Layer(nn.Module):
    """The weights of one layer, the same in every step."""

    def __init__(self, layer: GenerativeLayer, finer: GenerativeLayer | None, coarser: GenerativeLayer | None):
        super().__init__()
        state, kernel, above = layer.state, layer.kernel, layer.state if coarser else 0
        self.encoder = nn.Conv2d(2 * state, 4 * state, kernel, padding=kernel // 2)
        self.decoder = nn.Conv2d(layer.latents + state + above, 4 * state, kernel, padding=kernel // 2)
        self.posterior = nn.Conv2d(state + above, 2 * layer.latents, 1)
        self.prior = nn.Conv2d(state + above, 2 * layer.latents, 1)
        if finer:
            ratio = layer.stride // finer.stride
            self.from_finer = nn.Conv2d(finer.state, 4 * state, ratio, ratio, bias=False)
        if coarser:
            ratio = coarser.stride // layer.stride
            self.from_coarser = nn.ConvTranspose2d(coarser.state, above, ratio, ratio)


class GenerativeConvDRAW(Generative):
    """The model of a ``ConvDRAWConfig``."""

    def __init__(self, config: ConvDRAWConfig):
        super().__init__()
        self.config, self.picture, self.steps, self.layers = config, config.picture, config.steps, len(config.layers)
        layers = config.layers
        self.parts = nn.ModuleList(map(_Layer, layers, (*layers[1:], None), (None, *layers[:-1])))
        finest, channels = layers[-1], config.picture.channels
        stride, kernel = finest.stride, max(finest.kernel, finest.stride | 1)  # odd, and misses no pixel
        around = kernel // 2
        self.from_picture = nn.Conv2d(channels, 4 * finest.state, kernel, stride, around, bias=False)
        self.from_error = nn.Conv2d(channels, 4 * finest.state, kernel, stride, around, bias=False)
        self.from_canvas = nn.Conv2d(channels, 4 * finest.state, kernel, stride, around, bias=False)
        self.write = nn.ConvTranspose2d(finest.state, config.picture.canvas_channels, kernel, stride, around,
                                        stride + 2 * around - kernel, bias=False)
        self.first_canvas = nn.Parameter(torch.zeros(config.picture.canvas_channels))

    def _part(self, layer: int) -> _Layer:
        return cast(_Layer, self.parts[layer])

    def _empty(self, batch: int) -> tuple[Tensor, ...]:
        height, width, device = self.picture.height, self.picture.width, self.first_canvas.device
        return tuple(torch.zeros(batch, layer.state, height // layer.stride, width // layer.stride, device=device)
                     for layer in self.config.layers)

    def start(self, batch: int) -> Decoder:
        canvas = self.first_canvas[:, None, None].expand(batch, -1, self.picture.height, self.picture.width)
        return Decoder(canvas, self._empty(batch), self._empty(batch))

    def start_encoder(self, x: Tensor) -> Encoder:
        return Encoder(x, self.from_picture(x), self._empty(len(x)), self._empty(len(x)))

    def look(self, encoder: Encoder, decoder: Decoder) -> Encoder:
        h, c = list(encoder.h), list(encoder.c)
        from_below = encoder.gates + self.from_error(encoder.x - self.picture.mean(decoder.canvas))  # (1)
        for layer in reversed(range(self.layers)):
            around = self._part(layer).encoder(torch.cat([encoder.h[layer], decoder.h[layer]], dim=1))
            h[layer], c[layer] = lstm(from_below + around, encoder.c[layer])  # (2)
            if layer:
                from_below = self._part(layer - 1).from_finer(h[layer])
        return replace(encoder, h=tuple(h), c=tuple(c))

    def _with_coarser(self, layer: int, h: Tensor, decoder: Decoder) -> Tensor:
        """A layer's own memory, and what the coarser one has drawn in this step already."""
        if layer == 0:
            return h
        return torch.cat([h, self._part(layer).from_coarser(decoder.h[layer - 1])], dim=1)

    def posterior(self, layer: int, encoder: Encoder, decoder: Decoder) -> Normal:
        return gaussian(self._part(layer).posterior(self._with_coarser(layer, encoder.h[layer], decoder)))

    def prior(self, layer: int, decoder: Decoder) -> Normal:
        return gaussian(self._part(layer).prior(self._with_coarser(layer, decoder.h[layer], decoder)))

    def absorb(self, layer: int, z: Tensor, decoder: Decoder) -> Decoder:
        inputs = torch.cat([z, self._with_coarser(layer, decoder.h[layer], decoder)], dim=1)
        gates = self._part(layer).decoder(inputs)
        if layer == self.layers - 1:
            gates = gates + self.from_canvas(self.picture.mean(decoder.canvas))
        h, c = lstm(gates, decoder.c[layer])
        canvas = decoder.canvas
        if layer == self.layers - 1:
            canvas = canvas + self.write(h).float()  # (7)
        return Decoder(canvas, (*decoder.h[:layer], h, *decoder.h[layer + 1:]),
                       (*decoder.c[:layer], c, *decoder.c[layer + 1:]))

    def canvas(self, decoder: Decoder) -> Tensor:
        return decoder.canvas
