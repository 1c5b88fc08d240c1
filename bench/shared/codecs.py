"""The codecs under comparison: each turns a picture into real files, and each file into a picture."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any, Protocol

import PIL
from PIL import Image, features

from convdraw_codec import CdrError, Codec, truncate

WHOLE = 3  # steps below 0.01 bits per pixel, inside which cdraw's files are not cut
INSIDE = (0.25, 0.5, 0.75)  # where they are in the others

Point = tuple[int, Image.Image]  # bytes of the file, decoded picture


class Compared(Protocol):
    """A codec at a ladder of settings. ``points`` gives one file a setting, from small to large; ``within`` the best
    in at most so many bytes, or None if nothing is so small."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def settings(self) -> tuple[dict[str, Any], ...]: ...
    def points(self, image: Image.Image) -> Iterator[Point]: ...
    def within(self, image: Image.Image, size: int) -> Point | None: ...


@cache
def the_codec() -> Codec:
    """cdraw with the bundled model, one instance a process."""
    return Codec()


class Cdraw:
    """One file per picture, cut after every step and inside most of them."""

    name = "cdraw"

    def __init__(self) -> None:
        self._codec = the_codec()
        self.description = f"photo model {self._codec.fingerprint}, one file per image, cut after and inside its steps"
        self.settings = tuple({"steps": steps + share} for steps in range(self._codec.total_steps)
                              for share in ((*INSIDE, 1) if steps >= WHOLE else (1,)))

    def points(self, image: Image.Image) -> Iterator[Point]:
        """One point for each cut of one file."""
        data = self._codec.compress(image)
        sizes = [0, *(len(truncate(data, steps)) for steps in range(1, self._codec.total_steps + 1))]
        for setting in self.settings:
            whole, share = divmod(setting["steps"], 1)
            before, after = sizes[int(whole)], sizes[min(int(whole) + 1, len(sizes) - 1)]
            cut = truncate(data, size=round(before + share * (after - before)))
            yield len(cut), self._codec.decompress(cut)

    def within(self, image: Image.Image, size: int) -> Point | None:
        """Cut to the byte."""
        try:
            data = truncate(self._codec.compress(image), size=size)
        except CdrError:
            return None
        return len(data), self._codec.decompress(data)


@dataclass(frozen=True)
class Pillow:
    """A codec of Pillow at a ladder of settings. library: what Pillow calls the code behind it; or the package, and
    the module, of a plugin."""

    name: str
    format: str
    library: str
    explained: str
    settings: tuple[dict[str, Any], ...]
    plugin: str = ""

    @property
    def description(self) -> str:
        """Versions and settings."""
        version = metadata.version(self.library) if self.plugin else features.version(self.library)
        return f"Pillow {PIL.__version__}, {self.library} {version}, {self.explained}"

    @property
    def missing(self) -> str:
        """Why it cannot be used here, or nothing."""
        if self.plugin:
            return "" if find_spec(self.plugin) else f"{self.library} is not installed"
        return "" if features.check(self.library) else f"this Pillow has no {self.library}"

    def points(self, image: Image.Image) -> Iterator[Point]:
        """One file for each setting."""
        return (self._point(image, setting) for setting in self.settings)

    def within(self, image: Image.Image, size: int) -> Point | None:
        """The best setting between those of the ladder, by bisection."""
        least, most = self.settings[0], self.settings[-1]
        best, low, high = self._point(image, least), 0.0, 1.0
        if best[0] > size:
            return None
        for _ in range(10):
            share = (low + high) / 2
            point = self._point(image, {key: _between(least[key], most[key], share) for key in least})
            if point[0] <= size:
                best, low = point, share
            else:
                high = share
        return best

    def encode(self, image: Image.Image, setting: dict[str, Any]) -> bytes:
        """A file."""
        if self.plugin:
            import_module(self.plugin)
        file = io.BytesIO()
        image.save(file, self.format, **setting)
        return file.getvalue()

    def decode(self, data: bytes) -> Image.Image:
        """Its picture."""
        with Image.open(io.BytesIO(data)) as opened:
            return opened.convert("RGB")

    def _point(self, image: Image.Image, setting: dict[str, Any]) -> Point:
        data = self.encode(image, setting)
        return len(data), self.decode(data).convert(image.mode)


def _between(first: Any, last: Any, share: float) -> Any:
    """A setting so far on the way from one to the other: of qualities a whole number, of rates geometrically."""
    if first == last:
        return first
    if isinstance(first, list):
        return [first[0] * (last[0] / first[0]) ** share]
    return round(first + (last - first) * share)


def _ladder(qualities: tuple[int, ...], **options: object) -> tuple[dict[str, Any], ...]:
    return tuple({"quality": quality} | options for quality in qualities)


JPEG = (1, 3, 5, 7, 10, 15, 20, 30, 40, 50, 60, 70, 80, 85, 90, 95)
WEBP = (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95)
JXL = (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95)
AVIF = (5, 10, 20, 30, 45, 60, 75, 90)
SLOWLY = {"speed": 2, "max_threads": 1}  # more threads make other files, slightly larger ones
BPP = (0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 2.5)
PEERS = [
    Pillow("jpeg", "JPEG", "jpg", "4:2:0, optimize, progressive",
           _ladder(JPEG, subsampling="4:2:0", optimize=True, progressive=True)),
    Pillow("jpeg-444", "JPEG", "jpg", "4:4:4, optimize, progressive",
           _ladder(JPEG, subsampling="4:4:4", optimize=True, progressive=True)),
    Pillow("jpeg2000", "JPEG2000", "jpg_2000", "9/7 wavelet, colour transform, rate-allocated, bare codestream",
           tuple({"quality_mode": "rates", "quality_layers": [24 / bpp], "irreversible": True, "mct": 1,
                  "no_jp2": True} for bpp in BPP)),
    Pillow("webp", "WEBP", "webp", "method 6", _ladder(WEBP, method=6)),
    Pillow("avif", "AVIF", "avif", "4:2:0, speed 2", _ladder(AVIF, subsampling="4:2:0", **SLOWLY)),
    Pillow("avif-444", "AVIF", "avif", "4:4:4, speed 2", _ladder(AVIF, subsampling="4:4:4", **SLOWLY)),
    Pillow("avif-444-ssim", "AVIF", "avif", "4:4:4, speed 2, tuned for SSIM",
           _ladder(AVIF, subsampling="4:4:4", advanced={"tune": "ssim"}, **SLOWLY)),
    Pillow("jpeg-xl", "JXL", "pillow-jxl-plugin", "effort 9", _ladder(JXL, effort=9), plugin="pillow_jxl"),
]


CODECS = ("cdraw", *(peer.name for peer in PEERS))


def missing(name: str) -> str:
    """Why a codec cannot be measured here, or nothing."""
    return next((peer.missing for peer in PEERS if peer.name == name), "")


def make(name: str) -> Compared:
    """The codec with that name, one of ``CODECS``."""
    return Cdraw() if name == "cdraw" else next(peer for peer in PEERS if peer.name == name)
