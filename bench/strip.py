"""One photograph at several cuts of one file, side by side: ``python -m bench.strip PICTURE -o strip.png``."""

from __future__ import annotations

from pathlib import Path

import click
from PIL import Image, ImageDraw, ImageFont

from convdraw_codec import Codec, truncate
from convdraw_codec.images import open_picture

from .metrics import psnr

CAPTION = 34


@click.command()
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--steps", default="1,4,7,10,15", show_default=True, help="The cuts to show; the original follows.")
@click.option("--width", default=220, show_default=True, help="Pixels of each panel.")
@click.option("--crop", default=None, help="LEFT,TOP,RIGHT,BOTTOM of the part to show.")
def main(picture: Path, output: Path, steps: str, width: int, crop: str | None) -> None:
    """Draw the strip."""
    codec, image = Codec(), open_picture(picture).pixels
    data = codec.compress(image)
    panels = []
    for step in map(int, steps.split(",")):
        cut = truncate(data, step)
        decoded = codec.decompress(cut)
        bpp = 8 * len(cut) / (image.width * image.height)
        panels.append((decoded, f"{step} steps: {len(cut):,} bytes", f"{bpp:.3f} bpp, {psnr(image, decoded):.1f} dB"))
    panels.append((image, "original", f"{image.width}x{image.height}"))
    left, top, right, bottom = map(int, crop.split(",")) if crop else (0, 0, *image.size)
    height = round(width * (bottom - top) / (right - left))
    strip = Image.new("RGB", (width * len(panels), height + CAPTION), "white")
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(12)
    for i, (panel, *lines) in enumerate(panels):
        part = panel.convert("RGB").crop((left, top, right, bottom))
        strip.paste(part.resize((width, height), Image.Resampling.LANCZOS), (i * width, 0))
        for line, text in enumerate(lines):
            draw.text((i * width + 4, height + 2 + 15 * line), text, fill="black", font=font)
    strip.save(output)


if __name__ == "__main__":
    main()
