"""Pillow reads and writes .cdr files: ``register_cdr_opener()``, then ``Image.open`` and ``save`` as usual.

Opening reads the header and what goes along; the model is loaded when pixels are first needed.
"""

from __future__ import annotations

import os
import threading
import warnings
from dataclasses import replace
from os import PathLike
from typing import IO, TYPE_CHECKING, Any

from PIL import Image, ImageFile
from safetensors import SafetensorError, safe_open

from .errors import CdrError, ModelError
from .format import bitstream, constants
from .format.source import pieces
from .options import FILLS, REDUCTIONS, Fill
from .pictures.conversion import open_picture
from .pictures.metadata import METADATA, to_chunks, to_info

if TYPE_CHECKING:
    from .codec import Codec

FORMAT, EXTENSION, MIME = "CDR", ".cdr", "image/x-cdr"
BUDGETS = ("steps", "size", "bpp", "psnr", "lossless")

_lock = threading.Lock()
_options: dict[str, Any] = {}  # of the codec
_filling: dict[str, Any] = {}  # of decompressing
_codec: Codec | None = None


def register_cdr_opener(model: str | PathLike[str] | None = None, *, max_pixels: int = constants.MAX_PIXELS,
                        fill: Fill = FILLS[0], seed: int = 0, detail: float = 1.0) -> None:
    """Make Pillow know the format "CDR", suffix .cdr.

    ``Image.open(...)`` gives a lazy image; ``info["steps"]`` is (stored, total of the model), with more stored than
    that where residual steps follow. ``ImageFile.LOAD_TRUNCATED_IMAGES`` is honoured. ``save(..., steps= | size= | bpp=
    | psnr= | lossless=True, exif=, icc_profile=, xmp=)`` as ``Codec.compress``.
    model: a model file in place of the bundled one. max_pixels: as of ``Codec``. fill, seed, detail: how pictures are
    decoded, as of ``Codec.decompress``. Raises OSError for a file that cannot be read, ModelError for one that is no
    model, ValueError for a fill that there is not.
    """
    global _options, _filling, _codec
    if fill not in FILLS:
        raise ValueError(f"fill must be one of {FILLS}, not {fill!r}")
    if model is not None:
        model = os.path.abspath(model)
        _check_model(model)
    with _lock:
        _options, _codec = {"model": model, "max_pixels": max_pixels}, None
        _filling = {"fill": fill, "seed": seed, "detail": detail}
    Image.register_open(FORMAT, CdrImageFile, lambda prefix: prefix.startswith(constants.MAGIC))
    Image.register_save(FORMAT, _save)
    Image.register_extension(FORMAT, EXTENSION)
    Image.register_mime(FORMAT, MIME)


def _check_model(path: str) -> None:
    """Whether a file looks like a model."""
    with open(path, "rb"):
        pass
    try:
        with safe_open(path, "numpy") as file:
            is_model = (file.metadata() or {}).get("format") == constants.MODEL_FORMAT
    except SafetensorError:
        is_model = False
    if not is_model:
        raise ModelError(f"{path} is not a cdraw model")


def _the_codec() -> Codec:
    global _codec
    with _lock:
        if _codec is None:
            from .codec import Codec

            _codec = Codec(**_options)
        return _codec


class CdrImageFile(ImageFile.ImageFile):
    """A .cdr file that Pillow opened."""

    format = FORMAT
    format_description = "cdraw embedded image"
    _pending = False
    _reduce = 1

    def _open(self) -> None:
        assert self.fp is not None
        try:
            incoming = bitstream.Incoming(pieces(self.fp))  # header and chunks; no segment is read
            self.info.update(to_info(incoming.chunks))
        except CdrError as error:
            raise SyntaxError(f"{error}") from error  # Pillow's word for "not mine"
        header = incoming.header
        self._size, self._mode = (header.width, header.height), header.mode
        self.info["steps"] = (header.steps, header.total_steps)
        self._pending = True

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Decode a picture 2, 4 or 8 times smaller, but no smaller than ``size``; sooner. As for JPEG."""
        if not self._pending or self._reduce > 1 or not size:
            return None
        width, height = self.size
        self._reduce = max(r for r in REDUCTIONS if r == 1 or r <= min(width // size[0], height // size[1]))
        self._size = -(-width // self._reduce), -(-height // self._reduce)
        return self.mode, (0, 0, width / self._reduce, height / self._reduce)

    def _content(self) -> bytes:
        if self.fp is None:
            raise ValueError("Operation on closed image")
        self.fp.seek(0)
        return self.fp.read()

    def load(self) -> Any:
        """Decode the pixels, once. Raises OSError for a file that is cut or damaged."""
        if self._pending:
            try:
                image = _the_codec().decompress(self._content(), reduce=self._reduce, **_filling,
                                                 allow_truncated=ImageFile.LOAD_TRUNCATED_IMAGES)
            except CdrError as error:
                raise OSError(f"cannot decode the .cdr file: {error}") from error
            self.im = image.im
            self._pending = False
            if self.fp and getattr(self, "_exclusive_fp", False):
                self.fp.close()
            self.fp = None
        return super().load()

    def verify(self) -> None:
        """Check every checksum, without decoding. Raises OSError."""
        try:
            bitstream.read(self._content())
        except CdrError as error:
            raise OSError(f"damaged .cdr file: {error}") from error
        super().verify()


def _save(image: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    options: dict[str, Any] = dict(image.encoderinfo)
    budget = {name: options.pop(name) for name in BUDGETS if name in options}
    given = {key: options.pop(key) for key in METADATA.values() if key in options}
    if options:
        warnings.warn(f"the CDR format does not know {', '.join(sorted(options))}", UserWarning, stacklevel=3)
    picture = open_picture(image, keep_orientation=True)
    kept = {name: data for name, data in picture.metadata.items() if METADATA[name] not in given}
    fp.write(_the_codec().compress(replace(picture, metadata={**kept, **to_chunks(given)}), **budget))
