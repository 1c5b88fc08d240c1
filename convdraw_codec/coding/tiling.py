"""Cutting a picture into tiles with margins, and putting together what each tile gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

TILE_PIXELS = 2**19  # of a tile without its margins; smaller pictures are one tile ...
TILE_WIDTH = 1024  # ... if they are no wider
Tensors: TypeAlias = dict[str, tuple[Tensor, int]]  # of a whole picture, (..., H/s, W/s), with their strides, by name
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
    """Pixels along one axis: those that are wanted, from ``first`` to ``last``, and the margins before and after."""

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

    def tiles(self, tensors: Tensors, *, overwritten: bool = False) -> Iterator[Tile]:
        """Every tile, strip by strip, and what it may see of tensors: if tiles will be overwritten, as all was before.
        """
        strip = None
        for rows in self.rows():
            strip = Strip(tensors, rows, strip if overwritten else None, copy=overwritten and not self.single)
            for columns in self.columns():
                yield Tile(rows, columns, strip)

    def rows(self) -> Iterator[Span]:
        """The strips, from top to bottom."""
        return spans(self.height, TILE_PIXELS // min(self.width, TILE_WIDTH), self.multiple, self.margin)

    def columns(self) -> Iterator[Span]:
        """The tiles of each strip, from left to right."""
        return spans(self.width, TILE_WIDTH, self.multiple, self.margin)


class Strip:
    """Snapshot of a strip and its margins, taken before tiles are overwritten.

    above: the strip before this one, if its tiles were overwritten. copy: tiles of this one will be.
    """

    def __init__(self, tensors: Tensors, rows: Span, above: Strip | None, *, copy: bool):
        self.rows, self.tensors = rows, Tensors()
        for name, (whole, stride) in tensors.items():
            seen = whole[:, rows.seen(stride)]
            if above and rows.before:
                own, margin = above.tensors[name][0][:, above.rows.inside(stride)], rows.before // stride
                seen = torch.cat([own[:, -margin:], seen[:, margin:]], dim=1)
            self.tensors[name] = (seen.clone() if copy else seen), stride


@dataclass(frozen=True)
class Tile:
    """A strip's rows and a tile's columns."""

    rows: Span
    columns: Span
    strip: Strip

    def batch(self, name: str) -> Tensor:
        """A tensor with margins, as a batch of one."""
        tensor, stride = self.strip.tensors[name]
        return tensor[None, :, :, self.columns.seen(stride)]

    def seen(self, stride: int) -> tuple[slice, slice]:
        """Of a layer, with margins."""
        return self.rows.seen(stride), self.columns.seen(stride)


class TileCache:
    """What was computed for one tile, by name, until another is looked at: a picture of one tile is looked at once."""

    def __init__(self) -> None:
        self._place: tuple[Span, Span] | None = None  # no tile, which would hold its strip's memory
        self._values: dict[object, Any] = {}

    def get(self, tile: Tile, name: object, compute: Callable[[], Value]) -> Value:
        """The value of that name."""
        if (place := (tile.rows, tile.columns)) != self._place:
            self._place, self._values = place, {}
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
