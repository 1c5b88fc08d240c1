"""Cutting a picture into tiles with margins, and putting together what each tile gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

TILE_PIXELS = 2**19  # of a tile without its margins; smaller pictures are one tile ...
TILE_WIDTH = 1024  # ... if they are no wider
Method = TypeVar("Method", bound=Callable[..., Any])
Value = TypeVar("Value")


def exactly(method: Method) -> Method:
    """No gradients, and no autocast around the exact arithmetic, whatever the caller has switched on."""

    @wraps(method)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            return method(*args, **kwargs)

    return wrapped  # type: ignore[return-value]


@dataclass(frozen=True)
class Span:
    """Pixels along one axis: those that a result is wanted for, from ``first`` to ``last``, and ``before`` and
    ``after``, the margins that are looked at besides."""

    first: int
    last: int
    before: int
    after: int

    def seen(self, stride: int) -> slice:
        """Of a layer, with margins."""
        return slice((self.first - self.before) // stride, (self.last + self.after) // stride)

    def own(self, stride: int) -> slice:
        """Of a layer, without margins."""
        return slice(self.first // stride, self.last // stride)

    def inside(self, stride: int) -> slice:
        """The own ones, counted within ``seen``."""
        return slice(self.before // stride, (self.before + self.last - self.first) // stride)


def spans(length: int, size: int, multiple: int, margin: int) -> Iterator[Span]:
    """Spans of about ``size`` along an axis, their borders at multiples of ``multiple``."""
    size = max(size // multiple * multiple, multiple, margin)
    for first in range(0, length, size):
        last = min(first + size, length)
        yield Span(first, last, min(margin, first), min(margin, length - last))


@dataclass(frozen=True)
class Tiling:
    """How a picture is cut into tiles: strips of rows, and each of them into columns."""

    height: int
    width: int
    multiple: int
    margin: int

    @property
    def single(self) -> bool:
        """Whether one tile is the whole picture."""
        return len(list(self.rows())) == len(list(self.columns())) == 1

    def strips(self, tensors: dict[str, tuple[Tensor, int]], *, overwritten: bool = False
               ) -> Iterator[tuple[Tile, Strip]]:
        """Every tile, and what it may see of tensors, as ``Strip`` takes them: as they were before any tile of the
        picture was overwritten, if they are overwritten."""
        strip = None
        for rows in self.rows():
            strip = Strip(tensors, rows, strip if overwritten else None, copy=overwritten and not self.single)
            for columns in self.columns():
                yield Tile(rows, columns), strip

    def tiles(self) -> Iterator[Tile]:
        """Every tile, strip by strip."""
        return (tile for tile, _ in self.strips({}))

    def rows(self) -> Iterator[Span]:
        """The strips, from top to bottom."""
        return spans(self.height, TILE_PIXELS // min(self.width, TILE_WIDTH), self.multiple, self.margin)

    def columns(self) -> Iterator[Span]:
        """The tiles of each strip, from left to right."""
        return spans(self.width, TILE_WIDTH, self.multiple, self.margin)


class Strip:
    """Snapshot of a strip and its margins, taken before tiles are overwritten.

    tensors: of the whole picture, (..., H/s, W/s), and their strides, by name. above: the strip before this one, if
    its tiles were overwritten. copy: tiles of this one will be.
    """

    def __init__(self, tensors: dict[str, tuple[Tensor, int]], rows: Span, above: Strip | None = None, *,
                 copy: bool = False):
        self._rows, self._tensors = rows, {}
        for name, (whole, stride) in tensors.items():
            seen = whole[:, rows.seen(stride)]
            if above and rows.before:
                old = above.own(name)[:, -(rows.before // stride):]
                seen = torch.cat([old, seen[:, rows.before // stride:]], dim=1)
            self._tensors[name] = (seen.clone() if copy else seen), stride

    def own(self, name: str) -> Tensor:
        """A tensor's rows without margins."""
        tensor, stride = self._tensors[name]
        return tensor[:, self._rows.inside(stride)]

    def batch(self, name: str, tile: Tile) -> Tensor:
        """A tensor in a tile with its margins, as a batch of one."""
        tensor, stride = self._tensors[name]
        return tensor[None, :, :, tile.columns.seen(stride)]


@dataclass(frozen=True)
class Tile:
    """A strip's rows and a tile's columns."""

    rows: Span
    columns: Span

    def seen(self, stride: int) -> tuple[slice, slice]:
        """Of a layer, with margins."""
        return self.rows.seen(stride), self.columns.seen(stride)


class TileCache:
    """What was computed for one tile, by name: kept until another tile is looked at, so that a picture of one tile is
    looked at once."""

    def __init__(self) -> None:
        self._tile: Tile | None = None
        self._values: dict[object, Any] = {}

    def get(self, tile: Tile, name: object, compute: Callable[[], Value]) -> Value:
        """The value of that name."""
        if tile != self._tile:
            self._tile, self._values = tile, {}
        if name not in self._values:
            self._values[name] = compute()
        return self._values[name]


def put(whole: Tensor | np.ndarray, new: Tensor, tile: Tile, stride: int) -> None:
    """Write a tile's own part of a tensor that has its margins, too."""
    rows, columns = tile.rows, tile.columns
    whole = torch.from_numpy(whole) if isinstance(whole, np.ndarray) else whole
    whole[:, rows.own(stride), columns.own(stride)] = new[:, rows.inside(stride), columns.inside(stride)]


def floats(batch: Tensor) -> Tensor:
    """float32, in the layout that convolutions work on. Permute first: int8 is cheaper to move than float32."""
    return batch.contiguous(memory_format=torch.channels_last).float()
