"""Pictures side by side, with captions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

from ..errors import ImageError

LINE, MARGIN, FONT_SIZE = 15, 4, 12  # pixels
LARGEST_PIXELS = 2**26

Panel: TypeAlias = tuple[Image.Image, Sequence[str]]  # a picture, and lines of caption


def panel(picture: Image.Image, width: int) -> Image.Image:
    """A picture scaled to ``width`` pixels, RGB. Raises ImageError for one that would be far too tall."""
    height = max(1, round(width * picture.height / picture.width))
    if width * height > LARGEST_PIXELS:
        raise ImageError(f"a panel of {width}x{height} pixels is too large; make it narrower")
    return picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)


def montage(rows: Sequence[Sequence[Panel]]) -> Image.Image:
    """Panels of one size in rows, with lines of caption below each; an RGB picture."""
    width, height = rows[0][0][0].size
    below = LINE * max(len(caption) for row in rows for _, caption in row) + MARGIN
    sheet = Image.new("RGB", (width * max(map(len, rows)), (height + below) * len(rows)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE)
    for j, row in enumerate(rows):
        top = j * (height + below)
        for i, (picture, caption) in enumerate(row):
            sheet.paste(picture, (i * width, top))
            for line, text in enumerate(caption):
                draw.text((i * width + MARGIN, top + height + LINE * line), text, fill="black", font=font)
    return sheet
