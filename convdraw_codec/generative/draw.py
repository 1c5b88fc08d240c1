"""DRAW, without convolutions, with and without selective attention; with its authors' prior, N(0, I), or a learned one.

Equation numbers are those of Gregor et al., "DRAW: A Recurrent Neural Network For Image Generation" (2015).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from ..configuration import Sizes
from ..errors import ConfigError
from .base import EncoderState, LatentModel, as_the_prior, gaussian
from .layers.lstm import lstm
from .output import Output

LOG_SIZE = (-8.0, 8.0)  # logarithms of what a window is like, beyond which numbers overflow


@dataclass(frozen=True)
class DRAWConfig(Sizes):
    """state: units of each LSTM; latents: numbers in z. read, write: filters a side of the attention; 0 is without.
    standard_prior: N(0, I) in all steps, as its authors have it."""

    picture: Output
    steps: int
    state: int
    latents: int
    read: int = 0
    write: int = 0
    standard_prior: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if max(self.read, self.write) > max(self.picture.height, self.picture.width):
            raise ConfigError(f"{max(self.read, self.write)} filters are more than the picture has pixels")


@dataclass(frozen=True)
class DRAWDecoderState:
    """c_t, (B, channels, H, W); h^dec and its cell, (B, state); where it was written last, or None."""

    canvas: Tensor
    h: Tensor
    c: Tensor
    window: Window | None = None


@dataclass(frozen=True)
class Window:
    """A grid of Gaussian filters. rows (B, N, H) and columns (B, N, W) sum to one; intensity: (B, 1, 1, 1).

    centre: (B, 2), x and y in pixels; spacing and deviation of the filters: (B,), in pixels.
    """

    rows: Tensor
    columns: Tensor
    intensity: Tensor
    centre: Tensor
    spacing: Tensor
    deviation: Tensor

    def read(self, x: Tensor) -> Tensor:
        """Read, equation (27): (B, C, H, W) -> (B, C, N, N)."""
        with torch.autocast(x.device.type, enabled=False):
            return self.intensity * (self.rows[:, None] @ x.float() @ self.columns[:, None].mT)

    def write(self, patch: Tensor) -> Tensor:
        """Write, equation (29): (B, C, N, N) -> (B, C, H, W)."""
        with torch.autocast(patch.device.type, enabled=False):
            return self.rows[:, None].mT @ patch.float() @ self.columns[:, None] / self.intensity


def window(parameters: Tensor, filters: int, height: int, width: int) -> Window:
    """The grid of ``filters`` a side that (B, 5) numbers describe, equations (19)-(26)."""
    across, down, *sizes = parameters.float().unbind(1)  # (21)
    log_variance, log_spacing, log_intensity = (size.clamp(*LOG_SIZE) for size in sizes)
    centre = torch.stack([(width + 1) / 2 * (across + 1), (height + 1) / 2 * (down + 1)], dim=1)  # (22)-(23)
    spacing = (max(height, width) - 1) / max(filters - 1, 1) * log_spacing.exp()  # (24)
    offsets = torch.arange(filters, dtype=torch.float32, device=parameters.device) - (filters - 1) / 2
    means = centre[:, :, None] + offsets * spacing[:, None, None]  # (19)-(20)

    def bank(mean: Tensor, size: int) -> Tensor:
        distance = torch.arange(1, size + 1, dtype=torch.float32, device=mean.device) - mean[:, :, None]
        return torch.softmax(-distance.square() / (2 * log_variance.exp()[:, None, None]), dim=2)  # (25)-(26)

    return Window(bank(means[:, 1], height), bank(means[:, 0], width), log_intensity.exp()[:, None, None, None],
                  centre, spacing, (log_variance / 2).exp())


def _cover(head: nn.Linear, filters: int, side: int) -> None:
    """Initial weights of a head for ``window``: its filters lie side by side over the whole picture."""
    with torch.no_grad():
        head.weight.mul_(0.1)
        log_variance, log_spacing = 2 * math.log(side / filters / 2), math.log(max(filters - 1, 1) / filters)
        head.bias.copy_(torch.tensor([0.0, 0.0, log_variance, log_spacing, 0.0]))


class DRAW(LatentModel):
    """The model of a ``DRAWConfig``; one layer of latents, (B, latents)."""

    layers = 1

    def __init__(self, config: DRAWConfig):
        super().__init__()
        self.config, self.picture, self.steps = config, config.picture, config.steps
        self.causal = None
        picture, state = config.picture, config.state
        seen = 2 * picture.channels * config.read**2 if config.read else picture.dimensions
        written = config.write**2 if config.write else picture.height * picture.width
        self.from_picture = None if config.read else nn.Linear(picture.dimensions, 4 * state, bias=False)
        self.encoder = nn.Linear(seen + 2 * state, 4 * state)
        self.decoder = nn.Linear(config.latents + state, 4 * state)
        self.to_posterior = nn.Linear(state, 2 * config.latents)
        self.to_prior = None if config.standard_prior else nn.Linear(state, 2 * config.latents)
        self.to_canvas = nn.Linear(state, picture.canvas_channels * written)
        self.to_read = nn.Linear(state, 5) if config.read else None
        self.to_write = nn.Linear(state, 5) if config.write else None
        self.first_canvas = nn.Parameter(torch.zeros(picture.canvas_channels, picture.height, picture.width))
        self.first = nn.Parameter(torch.zeros(4, state))  # h^dec, its cell, h^enc and its cell
        as_the_prior(self.to_posterior)
        for head, filters in ((self.to_read, config.read), (self.to_write, config.write)):
            if head is not None:
                _cover(head, filters, max(picture.height, picture.width))

    def start(self, batch: int) -> DRAWDecoderState:
        h, c = self.first[:2, None].expand(2, batch, -1)
        return DRAWDecoderState(self.first_canvas.expand(batch, -1, -1, -1), h, c)

    def start_encoder(self, x: Tensor) -> EncoderState:
        nothing = x.new_zeros(len(x), 4 * self.config.state)
        gates = nothing if self.from_picture is None else self.from_picture(x.flatten(1))
        return EncoderState(x, gates, *self.first[2:, None].expand(2, len(x), -1))

    def _window(self, parameters: Tensor, filters: int) -> Window:
        return window(parameters, filters, self.picture.height, self.picture.width)

    def look(self, encoder: EncoderState, decoder: DRAWDecoderState) -> EncoderState:
        """Error, reading and encoder h^enc_t, equations (3)-(5): of the whole picture or through a window."""
        seen = self.picture.error(encoder.x, decoder.canvas)
        if self.to_read is not None:
            place = self._window(self.to_read(decoder.h), self.config.read)
            seen = place.read(torch.cat([encoder.x, seen], dim=1))
        around = self.encoder(torch.cat([seen.flatten(1), encoder.h, decoder.h], dim=1))
        h, c = lstm(encoder.gates + around, encoder.c)
        return replace(encoder, h=h, c=c)

    def prior(self, layer: int, decoder: DRAWDecoderState) -> Normal:
        """Prior P(Z_t), standard normal as in equation (11); or p(z_t | h^dec_{t-1}), as in convolutional DRAW."""
        if self.to_prior is None:
            return gaussian(decoder.h.new_zeros(len(decoder.h), 2 * self.config.latents))
        return gaussian(self.to_prior(decoder.h))

    def posterior(self, layer: int, encoder: EncoderState, decoder: DRAWDecoderState, prior: Normal) -> Normal:
        """Posterior q(z_t | h^enc_t), equations (1)-(2), in terms of the prior."""
        return gaussian(self.to_posterior(encoder.h), around=prior)

    def absorb(self, layer: int, z: Tensor, decoder: DRAWDecoderState) -> DRAWDecoderState:
        """Decoder h^dec_t and canvas c_t, equations (7)-(8): on the whole canvas or through a window."""
        h, c = lstm(self.decoder(torch.cat([z, decoder.h], dim=1)), decoder.c)
        patch, place = self.to_canvas(h).float(), None
        if self.to_write is None:
            written = patch.view_as(decoder.canvas)
        else:
            place = self._window(self.to_write(h), self.config.write)
            written = place.write(patch.view(len(z), self.picture.canvas_channels, *[self.config.write] * 2))
        return DRAWDecoderState(decoder.canvas + written, h, c, place)
