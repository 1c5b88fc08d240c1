"""The codec of a command."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from ..format.constants import MAX_PIXELS
from .console import failing
from .process import threads_each

if TYPE_CHECKING:
    from ..codec import Codec


def threads_used(threads: int | None) -> int:
    """How many processor threads to take, up to all of the machine. None: as many as suit the process."""
    return min(threads or threads_each(), os.cpu_count() or 1)


@cache
def load_codec(model: str | None, threads: int | None, max_pixels: int = MAX_PIXELS) -> Codec:
    """The codec, once a process. Pillow takes pictures of as many pixels then, and of no less than by itself."""
    from PIL import Image

    from ..codec import Codec

    Image.MAX_IMAGE_PIXELS = max(max_pixels, Image.MAX_IMAGE_PIXELS or 0)

    with failing("load the model", model or "that comes with cdraw"):
        return Codec(model, threads=threads_used(threads), max_pixels=max_pixels)
