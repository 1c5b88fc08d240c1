"""Pictures side by side, with captions."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

LINE, MARGIN, FONT_SIZE = 15, 4, 12  # pixels


@dataclass(frozen=True)
class Panel:
    """A picture, and the lines below it."""

    picture: Image.Image
    caption: tuple[str, ...]


def montage(panels: list[Panel], width: int, crop: tuple[int, int, int, int] | None = None) -> Image.Image:
    """All panels in one row, an RGB picture, each scaled to ``width`` pixels.

    crop: left, top, right and bottom of the part to show. The pictures are of one size.
    """
    left, top, right, bottom = crop or (0, 0, *panels[0].picture.size)
    height = max(1, round(width * (bottom - top) / (right - left)))
    below = LINE * max(len(panel.caption) for panel in panels) + MARGIN
    strip = Image.new("RGB", (width * len(panels), height + below), "white")
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(FONT_SIZE)
    for i, panel in enumerate(panels):
        part = panel.picture.convert("RGB").crop((left, top, right, bottom))
        strip.paste(part.resize((width, height), Image.Resampling.LANCZOS), (i * width, 0))
        for line, text in enumerate(panel.caption):
            draw.text((i * width + MARGIN, height + LINE * line), text, fill="black", font=font)
    return strip
