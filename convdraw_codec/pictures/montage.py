"""Pictures side by side, with captions."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from ..errors import ImageError

LINE, MARGIN, FONT_SIZE = 15, 4, 12  # pixels
LARGEST_PIXELS = 2**26


def panel(picture: Image.Image, width: int) -> Image.Image:
    """A picture scaled to ``width`` pixels, RGB. Raises ImageError for one that would be far too tall."""
    height = max(1, round(width * picture.height / picture.width))
    if width * height > LARGEST_PIXELS:
        raise ImageError(f"a panel of {width}x{height} pixels is too large; make it narrower")
    return picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)


def montage(panels: Sequence[tuple[Image.Image, Sequence[str]]]) -> Image.Image:
    """Panels of one size in a row, with lines of caption below; an RGB picture."""
    width, height = panels[0][0].size
    below = LINE * max(len(caption) for _, caption in panels) + MARGIN
    strip = Image.new("RGB", (width * len(panels), height + below), "white")
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(FONT_SIZE)
    for i, (picture, caption) in enumerate(panels):
        strip.paste(picture, (i * width, 0))
        for line, text in enumerate(caption):
            draw.text((i * width + MARGIN, height + LINE * line), text, fill="black", font=font)
    return strip
