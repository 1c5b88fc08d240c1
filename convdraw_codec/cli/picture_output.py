"""Pictures as files of the formats that Pillow writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .console import failing
from .files import Place, is_special

if TYPE_CHECKING:
    from PIL.Image import Image


def picture_suffixes() -> set[str]:
    """Of the formats that Pillow opens."""
    import PIL.Image

    PIL.Image.init()
    opened = {*PIL.Image.OPEN, "MPO"} - {"CDR"}  # MPO files are opened as JPEG; the opener of .cdr may be registered
    return {suffix for suffix, name in PIL.Image.registered_extensions().items() if name in opened}


def format_of(output: Place) -> str:
    """The Pillow format that the suffix of the output names."""
    if is_special(output):
        return "PNG"
    import PIL.Image

    PIL.Image.init()
    suffix = Path(output).suffix.lower()
    name = PIL.Image.registered_extensions().get(suffix)
    if name is None or name not in PIL.Image.SAVE:
        raise click.UsageError(f"--output: no picture format is known by the suffix {suffix!r}; use .png.")
    return name


def encode(picture: Image, output: Place, quality: int | None = None) -> tuple[bytes, tuple[str, ...]]:
    """The picture in the format that the output's suffix names, with its metadata; and what is lost, in words."""
    from ..pictures import saving

    picture_format = format_of(output)
    with failing("write", f"{output} as {picture_format}"):
        data, lost = saving.encode(picture, picture_format, quality or saving.QUALITY)
    return data, (lost,) if lost else ()
