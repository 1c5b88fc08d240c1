"""Codec: pictures to bytes and back, the one face of the library."""

from __future__ import annotations

import contextlib
import itertools
import math
import operator
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property, partial
from importlib.resources import as_file, files
from os import PathLike
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from .coding.rotation_fit import colours_of
from .coding.sessions import Decoding, Encoding, Network, Session, drawn, shown
from .errors import CdrError, ImageError, MachineError, ModelError, TruncatedError
from .format import bitstream
from .format.bitstream import Contents, Header
from .format.constants import MAX_PIXELS, RESIDUAL_STEPS
from .format.source import Source, checked, content, pieces
from .network.convolution import DEVICES, GRAPHS, Convolver, fastest_exact, is_exact
from .network.weights import load_model
from .options import FILLS, REDUCTIONS, Fill
from .pictures import webp
from .pictures.conversion import ImageLike, Picture, assemble, from_planes, open_picture, to_planes
from .plausible.fill import plausible
from .plausible.texture import Texture
from .plausible.weights import beside, load_texture


def _bundled(name: str) -> contextlib.AbstractContextManager[Path]:
    """A file that comes with the package."""
    return as_file(files(__package__) / "models" / name)


def _until_damage(segments: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from segments
    except TruncatedError as error:
        if not error.steps:
            raise


class Codec:
    """Compresses and decompresses pictures with one model.

    model: path of a model file; None is the photo model that comes with the package. convolution: how exact
    convolutions are computed, "int8" or "float32": the same pixels, the latter slower; None is the fastest that is
    exact on this machine. device: "cpu", or "cuda" where ONNX Runtime has it: the same pixels again. threads: of the
    processor, at most; None is one a core, up to 8. max_pixels: of the largest picture that it takes, as memory grows
    with them; Pillow has a limit of its own, Image.MAX_IMAGE_PIXELS. Raises ModelError for a file that is no usable
    model, MachineError if the convolution is not exact, or none is. Instances may be shared between threads, and
    pickled: what is unpickled loads the model file anew, and chooses the convolution anew if None was given. ``model``
    is the network.
    """

    def __init__(self, model: str | PathLike[str] | None = None, *, convolution: str | None = None,
                 device: str = "cpu", threads: int | None = None, max_pixels: int = MAX_PIXELS):
        self._options: dict[str, Any] = {"convolution": convolution, "device": device, "threads": threads,
                                         "max_pixels": max_pixels}
        self._path, self.max_pixels = None if model is None else os.path.abspath(model), max_pixels
        if device not in DEVICES:
            raise ValueError(f"device must be one of {', '.join(DEVICES)}, not {device!r}")
        if threads is not None and operator.index(threads) < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        convolution = convolution or fastest_exact(device)
        if convolution not in GRAPHS:
            raise ValueError(f"convolution must be one of {', '.join(GRAPHS)}, not {convolution!r}")
        if not is_exact(convolution, device):
            raise MachineError(f"{convolution} convolutions are not exact on this machine's {device}")
        with _bundled("photo.safetensors") as photo:
            self.model = load_model(photo if model is None else model)
        self.network = Network(self.model, Convolver(convolution, threads, device))
        self.fingerprint = self.model.fingerprint

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), **self._options), (self._path,)

    @property
    def total_steps(self) -> int:
        """Steps of the model: what ``compress`` stores by default."""
        return len(self.model.config.steps)

    @property
    def lossless_steps(self) -> int:
        """Those, and the residual steps after them."""
        return self.total_steps + RESIDUAL_STEPS

    inspect = staticmethod(bitstream.inspect)

    # -- compress ------------------------------------------------------------------------------------------

    def compress(self, image: ImageLike, steps: int | None = None, *, size: int | None = None,
                 bpp: float | None = None, psnr: float | None = None, lossless: bool = False,
                 drop_alpha: bool = False, strip: bool = False, keep_orientation: bool = False, page: int | None = None,
                 on_step: Callable[[int], None] | None = None) -> bytes:
        """A picture as the bytes of a .cdr file.

        image: a Pillow image, a uint8 array, (H, W) or (H, W, 1 to 4), or a picture file: bytes, a path, an open file.
        How much is stored: the first ``steps`` steps; at most ``size`` bytes, or ``bpp`` bits per pixel; as little as
        gives ``psnr`` decibels over R, G and B (all steps of the model, with a UserWarning, if that is not enough);
        ``lossless``, every pixel exactly, in residual steps, or as WebP where those would take far more bytes; by
        default, all steps of the model. Alpha channel and metadata are kept unless ``drop_alpha`` or ``strip`` says
        otherwise. The picture is turned as its EXIF orientation says, unless ``keep_orientation`` leaves pixels and
        orientation as they are. page: of a file with several, from 1 on; by default the main one. A UserWarning says
        what is not kept. on_step is called with the number of each finished step. Raises ImageError (a ValueError),
        CdrError if it cannot be so small, OSError for a path that is not there or cannot be read, ValueError or
        TypeError for arguments that make no sense.
        """
        if sum(budget is not None for budget in (steps, size, bpp, psnr)) + lossless > 1:
            raise ValueError("give only one of steps, size, bpp, psnr and lossless")
        if not all(0 <= budget < math.inf for budget in (size, bpp, psnr) if budget is not None):
            raise ValueError("size, bpp and psnr are numbers from 0 on")
        picture, stream = open_picture(image, keep_orientation, page=page, strip=strip).without(alpha=drop_alpha), None
        if lossless:
            if picture.lost:
                raise ImageError(f"it cannot be kept without loss: {picture.lost} would be lost")
            steps, stream = self.lossless_steps, webp.encode(picture, webp.FASTEST)
        steps = self._count(steps)
        contents, encoding = self._begun(picture, keep=steps > self.total_steps or psnr is not None)
        header, source = contents.header, picture if stream else None
        del picture  # whose pixels take room
        if bpp is not None:
            size = header.bytes_at(bpp)

        def enough(contents: Contents) -> bool:
            if stream:
                return webp.pays(contents, stream)
            if size is not None:
                return len(bitstream.write(contents)) > size
            return psnr is not None and self._quality(header, encoding.planes, encoding.pixels()) >= psnr

        contents, stopped = self._encode(contents, encoding, steps, enough, on_step)
        if source and stopped:
            return bitstream.write(webp.in_place_of_steps(contents, source))
        data = bitstream.write(contents)
        if psnr is not None and stopped:
            return self._least(encoding.planes, data, psnr)
        if psnr is not None:
            warnings.warn(f"all steps together give less than {psnr:g} decibels; lossless keeps every pixel",
                          UserWarning, stacklevel=2)
        return bitstream.truncate(data, size=size) if stopped else data

    def _begun(self, picture: Picture, *, keep: bool) -> tuple[Contents, Encoding]:
        """A file without steps, and what makes them, see ``Encoding``. Raises ImageError for a picture that is too
        large."""
        if picture.pixels.width * picture.pixels.height > self.max_pixels:
            raise ImageError(f"it has more than the {self.max_pixels:,} pixels allowed: --max-pixels allows more "
                             "(in Python, max_pixels=)")
        header = Header(*picture.pixels.size, picture.mode, self.total_steps, self.total_steps, self.fingerprint,
                        colours=colours_of(np.asarray(picture.pixels)))
        encoding = Encoding(self.network, header, to_planes(picture.pixels, self.model.padding), keep=keep)
        return Contents(header, [], picture.chunks()), encoding

    @staticmethod
    def _encode(contents: Contents, encoding: Encoding, steps: int, enough: Callable[[Contents], bool],
                on_step: Callable[[int], None] | None) -> tuple[Contents, bool]:
        """A file with so many steps, or fewer, if they are ``enough``, and whether they were."""
        for segment in encoding.segments(steps):
            contents = contents.with_step(segment)
            if on_step:
                on_step(contents.header.steps)
            if enough(contents):
                return contents, True
        return contents, False

    def predict(self, image: ImageLike, steps: int | None = None) -> Iterator[Image.Image]:
        """What decoding will show after 1, 2, ... ``steps`` stored steps, from the encoder's run."""
        steps = self._count(steps)
        contents, encoding = self._begun(open_picture(image), keep=steps > self.total_steps)
        for segment in encoding.segments(steps):
            contents = contents.with_step(segment)
            yield _assemble(contents.header, contents.chunks, encoding.pixels())

    def _count(self, steps: int | None) -> int:
        """How many are asked for. Raises ValueError."""
        steps = self.total_steps if steps is None else operator.index(steps)
        if not 1 <= steps <= self.lossless_steps:
            raise ValueError(f"steps must be 1 to {self.total_steps}, or up to {self.lossless_steps} with residual "
                             f"steps, not {steps}")
        return steps

    @staticmethod
    def _quality(header: Header, original: np.ndarray, shown: np.ndarray) -> float:
        """PSNR in decibels of what a decoder shows; both are planes."""
        from .pictures.metrics import psnr  # it imports much that nothing else needs

        return psnr(*(from_planes(planes, header.width, header.height, header.grey) for planes in (original, shown)))

    def _least(self, planes: np.ndarray, data: bytes, psnr: float) -> bytes:
        """The smallest cut of the file's last step that still gives ``psnr`` decibels, within 64 bytes."""
        steps = bitstream.parse_header(data).steps
        low = len(bitstream.truncate(data, steps - 1)) if steps > 1 else 0
        best, high = data, len(data)
        while high - low > 64:
            middle = (low + high) // 2
            try:
                contents = bitstream.read(shorter := bitstream.truncate(data, size=middle))
                shown = self._decode(contents).pixels()
                enough = self._quality(contents.header, planes, shown) >= psnr
            except CdrError:  # too short for anything
                enough = False
            low, high, best = (low, middle, shorter) if enough else (middle, high, best)
        return best

    # -- decompress ----------------------------------------------------------------------------------------

    def decompress(self, data: Source, steps: int | None = None, fill: Fill = "estimate", seed: int = 0, *,
                   detail: float = 1.0, reduce: int = 1, allow_truncated: bool = False,
                   on_step: Callable[[int], None] | None = None) -> Image.Image:
        """The picture in a .cdr file, bytes, a path or an open file: a Pillow image of mode "RGB", "L", "RGBA" or "LA".

        steps: use only the first so many. fill: what stands in for what is not stored. "estimate" shows the likeliest
        picture; "plausible" one that may have been, with texture drawn with ``seed`` (0 to 2**64 - 1), and as much of
        it as ``detail`` says, from 0 to 1; "prior" takes the steps on a sample of the prior, drawn with the seed, which
        shows noise; "none" shows the middle of what is known. reduce: 2, 4 or 8, for a picture so many times smaller on
        each side (rounded up), sooner, without the steps that are finer than it can show. allow_truncated: decode the
        whole steps of a file that ends early. ICC profile, EXIF and XMP go to the image's ``info``. Raises CdrError (a
        ValueError) for a file that cannot be decoded as asked, ModelError for a model without texture, OSError for a
        path that is not there or cannot be read, TypeError for what is no file.
        """
        if reduce not in REDUCTIONS:
            raise ValueError(f"reduce must be one of {REDUCTIONS}, not {reduce}")
        total = self._steps_within(reduce)
        show = self._filling(fill, seed, detail, total)
        contents = self._read(data, steps, allow_truncated)
        if contents.header.webp:
            image = webp.decode(contents.segments[-1], contents.header, contents.chunks)
        else:
            contents = contents.first(total) if reduce > 1 else contents
            pixels = self._decode(contents, on_step).pixels(show)
            image = _assemble(contents.header, contents.chunks, pixels)
        return image.reduce(reduce) if reduce > 1 else image

    def progressive(self, data: Source | Iterable[bytes], fill: Fill = "estimate", seed: int = 0, *,
                    detail: float = 1.0, allow_truncated: bool = False) -> Iterator[Image.Image]:
        """The picture after each stored step, as ``decompress`` gives it with that many steps; last, with what may be
        stored of one more step. Each step is decoded once. fill, seed and detail: as of ``decompress``, but for
        "prior".

        data: bytes or a path; or an open file, or pieces of one: then a picture comes as soon as its step has arrived.
        Raises CdrError as ``decompress`` does: before the first picture for bytes or a path, else where the damage is
        met; BlockingIOError for an open file that does not wait for its bytes.
        """
        if fill == "prior":
            raise ValueError("a sample of the prior ends decoding: progressive goes without")
        show = self._filling(fill, seed, detail, self.total_steps)
        if isinstance(data, (bytes, bytearray, memoryview, str, PathLike)):
            contents = self._read(data, None, allow_truncated)
            return self._show(contents.header, contents.chunks, contents.segments, show)
        in_pieces = isinstance(data, Iterable) and not hasattr(data, "read")
        incoming = bitstream.Incoming(map(checked, data) if in_pieces else pieces(cast(Source, data)), self._check)
        segments = _until_damage(incoming.segments()) if allow_truncated else incoming.segments()
        return self._show(incoming.header, incoming.chunks, segments, show)

    def _show(self, header: Header, chunks: Mapping[str, bytes], segments: Iterable[bytes],
              show: Callable[[Session], np.ndarray]) -> Iterator[Image.Image]:
        segments = iter(segments)
        decoding = Decoding(self.network, header)
        for steps in decoding.steps(itertools.islice(segments, header.steps + header.cut)):
            now = replace(header, steps=steps, cut=False, webp=False) if steps <= header.steps else header
            yield _assemble(now, chunks, decoding.pixels(show))
        for stream in segments:  # and nothing else may follow
            yield webp.decode(stream, header, chunks)

    def _filling(self, fill: Fill, seed: int, detail: float, total: int) -> Callable[[Session], np.ndarray]:
        """What shows a picture, see ``decompress``. total: the last step that matters. Raises ValueError."""
        if fill not in FILLS:
            raise ValueError(f"fill must be one of {FILLS}, not {fill!r}")
        if not 0 <= operator.index(seed) < 2**64:
            raise ValueError("a seed is a whole number from 0 to 2**64 - 1")
        if not 0 <= detail <= 1:
            raise ValueError(f"detail lies from 0 to 1, not {detail}")
        if fill == "plausible":
            return partial(plausible, self._texture, seed=seed, detail=detail)
        if fill == "prior":
            return partial(drawn, total=total, seed=seed)
        return partial(shown, estimated=fill == "estimate")

    @cached_property
    def _texture(self) -> Texture:
        """Of the file beside that of the model. Raises ModelError."""
        with _bundled("photo.texture.safetensors") as photo:
            path = photo if self._path is None else beside(self._path)
            try:
                return load_texture(path, self.model)
            except FileNotFoundError:
                raise ModelError(f"{path} is not there, and fill \"plausible\" needs it: cdraw train --config "
                                 "photo-texture makes one") from None

    def _steps_within(self, reduce: int) -> int:
        """The last step that matters to a picture so many times smaller, in which errors are smaller as well."""
        quantisers = [step.quantiser for step in self.model.config.steps]
        finest = min(reduce * min(quantisers), quantisers[0])
        return max(number for number, quantiser in enumerate(quantisers, 1) if quantiser >= finest)

    def _read(self, data: Source, steps: int | None, allow_truncated: bool) -> Contents:
        data = content(data)
        self._check(bitstream.parse_header(data))
        return bitstream.read(data, steps=steps, allow_truncated=allow_truncated)

    def _check(self, header: Header) -> None:
        """Raise CdrError for a file that this codec cannot decode."""
        if header.model != self.fingerprint or header.total_steps != self.total_steps:
            raise CdrError(f"it was made with model {header.model}, and this is model {self.fingerprint}: "
                           "decode it with the model that made it")
        if header.width * header.height > self.max_pixels:
            raise CdrError(f"its {header.width}x{header.height} pixels are more than the {self.max_pixels:,} allowed: "
                           "--max-pixels allows more (in Python, max_pixels=)")

    def _decode(self, contents: Contents, on_step: Callable[[int], None] | None = None) -> Decoding:
        """The picture after everything that is stored."""
        decoding = Decoding(self.network, contents.header)
        for steps in decoding.steps(contents.segments):
            if on_step:
                on_step(steps)
        return decoding


def _assemble(header: Header, chunks: Mapping[str, bytes], planes: np.ndarray) -> Image.Image:
    return assemble(from_planes(planes, header.width, header.height, header.grey), header.mode, chunks)
