"""The model at work on one picture of any size: band by band of rows, the same numbers as all at once.

A step looks no further than its kernels, so a band with a margin of neighbouring rows gives its own rows exactly.
What lasts from step to step is held in small whole numbers; memory is about 20 bytes a pixel, and one band's needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from .draw import CANVAS_UNIT, ConvDRAW, DecoderState, EncoderState
from .lapped import FILTER_UNIT, lap, unlap
from .latents import LATENT_LIMIT, half_cells, table_row, target
from .retouch import RETOUCH_UNIT

BAND_PIXELS = 2**21  # of a band without its margins; smaller pictures are one band
_LEVEL = CANVAS_UNIT * FILTER_UNIT**2  # unlapped canvases count in parts of a level
_NOTHING = torch.empty(0)
Method = TypeVar("Method", bound=Callable)


def _exact(method: Method) -> Method:
    """No gradients, and no autocast around the exact arithmetic, whatever the caller has switched on."""

    @wraps(method)
    def wrapped(*args, **kwargs):
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            return method(*args, **kwargs)

    return wrapped  # type: ignore[return-value]


@dataclass(frozen=True)
class Band:
    """Rows of pixels: those that a result is wanted for, from ``top`` to ``bottom``, and ``above`` and ``below``
    the margins that are looked at besides."""

    top: int
    bottom: int
    above: int
    below: int

    def rows(self, stride: int) -> slice:
        """Of a layer, with margins."""
        return slice((self.top - self.above) // stride, (self.bottom + self.below) // stride)

    def own(self, stride: int) -> slice:
        """Of a layer, without margins."""
        return slice(self.top // stride, self.bottom // stride)

    def inside(self, stride: int) -> slice:
        """The own rows, counted within ``rows``."""
        return slice(self.above // stride, (self.above + self.bottom - self.top) // stride)


def bands(height: int, width: int, multiple: int, margin: int) -> Iterator[Band]:
    """Bands of about ``BAND_PIXELS``, from top to bottom, their borders at multiples of ``multiple``."""
    rows = max(BAND_PIXELS // width // multiple * multiple, multiple, margin)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        yield Band(top, bottom, min(margin, top), min(margin, height - bottom))


class _Kept:
    """Old rows of tensors that are overwritten band by band: the margin above the next band."""

    def __init__(self) -> None:
        self._old: dict[str, Tensor] = {}

    def window(self, name: str, whole: Tensor, band: Band, stride: int) -> Tensor:
        """A tensor's rows in a band, as they were before any band was overwritten."""
        rows = whole[:, band.rows(stride)]
        if band.above and name in self._old:
            old = self._old[name][:, -(band.above // stride):]
            rows = torch.cat([old, rows[:, band.above // stride:]], dim=1)
        return rows

    def write(self, name: str, whole: Tensor, new: Tensor, band: Band, stride: int) -> None:
        """Overwrite a band's own rows, and keep what was there."""
        own = whole[:, band.own(stride)]
        self._old[name] = own.clone() if band.below else _NOTHING
        own.copy_(new[:, band.inside(stride)])


class Decoder:
    """The decoder's state over one picture, and the steps that change it.

    height, width: multiples of ``model.padding``. Latents are numpy int arrays (maps, H/s, W/s).
    """

    def __init__(self, model: ConvDRAW, height: int, width: int):
        self.model, self.height, self.width = model, height, width
        layers = model.config.layers
        level = (model.initial_canvas.detach() * CANVAS_UNIT).round().to(torch.int16)
        self._canvas = level[:, None, None].expand(3, height, width).contiguous()

        def empty(channels: int, stride: int, dtype: torch.dtype) -> Tensor:
            return torch.zeros(channels, height // stride, width // stride, dtype=dtype)

        self._h = [empty(layer.state, layer.stride, torch.int8) for layer in layers]
        self._c = [empty(layer.state, layer.stride, torch.int16) for layer in layers]
        self._history = [empty(n, layer.stride, torch.int16)
                         for n, layer in zip(model.coefficients, layers, strict=True)]
        self._looked: tuple[int, DecoderState, Tensor] | None = None

    def stride(self, t: int) -> int:
        """Pixels per position of the layer that step t visits."""
        return self.model.config.layers[self.model.config.steps[t].layer].stride

    def bands(self, t: int, further: int = 0) -> Iterator[Band]:
        """Bands for step t; ``further``: pixels to see beyond the reach of its kernels."""
        layer = self.model.config.steps[t].layer
        here = self.model.config.layers[layer]
        multiple = self.model.config.layers[max(layer - 1, 0)].stride
        reach = here.stride * (here.kernel // 2) + further
        return bands(self.height, self.width, multiple, -(-reach // multiple) * multiple)

    def window(self, t: int, band: Band, kept: _Kept) -> DecoderState:
        """What step t sees of a band, as the model takes it."""
        layers, layer = self.model.config.layers, self.model.config.steps[t].layer

        def parts(name: str, tensors: list[Tensor], wanted: tuple[int, ...]) -> tuple[Tensor, ...]:
            return tuple(_floats(kept.window(f"{name}{i}", tensor, band, layers[i].stride)) if i in wanted else _NOTHING
                         for i, tensor in enumerate(tensors))

        canvas = kept.window("canvas", self._canvas, band, 1)[None].float() / CANVAS_UNIT
        return DecoderState(canvas, parts("h", self._h, (layer - 1, layer)), parts("c", self._c, (layer,)),
                            parts("history", self._history, (layer,)))

    def look(self, t: int, band: Band, kept: _Kept) -> tuple[DecoderState, Tensor]:
        """What step t sees of a band, and its embedding of the canvas; once only if the picture is one band."""
        if self._looked is None or self._looked[0] != t:
            state = self.window(t, band, kept)
            seen = self.model.look(t, state)
            if band.bottom - band.top < self.height:
                return state, seen
            self._looked = t, state, seen
        return self._looked[1:]

    def shape(self, t: int) -> tuple[int, int, int]:
        """Of the latents of step t: (maps, H/s, W/s)."""
        return self.model.heads(t).latents, self.height // self.stride(t), self.width // self.stride(t)

    @_exact
    def predict(self, t: int) -> np.ndarray:
        """Row of the stored table for each latent of step t, uint8."""
        rows, stride = np.empty(self.shape(t), np.uint8), self.stride(t)
        for band in self.bands(t):
            state, seen = self.look(t, band, _Kept())
            found = table_row(self.model.prior(t, state, seen), self.model.sign(t, state))
            rows[:, band.own(stride)] = found[0, :, band.inside(stride)].to(torch.uint8).numpy()
        return rows

    @_exact
    def draw(self, t: int, latents: np.ndarray | None, known: np.ndarray | None = None) -> None:
        """Take step t. latents: None if nothing was sent; known: which maps were, (maps,) bool, if not all."""
        layer, stride, kept = self.model.config.steps[t].layer, self.stride(t), _Kept()
        for band in self.bands(t):
            state, seen = self.look(t, band, kept)
            if latents is None:
                added = seen.new_zeros(1, self.model.heads(t).latents, *seen.shape[2:])
            else:
                sent = torch.from_numpy(latents[:, band.rows(stride)])[None].float()
                added = half_cells(sent, self.model.sign(t, state))
                if known is not None:
                    added = added * torch.from_numpy(known)[:, None, None]
            state = self.model.draw(t, state, seen, added)
            kept.write("canvas", self._canvas, state.canvas[0] * CANVAS_UNIT, band, 1)
            for name, whole, new in (("h", self._h, state.h), ("c", self._c, state.c),
                                     ("history", self._history, state.history)):
                kept.write(f"{name}{layer}", whole[layer], new[layer][0], band, stride)
        self._looked = None

    @_exact
    def pixels(self, stored: int | None = None) -> np.ndarray:
        """What the canvas shows, (3, H, W) uint8; ``stored``: retouched, if only so many whole steps are stored."""
        shown = np.empty((3, self.height, self.width), np.uint8)
        for band in bands(self.height, self.width, self.model.padding, len(self.model.lapping)):
            shown[:, band.own(1)] = _rounded(self._levels(band))
        if stored is None:
            return shown
        multiple = self.model.padding
        margin = -(-max(self.model.retouch.reach, len(self.model.lapping)) // multiple) * multiple
        retouched = np.empty_like(shown)
        for band in bands(self.height, self.width, multiple, margin):
            seen = _floats(torch.from_numpy(shown[:, band.rows(1)]))
            added = self.model.retouch(seen, torch.tensor([stored]))[0, :, band.inside(1)]
            retouched[:, band.own(1)] = _rounded(self._levels(band) + added.double() * (_LEVEL / RETOUCH_UNIT))
        return retouched

    def _levels(self, band: Band) -> Tensor:
        """The unlapped canvas in a band's own rows, float64 (3, rows, W), in whole 1/``_LEVEL`` of a level."""
        return unlap(self._canvas[:, band.rows(1)], self.model.lapping)[:, band.inside(1)]


class Encoder:
    """The encoder over one picture: it watches a decoder, and chooses its latents.

    planes: (3, H, W) uint8, of the decoder's size.
    """

    def __init__(self, decoder: Decoder, planes: np.ndarray):
        self._decoder, self._planes = decoder, torch.from_numpy(planes)
        shapes = [(layer.encoder_state, decoder.height // layer.stride, decoder.width // layer.stride)
                  for layer in decoder.model.config.layers]
        self._h, self._c = ([torch.zeros(shape) for shape in shapes] for _ in range(2))

    @_exact
    def choose(self, t: int, coded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Latents of step t, int8, 0 in maps that are not ``coded``; and the row of the stored table of each."""
        decoder, model = self._decoder, self._decoder.model
        layer, stride, kept = model.config.steps[t].layer, decoder.stride(t), _Kept()
        shape = decoder.shape(t)
        latents, rows = np.empty(shape, np.int8), np.empty(shape, np.uint8)
        for band in decoder.bands(t, further=len(model.lapping)):
            state, seen = decoder.look(t, band, _Kept())
            image = lap(self._planes[:, band.rows(1)].float(), model.lapping)[None]
            encoder = EncoderState(image, _at(layer, model.embed(layer, image)),
                                   _at(layer, kept.window("h", self._h[layer], band, stride)[None]),
                                   _at(layer, kept.window("c", self._c[layer], band, stride)[None]))
            sign = model.sign(t, state)
            found = table_row(model.prior(t, state, seen), sign)
            wanted = target(model.posterior(t, encoder, state), sign).clamp(-LATENT_LIMIT, LATENT_LIMIT).round()
            own, inside = band.own(stride), band.inside(stride)
            latents[:, own] = wanted[0, :, inside].to(torch.int8).numpy()
            rows[:, own] = found[0, :, inside].to(torch.uint8).numpy()
            kept.write("h", self._h[layer], encoder.h[layer][0], band, stride)
            kept.write("c", self._c[layer], encoder.c[layer][0], band, stride)
        latents[~coded] = 0
        return latents, rows


def _rounded(levels: Tensor) -> np.ndarray:
    """To whole levels, halves up: all of it is exact, since the unit is a power of two."""
    return ((levels + _LEVEL // 2) / _LEVEL).floor().clamp(0, 255).to(torch.uint8).numpy()


def _at(layer: int, tensor: Tensor) -> list[Tensor]:
    """A list with the tensor at its layer, and nothing at the coarser ones."""
    return [_NOTHING] * layer + [tensor]


def _floats(tensor: Tensor) -> Tensor:
    return tensor[None].float().contiguous(memory_format=torch.channels_last)
