"""One picture in progress: its pixels become segments (``Encoding``), its segments become pixels (``Decoding``).

A session owns all memory of its picture. As the residual steps begin, those of the model give theirs back.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import CdrError
from ..format.bitstream import Header
from ..network.conv_draw import ConvDRAW
from ..network.post_filter import STORED_UNIT, share_known
from ..network.quantiser import LATENT_LIMIT
from ..options import Fill
from .lossless import ExactPixels, bands
from .lossy import Decoder, Encoder
from .range_coder import LatentCoder


@dataclass(frozen=True)
class Network:
    """A model, and the range coders of its latents and of its residuals."""

    model: ConvDRAW
    latents: LatentCoder
    residuals: LatentCoder

    @property
    def steps(self) -> int:
        """Of the model, without residual steps."""
        return len(self.model.steps)

    def maps(self, t: int, grey: bool) -> tuple[np.ndarray, list[int]]:
        """The maps of step t that a file holds, and the kind of each: 0 for luma, 1 for chroma."""
        chroma = self.model.chroma(t).numpy()
        maps = np.flatnonzero(~chroma | (not grey))
        return maps, chroma[maps].astype(int).tolist()


class Session:
    """What is known of a picture after some steps. header: its size, mode and colours."""

    def __init__(self, network: Network, header: Header):
        self.network, self.header, self.grey = network, header, header.grey
        multiple = network.model.padding
        self._steps: Decoder | ExactPixels = Decoder(network.model, header.height + -header.height % multiple,
                                                     header.width + -header.width % multiple, header.colours)

    def _lossy(self) -> Decoder:
        assert isinstance(self._steps, Decoder)  # until the residual steps
        return self._steps

    def _exact(self) -> ExactPixels:
        """From the first residual step on."""
        if isinstance(self._steps, Decoder):
            self._steps = ExactPixels(self.network.model, self._steps.pixels(), grey=self.grey)
        return self._steps

    def pixels(self, stored: Header, total: int | None = None, fill: Fill = "retouch", seed: int = 0) -> np.ndarray:
        """What is shown of a file after everything that is stored, (3, H, W) uint8.

        total: the last step that matters. Except by "mean" and "sample", the session may go on.
        """
        if isinstance(self._steps, ExactPixels):
            return self._steps.pixels()
        decoder, total = self._steps, self.network.steps if total is None else total
        if fill in ("mean", "sample"):
            for t in range(stored.steps + stored.cut, total):
                sample = self.network.latents.sample(decoder.predict(t), seed, t) if fill == "sample" else None
                decoder.draw(t, sample)
        return decoder.pixels(retouched=fill == "retouch" and stored.steps < total)


class Encoding(Session):
    """planes: (3, H, W) uint8, padded to multiples of the model's padding."""

    def __init__(self, network: Network, header: Header, planes: np.ndarray):
        super().__init__(network, header)
        self._planes = planes

    def segments(self, steps: int) -> Iterator[bytes]:
        """The segment of each step, as it is made."""
        yield from self._of_latents(min(steps, self.network.steps))
        yield from map(self._residual_step, range(steps - self.network.steps))

    def _of_latents(self, steps: int) -> Iterator[bytes]:
        encoder = Encoder(self._lossy(), self._planes)
        yield from (self._step(encoder, t) for t in range(steps))

    def _step(self, encoder: Encoder, t: int) -> bytes:
        maps, kinds = self.network.maps(t, self.grey)
        latents, indices = encoder.choose(t, maps)
        self._lossy().draw(t, latents)
        return self.network.latents.encode([latents[i] for i in maps], [indices[i] for i in maps], kinds)

    def _residual_step(self, i: int) -> bytes:
        exact = self._exact()
        if not exact.sends(i):
            return b""
        indices = bands(exact.predict(i))
        residuals = exact.choose(i, self._planes, self.header.width, self.header.height)
        exact.draw(i, residuals)
        return self.network.residuals.encode(bands(residuals), indices, [0] * len(indices))


class Decoding(Session):
    """Reads the segments of a file. header: of the file."""

    def steps(self, segments: Iterable[bytes]) -> Iterator[int]:
        """Take step after step; the number of steps after each one. Raises CdrError for invalid data."""
        segments = iter(segments)
        for t, segment in enumerate(itertools.islice(segments, self.network.steps)):
            self._step(t, segment, cut=t == self.header.steps)
            yield t + 1
        for i, segment in enumerate(segments):
            self._residual_step(i, segment, cut=self.network.steps + i == self.header.steps)
            yield self.network.steps + i + 1

    def _step(self, t: int, segment: bytes, cut: bool) -> None:
        decoder, (maps, kinds) = self._lossy(), self.network.maps(t, self.grey)
        indices = decoder.predict(t)
        latents, found, known, share = np.zeros(indices.shape, np.int8), 0, None, STORED_UNIT
        coded = self.network.latents.decode(segment, [indices[i] for i in maps], kinds, cut)
        for i, latent_map in zip(maps, coded, strict=not cut):
            latents[i] = latent_map
            found += 1
        if latents.min() < -LATENT_LIMIT or latents.max() > LATENT_LIMIT:
            raise CdrError(f"step {t + 1} holds a latent beyond {LATENT_LIMIT}: it was not made by a cdraw encoder")
        if found < len(maps):
            information = self.network.model.information
            expected = [information[torch.from_numpy(indices[i]).int()].sum() for i in maps]
            known, share = int(maps[found]), int(share_known(torch.stack(expected), found))
        decoder.draw(t, latents, known, share)

    def _residual_step(self, i: int, segment: bytes, cut: bool) -> None:
        exact = self._exact()
        if exact.sends(i):
            indices = bands(exact.predict(i))
            residuals = list(self.network.residuals.decode(segment, indices, [0] * len(indices), cut))
            if residuals:
                exact.draw(i, np.concatenate(residuals))
        elif segment:
            raise CdrError(f"step {self.network.steps + i + 1} holds colour, and the picture is grey")
