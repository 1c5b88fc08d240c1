"""Does this machine show the right pixels? Decodes the conformance set by every path, and compares.

The set comes with the package: small files of the bundled model, and the SHA-256 of the picture in each.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from PIL import Image

from .codec import Codec
from .errors import CdrError
from .network.convolution import GRAPHS, is_exact
from .options import Fill

SEED = 7  # of sampled fills
TIMED = "size-300x200"  # the largest of the set: most of the small ones' time goes to preparing kernels for each size


@dataclass(frozen=True)
class Outcome:
    """path: one of ``GRAPHS``. pictures: how many were decoded: none by a path that does not even add exactly
    here. wrong: the names of those with other pixels. seconds: to decode ``TIMED`` once more if right, else 0."""

    path: str
    pictures: int
    wrong: list[str]
    seconds: float


def digest(picture: Image.Image) -> str:
    """SHA-256 of mode, size and pixels, hexadecimal."""
    return hashlib.sha256(f"{picture.mode} {picture.size}".encode() + picture.tobytes()).hexdigest()


def conformance_set() -> Iterator[tuple[str, bytes, Fill, str]]:
    """Name, file, fill and digest of each picture."""
    folder = files(__package__) / "conformance"
    for name, pictures in json.loads((folder / "digests.json").read_text()).items():
        data = (folder / f"{name}.cdr").read_bytes()
        for fill, expected in pictures.items():
            yield name, data, fill, expected


def selftest(threads: int | None = None) -> Iterator[Outcome]:
    """The outcome of each path, as it comes. threads: as ``Codec`` takes them."""
    for path in GRAPHS:
        if not is_exact(path):
            yield Outcome(path, 0, [], 0.0)
            continue
        codec, count, wrong = Codec(convolution=path, threads=threads), 0, list[str]()
        for name, data, fill, expected in conformance_set():
            count += 1
            try:
                right = digest(codec.decompress(data, fill=fill, seed=SEED)) == expected
            except CdrError:  # what was decoded so far has led the range decoder astray
                right = False
            if not right:
                wrong.append(f"{name} ({fill})")
        yield Outcome(path, count, wrong, 0.0 if wrong else _seconds(codec))


def _seconds(codec: Codec) -> float:
    """Of the second time that a codec decodes ``TIMED``."""
    data = (files(__package__) / "conformance" / f"{TIMED}.cdr").read_bytes()
    codec.decompress(data)
    start = time.perf_counter()
    codec.decompress(data)
    return time.perf_counter() - start
