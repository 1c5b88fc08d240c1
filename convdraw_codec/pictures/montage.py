"""Pictures side by side, with captions."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from ..errors import ImageError

LINE, MARGIN, FONT_SIZE = 15, 4, 12  # pixels
LARGEST_PIXELS = 2**26


class Montage:
    """Panels in one row, each scaled to ``width`` pixels.

    crop: left, top, right and bottom of the part to show; None is all. The pictures are of one size.
    """

    def __init__(self, width: int, crop: tuple[int, int, int, int] | None = None):
        self._width, self._crop = width, crop
        self._panels: list[tuple[Image.Image, tuple[str, ...]]] = []

    def add(self, picture: Image.Image, *caption: str) -> None:
        """One more panel, with lines below it. Raises ImageError for one that would be far too tall."""
        part = picture.crop(self._crop) if self._crop else picture
        height = max(1, round(self._width * part.height / part.width))
        if self._width * height > LARGEST_PIXELS:
            raise ImageError(f"a panel of {self._width}x{height} pixels is too large; make it narrower")
        panel = part.convert("RGB").resize((self._width, height), Image.Resampling.LANCZOS)
        self._panels.append((panel, caption))

    def draw(self) -> Image.Image:
        """All panels, an RGB picture."""
        height = max(panel.height for panel, _ in self._panels)
        below = LINE * max(len(caption) for _, caption in self._panels) + MARGIN
        strip = Image.new("RGB", (self._width * len(self._panels), height + below), "white")
        draw, font = ImageDraw.Draw(strip), ImageFont.load_default(FONT_SIZE)
        for i, (panel, caption) in enumerate(self._panels):
            strip.paste(panel, (i * self._width, 0))
            for line, text in enumerate(caption):
                draw.text((i * self._width + MARGIN, height + LINE * line), text, fill="black", font=font)
        return strip
