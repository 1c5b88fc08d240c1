"""Codec: pictures to bytes and back, the one face of the library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from importlib.resources import as_file, files
from os import PathLike
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from . import bitstream
from .bitstream import Header
from .draw import CANVAS_UNIT, DecoderState
from .errors import CdrError, ImageError
from .images import ImageLike, from_planes, open_image, to_planes
from .latents import LATENT_LIMIT, companded_mean, half_cells, orient, table_row
from .model_file import load_model

Data: TypeAlias = "bytes | bytearray | memoryview | str | PathLike[str]"
Fill: TypeAlias = Literal["mean", "sample"]
MAX_PIXELS = 2**26  # what a header may ask for; raise it to work on larger pictures


def _exact(function: Callable) -> Callable:
    """No gradients, and no autocast around the exact arithmetic, whatever the caller has switched on."""

    @wraps(function)
    def wrapped(*args, **kwargs):
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            return function(*args, **kwargs)

    return wrapped


class Codec:
    """Compresses and decompresses pictures with one model.

    model: path of a model file; None is the photo model that comes with the package.
    convolution: how exact convolutions are computed, "float32" or "float64": the same pixels, the latter slower.
    Raises ModelError for a file that is no usable model. Instances may be shared between threads.
    """

    def __init__(self, model: str | PathLike[str] | None = None, *, convolution: str = "float32"):
        if model is None:
            with as_file(files(__package__) / "models" / "photo.safetensors") as path:
                loaded = load_model(path, convolution)
        else:
            loaded = load_model(model, convolution)
        self._model, self._coder, self.fingerprint = loaded

    @property
    def total_steps(self) -> int:
        """Steps of the model: what ``compress`` stores by default."""
        return len(self._model.steps)

    inspect = staticmethod(bitstream.inspect)

    # -- compress ------------------------------------------------------------------------------------------

    def compress(self, image: ImageLike, steps: int | None = None, *,
                 on_step: Callable[[int], None] | None = None) -> bytes:
        """A picture as the bytes of a .cdr file with the first ``steps`` steps (None: all).

        image: a Pillow image, a uint8 array (H, W, 3) or (H, W), or a path. on_step is called with the number
        of each finished step. Raises ImageError (a ValueError), ValueError for a step count out of range.
        """
        picture = open_image(image)
        segments = []
        for segment, _ in self._encode(picture, steps):
            segments.append(segment)
            if on_step:
                on_step(len(segments))
        header = Header(*picture.size, picture.mode, len(segments), self.total_steps, self.fingerprint)
        return bitstream.write(header, segments)

    def predict(self, image: ImageLike, steps: int | None = None) -> Iterator[Image.Image]:
        """What decoding will show after 1, 2, ... ``steps`` stored steps (prior-mean fill), from the encoder's run."""
        picture = open_image(image)
        for t, (_, state) in enumerate(self._encode(picture, steps)):
            yield self._picture(self._finish(state, t + 1, "mean", 0), *picture.size, picture.mode)

    def _encode(self, picture: Image.Image, steps: int | None) -> Iterator[tuple[bytes, DecoderState]]:
        """The segment of each step, and the decoder's state after it."""
        steps = self.total_steps if steps is None else steps
        if not 1 <= steps <= self.total_steps:
            raise ValueError(f"steps must be 1 to {self.total_steps}, not {steps}")
        if picture.width * picture.height > MAX_PIXELS:
            raise ImageError(f"it has more than {MAX_PIXELS:,} pixels")
        image = torch.from_numpy(to_planes(picture, self._model.padding))[None]
        state = self._model.start(1, *image.shape[2:])
        memory = self._model.start_encoder(1, *image.shape[2:])
        for t in range(steps):
            symbols, rows, state = self._encode_step(t, image, memory, state)
            yield self._coder.encode(symbols, rows), state

    @_exact
    def _encode_step(self, t: int, image: Tensor, memory: list[tuple[Tensor, Tensor]], state: DecoderState
                     ) -> tuple[np.ndarray, np.ndarray, DecoderState]:
        """Symbols (latents, H/s, W/s), their rows in the stored table, and the next state."""
        seen = self._model.look(t, state)
        sign = self._model.sign(t, state)
        rows = table_row(self._model.prior(t, state, seen), sign)
        target = companded_mean(self._model.posterior(t, image, memory, state), sign)
        latents = target.clamp(-LATENT_LIMIT, LATENT_LIMIT).round()
        state = self._model.draw(t, state, seen, half_cells(latents, sign))
        return orient(latents, sign)[0].numpy(), rows[0].to(torch.uint8).numpy(), state

    # -- decompress ----------------------------------------------------------------------------------------

    def decompress(self, data: Data, steps: int | None = None, fill: Fill = "mean", seed: int = 0, *,
                   allow_truncated: bool = False, on_step: Callable[[int], None] | None = None) -> Image.Image:
        """The picture in a .cdr file (bytes or a path), a Pillow image of mode "RGB" or "L".

        steps: use only the first so many. fill: what stands in for steps that are not stored, the "mean" of the
        prior or a "sample" drawn with ``seed`` (>= 0). allow_truncated: decode the whole steps of a file that
        ends early. Raises CdrError (a ValueError) for a file that cannot be decoded as asked.
        """
        if fill not in ("mean", "sample"):
            raise ValueError(f'fill must be "mean" or "sample", not {fill!r}')
        header, segments = self._read(data, steps, allow_truncated)
        state = self._start(header)
        for t, segment in enumerate(segments):
            state = self._decode_step(t, state, segment)
            if on_step:
                on_step(t + 1)
        state = self._finish(state, len(segments), fill, seed)
        return self._picture(state, header.width, header.height, header.mode)

    def progressive(self, data: Data, *, allow_truncated: bool = False) -> Iterator[Image.Image]:
        """The picture after each stored step, as ``decompress`` gives it with that many steps.

        Each step is decoded once. Raises CdrError as ``decompress`` does, before the first picture.
        """
        header, segments = self._read(data, None, allow_truncated)

        def pictures() -> Iterator[Image.Image]:
            state = self._start(header)
            for t, segment in enumerate(segments):
                state = self._decode_step(t, state, segment)
                yield self._picture(self._finish(state, t + 1, "mean", 0), header.width, header.height, header.mode)

        return pictures()

    def _read(self, data: Data, steps: int | None, allow_truncated: bool) -> tuple[Header, list[bytes]]:
        data = Path(data).read_bytes() if isinstance(data, (str, PathLike)) else bytes(data)
        header = bitstream.parse_header(data)
        if header.model != self.fingerprint or header.total_steps != self.total_steps:
            raise CdrError(f"it was made with model {header.model}, and this is model {self.fingerprint}: "
                           "decode it with the model that made it")
        if header.width * header.height > MAX_PIXELS:
            raise CdrError(f"its {header.width}x{header.height} pixels are more than the {MAX_PIXELS:,} allowed")
        return bitstream.read(data, steps=steps, allow_truncated=allow_truncated)

    def _start(self, header: Header) -> DecoderState:
        multiple = self._model.padding
        return self._model.start(1, header.height + -header.height % multiple, header.width + -header.width % multiple)

    def _decode_step(self, t: int, state: DecoderState, segment: bytes) -> DecoderState:
        seen, rows, sign = self._predict_step(t, state)
        symbols = self._coder.decode(segment, rows)
        if np.abs(symbols).max() > LATENT_LIMIT:
            raise CdrError(f"step {t + 1} holds a latent beyond {LATENT_LIMIT}: it was not made by a cdraw encoder")
        return self._draw_step(t, state, seen, sign, symbols)

    def _finish(self, state: DecoderState, stored: int, fill: Fill, seed: int) -> DecoderState:
        """Run the steps that are not stored, on the prior's mean or on samples from it."""
        for t in range(stored, self.total_steps):
            seen, rows, sign = self._predict_step(t, state)
            symbols = (np.zeros(rows.shape, dtype=np.int32) if fill == "mean"
                       else self._coder.sample(rows, seed, t))
            state = self._draw_step(t, state, seen, sign, symbols)
        return state

    @_exact
    def _predict_step(self, t: int, state: DecoderState) -> tuple[Tensor, np.ndarray, Tensor | None]:
        """Canvas embedding, rows of the stored table (latents, H/s, W/s) and signs for step t."""
        seen, sign = self._model.look(t, state), self._model.sign(t, state)
        rows = table_row(self._model.prior(t, state, seen), sign)
        return seen, rows[0].to(torch.uint8).numpy(), sign

    @_exact
    def _draw_step(self, t: int, state: DecoderState, seen: Tensor, sign: Tensor | None, symbols: np.ndarray
                   ) -> DecoderState:
        latents = orient(torch.from_numpy(symbols)[None].float(), sign)
        return self._model.draw(t, state, seen, half_cells(latents, sign))

    @staticmethod
    def _picture(state: DecoderState, width: int, height: int, mode: str) -> Image.Image:
        levels = state.canvas[0].numpy()
        # half a level rounds up: the canvas counts in 1/16, so this is exact
        planes = np.floor((levels * CANVAS_UNIT + CANVAS_UNIT // 2) / CANVAS_UNIT).clip(0, 255)
        return from_planes(planes, width, height, mode)
