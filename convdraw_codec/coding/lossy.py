"""The model at work on one picture of any size: tile by tile, the same numbers as all at once.

A step looks no further than its kernels and the overlap of blocks, so a tile with a margin gives its pixels exactly.
What lasts from step to step is stored as int8 and int16: about 20 bytes a pixel, besides one tile's needs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..format.rotation import Colours
from ..network.conv_draw import SHOWN_UNIT, ConvDRAW, EncoderLayer, LayerState, StepInput
from ..network.post_filter import RETOUCH_UNIT, STORED_UNIT
from ..network.priors import table_index
from ..network.quantiser import LATENT_LIMIT, half_cells, target
from .tiling import Tensors, Tile, TileCache, Tiling, exactly, floats, put


class Decoder:
    """The decoder's state over one picture, and the steps that change it. Height and width are multiples of
    ``model.padding``, colours those of the picture. Latents are numpy int arrays (maps, H/s, W/s)."""

    def __init__(self, model: ConvDRAW, height: int, width: int, colours: Colours):
        self.model, self.height, self.width, self.colours = model, height, width, colours
        layers = model.config.layers
        level = model.first_canvas().detach().to(torch.int16)
        self._canvas = level[:, None, None].expand(3, height, width).contiguous()

        def empty(channels: int, stride: int, dtype: torch.dtype) -> Tensor:
            """Positions one after the other, each with all its channels, as ``floats`` gives them."""
            return torch.zeros(height // stride, width // stride, channels, dtype=dtype, device="cpu").permute(2, 0, 1)

        self._layers = [LayerState(empty(layer.state, layer.stride, torch.int8),
                                   empty(layer.state, layer.stride, torch.int16),
                                   empty(count, layer.stride, torch.int16))
                        for layer, count in zip(layers, model.coefficients, strict=True)]
        self._looks = TileCache()
        self._stored = 0  # in 1/64 of a step

    def tiling(self, t: int, further: int = 0) -> Tiling:
        """Tiles for step t; ``further``: pixels to see beyond what the step itself does."""
        layers, layer = self.model.config.layers, self.model.config.steps[t].layer
        here, multiple = layers[layer], layers[max(layer - 1, 0)].stride
        reach = here.stride * (here.kernel // 2 + (here is not layers[-1])) + further  # blocks overlap, but the finest
        return Tiling(self.height, self.width, multiple, -(-reach // multiple) * multiple)

    def tensors(self, t: int) -> Tensors:
        """All that step t may see."""
        layer, stride = self.model.config.steps[t].layer, self.model.stride(t)
        tensors = {"canvas": (self._canvas, 1)}
        tensors |= {name: (tensor, stride) for name, tensor in vars(self._layers[layer]).items()}
        if layer:
            tensors["coarser"] = self._layers[layer - 1].h, self.model.config.layers[layer - 1].stride
        return tensors

    def look(self, t: int, tile: Tile) -> tuple[StepInput, Tensor]:
        """What step t is given in a tile, and its embedding of the canvas."""

        def compute() -> tuple[StepInput, Tensor]:
            layer = LayerState(tile.batch("h"), floats(tile.batch("c")), tile.batch("history"))
            coarser = tile.batch("coarser") if self.model.config.steps[t].layer else None
            given = StepInput(tile.batch("canvas").float(), layer, coarser)
            return given, self.model.look(t, given.canvas)

        return self._looks.get(tile, t, compute)

    def shape(self, t: int) -> tuple[int, int, int]:
        """Of the latents of step t: (maps, H/s, W/s)."""
        stride = self.model.stride(t)
        return self.model.heads(t).latents, self.height // stride, self.width // stride

    @exactly
    def predict(self, t: int) -> np.ndarray:
        """Index into the frequency table for each latent of step t, uint8."""
        indices = np.empty(self.shape(t), np.uint8)
        for tile in self.tiling(t).tiles(self.tensors(t)):
            given, seen = self.look(t, tile)
            found = table_index(self.model.prior(t, given, seen), self.model.sign(t, given.layer))
            put(indices, found[0], tile, self.model.stride(t))
        return indices

    @exactly
    def draw(self, t: int, latents: np.ndarray | None, known: int | None = None, share: int = STORED_UNIT) -> None:
        """Take step t. latents: None if nothing was sent; known: if not all, the maps before this one are known, and
        ``share`` is how much of the step they are, see ``post_filter.share_known``."""
        model, stride = self.model, self.model.stride(t)
        whole = self._layers[model.config.steps[t].layer]
        for tile in self.tiling(t).tiles(self.tensors(t), overwritten=True):
            given, seen = self.look(t, tile)
            if latents is None:
                added = seen.new_zeros(1, model.heads(t).latents, *seen.shape[2:])
            else:
                sent = torch.from_numpy(latents[:, *tile.seen(stride)])[None]
                added = half_cells(sent.contiguous(memory_format=torch.channels_last), model.sign(t, given.layer))
                if known is not None:
                    added[:, known:] = 0
            layer = model.decode(t, given.layer, seen, added)
            put(self._canvas, model.write(t, given.canvas, layer.h, added)[0], tile, 1)
            for old, new in ((whole.h, layer.h), (whole.c, layer.c), (whole.history, layer.history)):
                put(old, new[0], tile, stride)
        self._looks = TileCache()  # the next step sees another canvas
        if latents is not None:
            self._stored = t * STORED_UNIT + share

    @exactly
    def pixels(self, *, retouched: bool = False) -> np.ndarray:
        """What the canvas shows, (3, H, W) uint8; retouched for as much as was drawn."""
        multiple, filtered = self.model.padding, len(self.model.lapping)
        shown = np.empty((3, self.height, self.width), np.uint8)
        tiling = Tiling(self.height, self.width, multiple, -(-filtered // multiple) * multiple)
        cache = TileCache()
        for tile in tiling.tiles({}):
            put(shown, _rounded(self._levels(tile, cache)), tile, 1)
        if not retouched:
            return shown
        tiling = replace(tiling, margin=-(-max(self.model.retouch.reach, filtered) // multiple) * multiple)
        stored, planes = torch.tensor([self._stored], device="cpu"), torch.from_numpy(shown)
        for tile in tiling.tiles({"shown": (planes, 1)}, overwritten=True):
            added = self.model.retouch(floats(tile.batch("shown")), stored)[0]
            put(shown, _rounded(self._levels(tile, cache).add(added, alpha=SHOWN_UNIT // RETOUCH_UNIT)), tile, 1)
        return shown

    def _levels(self, tile: Tile, cache: TileCache) -> Tensor:
        """What the canvas shows in a tile and its margins, float64, in whole 1/``SHOWN_UNIT`` of a level."""
        canvas = self._canvas[None, :, *tile.seen(1)]
        return cache.get(tile, "levels", lambda: self.model.shown(canvas, [self.colours])[0])


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
        self._seen = TileCache()

    def see(self, layer: int, tile: Tile) -> tuple[Tensor, Tensor]:
        """What a tile's canvas should be, and its embedding at a layer."""
        model = self._decoder.model
        planes = self._planes[None, :, *tile.seen(1)]
        image = self._seen.get(tile, "image", lambda: model.to_canvas(planes.float(), [self._decoder.colours]))
        return image, self._seen.get(tile, layer, lambda: model.embed(layer, image))

    @exactly
    def choose(self, t: int, maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Latents of step t, int8, 0 but in those maps; and their indices as ``Decoder.predict`` gives them."""
        decoder, model = self._decoder, self._decoder.model
        layer, stride = model.config.steps[t].layer, model.stride(t)
        memory = {"encoder h": (self._h[layer], stride), "encoder c": (self._c[layer], stride)}
        latents, indices = np.empty(decoder.shape(t), np.int8), np.empty(decoder.shape(t), np.uint8)
        tiling = decoder.tiling(t, len(model.lapping))
        for tile, own in zip(tiling.tiles(decoder.tensors(t)), tiling.tiles(memory, overwritten=True), strict=True):
            given, seen = decoder.look(t, tile)
            image, embedded = self.see(layer, tile)
            encoder = EncoderLayer(embedded, *(floats(own.batch(name)) for name in memory))
            error = model.error(t, image, given.canvas)
            encoder = model.encode(t, error, encoder, given.layer.h)
            sign = model.sign(t, given.layer)
            wanted = target(model.posterior(t, error, encoder.h), sign).clamp(-LATENT_LIMIT, LATENT_LIMIT)
            put(latents, wanted[0].round(), tile, stride)
            put(indices, table_index(model.prior(t, given, seen), sign)[0], tile, stride)
            put(self._h[layer], encoder.h[0], tile, stride)
            put(self._c[layer], encoder.c[0], tile, stride)
        latents[np.delete(np.arange(len(latents)), maps)] = 0
        return latents, indices


def _rounded(levels: Tensor) -> Tensor:
    """To whole levels, halves up: all of it is exact, since the unit is a power of two."""
    return (levels + SHOWN_UNIT // 2).mul_(1 / SHOWN_UNIT).floor_().clamp_(0, 255)
