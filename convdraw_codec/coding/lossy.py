"""The model at work on one picture of any size: tile by tile, the same numbers as all at once.

A step looks no further than its kernels and the overlap of blocks, so a tile with a margin around it gives its own
pixels exactly. What lasts from step to step is held in small numbers; memory is about 20 bytes a pixel, and one tile's
needs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..format.rotation import Colours
from ..network.conv_draw import SHOWN_UNIT, ConvDRAW, DecoderState, EncoderState
from ..network.post_filter import RETOUCH_UNIT, STORED_UNIT
from ..network.priors import table_index
from ..network.quantiser import LATENT_LIMIT, half_cells, target
from .tiling import Span, Strip, Tiling, exactly, floats, put

_NOTHING = torch.empty(0)


class Decoder:
    """The decoder's state over one picture, and the steps that change it.

    height, width: multiples of ``model.padding``. colours: of the picture. Latents are numpy int arrays (maps, H/s,
    W/s).
    """

    def __init__(self, model: ConvDRAW, height: int, width: int, colours: Colours):
        self.model, self.height, self.width, self.colours = model, height, width, colours
        layers = model.config.layers
        level = model.first_canvas().detach().to(torch.int16)
        self._canvas = level[:, None, None].expand(3, height, width).contiguous()

        def empty(channels: int, stride: int, dtype: torch.dtype) -> Tensor:
            """Positions one after the other, each with all its channels, as ``floats`` gives them."""
            return torch.zeros(height // stride, width // stride, channels, dtype=dtype, device="cpu").permute(2, 0, 1)

        self._h = [empty(layer.state, layer.stride, torch.int8) for layer in layers]
        self._c = [empty(layer.state, layer.stride, torch.int16) for layer in layers]
        self._history = [empty(n, layer.stride, torch.int16)
                         for n, layer in zip(model.coefficients, layers, strict=True)]
        self._looked: tuple[int, DecoderState, Tensor] | None = None
        self._stored = 0  # in 1/64 of a step

    def close(self) -> None:
        """Give back its memory, when no more steps follow."""
        self._canvas, self._h, self._c, self._history, self._looked = _NOTHING, [], [], [], None

    def stride(self, t: int) -> int:
        """Pixels per position of the layer that step t visits."""
        return self.model.config.layers[self.model.config.steps[t].layer].stride

    def tiling(self, t: int, further: int = 0) -> Tiling:
        """Tiles for step t; ``further``: pixels to see beyond what the step itself does."""
        layers, layer = self.model.config.layers, self.model.config.steps[t].layer
        here, multiple = layers[layer], layers[max(layer - 1, 0)].stride
        overlap = here.stride if layer < len(layers) - 1 else 0
        reach = here.stride * (here.kernel // 2) + overlap + further
        return Tiling(self.height, self.width, multiple, -(-reach // multiple) * multiple)

    def strip(self, t: int, rows: Span, above: Strip | None = None, *, copy: bool = False) -> Strip:
        """What step t may see in a strip."""
        layers, layer = self.model.config.layers, self.model.config.steps[t].layer
        tensors = {"canvas": (self._canvas, 1), "c": (self._c[layer], layers[layer].stride),
                   "history": (self._history[layer], layers[layer].stride)}
        tensors |= {f"h{i}": (self._h[i], layers[i].stride) for i in (layer - 1, layer) if i >= 0}
        return Strip(tensors, rows, above, copy=copy)

    def look(self, t: int, strip: Strip, columns: Span, *, single: bool) -> tuple[DecoderState, Tensor]:
        """What step t sees of a tile, and its embedding of the canvas. ``single``: the tile is the whole picture,
        and step t looks only once."""
        if single and self._looked and self._looked[0] == t:
            return self._looked[1:]
        layer = self.model.config.steps[t].layer
        canvas = strip.tile("canvas", columns)[None].float()
        memories = [strip.tile(f"h{i}", columns)[None] for i in (layer - 1, layer) if i >= 0]
        state = DecoderState(canvas, (*[_NOTHING] * (layer + 1 - len(memories)), *memories),
                             _at(layer, floats(strip.tile("c", columns))),
                             _at(layer, strip.tile("history", columns)[None]))
        seen = self.model.look(t, state)
        if single:
            self._looked = t, state, seen
        return state, seen

    def shape(self, t: int) -> tuple[int, int, int]:
        """Of the latents of step t: (maps, H/s, W/s)."""
        return self.model.heads(t).latents, self.height // self.stride(t), self.width // self.stride(t)

    @exactly
    def predict(self, t: int) -> np.ndarray:
        """Row of the stored table for each latent of step t, uint8."""
        table_rows, stride, tiling = np.empty(self.shape(t), np.uint8), self.stride(t), self.tiling(t)
        for rows in tiling.rows():
            strip = self.strip(t, rows)
            for columns in tiling.columns():
                state, seen = self.look(t, strip, columns, single=tiling.single)
                found = table_index(self.model.prior(t, state, seen), self.model.sign(t, state))
                put(table_rows, found[0], rows, columns, stride)
        return table_rows

    @exactly
    def draw(self, t: int, latents: np.ndarray | None, known: int | None = None, share: int = STORED_UNIT) -> None:
        """Take step t. latents: None if nothing was sent; known: if not all, the maps before this one are known, and
        ``share`` is how much of the step they are, see ``retouch.share_known``."""
        layer, stride, tiling, strip = self.model.config.steps[t].layer, self.stride(t), self.tiling(t), None
        for rows in tiling.rows():
            strip = self.strip(t, rows, strip, copy=not tiling.single)
            for columns in tiling.columns():
                state, seen = self.look(t, strip, columns, single=tiling.single)
                if latents is None:
                    added = seen.new_zeros(1, self.model.heads(t).latents, *seen.shape[2:])
                else:
                    sent = torch.from_numpy(latents[:, rows.seen(stride), columns.seen(stride)])[None]
                    added = half_cells(sent.contiguous(memory_format=torch.channels_last), self.model.sign(t, state))
                    if known is not None:
                        added[:, known:] = 0
                state = self.model.draw(t, state, seen, added)
                put(self._canvas, state.canvas[0], rows, columns, 1)
                for whole, new in ((self._h, state.h), (self._c, state.c), (self._history, state.history)):
                    put(whole[layer], new[layer][0], rows, columns, stride)
        self._looked = None
        if latents is not None:
            self._stored = t * STORED_UNIT + share

    @exactly
    def pixels(self, *, retouched: bool = False) -> np.ndarray:
        """What the canvas shows, (3, H, W) uint8; retouched for as much as was drawn."""
        multiple, filtered = self.model.padding, len(self.model.lapping)
        shown = np.empty((3, self.height, self.width), np.uint8)
        tiling = Tiling(self.height, self.width, multiple, -(-filtered // multiple) * multiple)
        levels = _NOTHING
        for rows in tiling.rows():
            for columns in tiling.columns():
                levels = self._levels(rows, columns)
                put(shown, _rounded(levels), rows, columns, 1)
        if not retouched:
            return shown
        tiling = replace(tiling, margin=-(-max(self.model.retouch.reach, filtered) // multiple) * multiple)
        stored, strip = torch.tensor([self._stored], device="cpu"), None
        for rows in tiling.rows():
            strip = Strip({"shown": (torch.from_numpy(shown), 1)}, rows, strip, copy=True)
            for columns in tiling.columns():
                added = self.model.retouch(floats(strip.tile("shown", columns)), stored)[0]
                levels = levels if tiling.single else self._levels(rows, columns)
                put(shown, _rounded(levels.add_(added, alpha=SHOWN_UNIT // RETOUCH_UNIT)), rows, columns, 1)
        return shown

    def _levels(self, rows: Span, columns: Span) -> Tensor:
        """What the canvas shows in a tile and its margins, float64, in whole 1/``SHOWN_UNIT`` of a level."""
        return self.model.shown(self._canvas[None, :, rows.seen(1), columns.seen(1)], [self.colours])[0]


class Encoder:
    """The encoder over one picture: it watches a decoder, and chooses its latents.

    planes: (3, H, W) uint8, of the decoder's size.
    """

    def __init__(self, decoder: Decoder, planes: np.ndarray):
        self._decoder, self._planes = decoder, torch.from_numpy(planes)
        shapes = [(layer.encoder_state, decoder.height // layer.stride, decoder.width // layer.stride)
                  for layer in decoder.model.config.layers]
        self._h, self._c = ([torch.zeros(shape, dtype=torch.float16, device="cpu") for shape in shapes]
                            for _ in range(2))
        self._seen: dict[int, tuple[Tensor, Tensor]] = {}  # by layer

    def see(self, layer: int, rows: Span, columns: Span, *, single: bool) -> tuple[Tensor, Tensor]:
        """What a tile's canvas should be, and its embedding at a layer. ``single``: the tile is the whole picture."""
        if single and layer in self._seen:
            return self._seen[layer]
        model, planes = self._decoder.model, self._planes[None, :, rows.seen(1), columns.seen(1)].float()
        image = model.to_canvas(planes, [self._decoder.colours])
        found = image, model.embed(layer, image)
        if single:
            self._seen[layer] = found
        return found

    @exactly
    def choose(self, t: int, maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Latents of step t, int8, 0 but in those maps; and the row of the stored table of each."""
        decoder, model = self._decoder, self._decoder.model
        layer, stride, tiling = model.config.steps[t].layer, decoder.stride(t), decoder.tiling(t, len(model.lapping))
        shape, memory = decoder.shape(t), None
        latents, table_rows = np.empty(shape, np.int8), np.empty(shape, np.uint8)
        for rows in tiling.rows():
            strip = decoder.strip(t, rows)
            memory = Strip({"h": (self._h[layer], stride), "c": (self._c[layer], stride)}, rows, memory,
                           copy=not tiling.single)
            for columns in tiling.columns():
                state, seen = decoder.look(t, strip, columns, single=tiling.single)
                image, embedded = self.see(layer, rows, columns, single=tiling.single)
                encoder = EncoderState(image, [*_at(layer, embedded)],
                                       [*_at(layer, floats(memory.tile("h", columns)))],
                                       [*_at(layer, floats(memory.tile("c", columns)))])
                sign = model.sign(t, state)
                found = table_index(model.prior(t, state, seen), sign)
                wanted = target(model.posterior(t, encoder, state), sign).clamp(-LATENT_LIMIT, LATENT_LIMIT)
                put(latents, wanted[0].round(), rows, columns, stride)
                put(table_rows, found[0], rows, columns, stride)
                put(self._h[layer], encoder.h[layer][0], rows, columns, stride)
                put(self._c[layer], encoder.c[layer][0], rows, columns, stride)
        latents[np.delete(np.arange(len(latents)), maps)] = 0
        return latents, table_rows


def _rounded(levels: Tensor) -> Tensor:
    """To whole levels, halves up: all of it is exact, since the unit is a power of two."""
    return (levels + SHOWN_UNIT // 2).mul_(1 / SHOWN_UNIT).floor_().clamp_(0, 255)


def _at(layer: int, tensor: Tensor) -> tuple[Tensor, ...]:
    """The tensor at its layer, and nothing at the coarser ones."""
    return (*[_NOTHING] * layer, tensor)
