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

    def rows(self) -> Iterator[Span]:
        """The strips, from top to bottom."""
        return spans(self.height, TILE_PIXELS // min(self.width, TILE_WIDTH), self.multiple, self.margin)

    def columns(self) -> Iterator[Span]:
        """The tiles of each strip, from left to right."""
        return spans(self.width, TILE_WIDTH, self.multiple, self.margin)


class Strip:
    """Values in a strip of rows and its margins, as they were before any tile of the picture was overwritten.

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

    def tile(self, name: str, columns: Span) -> Tensor:
        """A tensor in a tile with its margins."""
        tensor, stride = self._tensors[name]
        return tensor[:, :, columns.seen(stride)]


def put(whole: Tensor | np.ndarray, new: Tensor, rows: Span, columns: Span, stride: int) -> None:
    """Write a tile's own part of a tensor that has its margins, too."""
    whole = torch.from_numpy(whole) if isinstance(whole, np.ndarray) else whole
    whole[:, rows.own(stride), columns.own(stride)] = new[:, rows.inside(stride), columns.inside(stride)]


def floats(tensor: Tensor) -> Tensor:
    """A batch of one, float32, as convolutions like it."""
    return tensor[None].contiguous(memory_format=torch.channels_last).float()  # fewer bytes to move about, as a rule
