"""The codecs under comparison: each turns a picture into real files, and each file into a picture."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from convdraw_codec import Codec, truncate

Point = tuple[int, Image.Image]  # bytes of the file, decoded picture


class Compared(Protocol):
    """A codec at a ladder of settings. ``points`` gives one file a setting, from small to large."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    def points(self, image: Image.Image) -> Iterator[Point]: ...


class Cdraw:
    """One file per picture, cut after every step, and retouched."""

    name = "cdraw"
    description = "convdraw_codec, bundled photo model, one file per image cut at every step"

    def __init__(self) -> None:
        self._codec = Codec()

    def points(self, image: Image.Image) -> Iterator[Point]:
        """One point for each cut of one file."""
        data = self._codec.compress(image)
        for steps, picture in enumerate(self._codec.progressive(data), 1):
            yield len(truncate(data, steps)), picture


@dataclass(frozen=True)
class Pillow:
    """A codec of Pillow at a ladder of values of its quality option."""

    name: str
    description: str
    format: str
    settings: tuple[dict, ...]

    def points(self, image: Image.Image) -> Iterator[Point]:
        """One file for each value of the option."""
        for setting in self.settings:
            file = io.BytesIO()
            image.save(file, self.format, **setting)
            with Image.open(file) as decoded:
                yield len(file.getvalue()), decoded.convert(image.mode)


JPEG = Pillow("jpeg", "Pillow JPEG, 4:2:0, optimize, progressive", "JPEG",
              tuple({"quality": q, "subsampling": "4:2:0", "optimize": True, "progressive": True}
                    for q in (1, 3, 5, 7, 10, 15, 20, 30, 40, 50, 60, 70, 80, 85, 90, 95)))
JPEG2000 = Pillow("jpeg2000", "Pillow JPEG 2000, 9/7 wavelet, colour transform, rate-allocated", "JPEG2000",
                  tuple({"quality_mode": "rates", "quality_layers": [24 / bpp], "irreversible": True, "mct": 1}
                        for bpp in (0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 2.5)))


CODECS: dict[str, Callable[[], Compared]] = {"jpeg": lambda: JPEG, "jpeg2000": lambda: JPEG2000, "cdraw": Cdraw}


def make(name: str) -> Compared:
    """The codec with that name, one of ``CODECS``."""
    return CODECS[name]()
