"""Write the conformance set of the bundled model: ``python -m tests.golden.make_conformance``. After every training.

Sizes from 1x1 to 300x200, odd ones, every kind of picture, every number of steps, cuts inside a step, latents that
escape, and every fill.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import convdraw_codec
from convdraw_codec import Codec, truncate
from convdraw_codec.format.bitstream import read, write
from convdraw_codec.options import FILLS
from convdraw_codec.pictures import webp
from convdraw_codec.pictures.conversion import open_picture
from convdraw_codec.selftest import SEED, digest

from ..conftest import ROOT

FOLDER = Path(convdraw_codec.__file__).parent / "conformance"
TEXTURED = "steps-03", "steps-09", "steps-12", "inside-60", "inside-2000", "size-33x1", "mode-RGBA", "loud"
PHOTOGRAPH = ROOT / "docs" / "example.jpg"


def drawing(mode: str) -> Image.Image:
    """Flat colours and lines, on nothing if there is alpha."""
    image = Image.new(mode, (41, 30), (0,) * len(mode) if len(mode) > 1 else 0)
    draw = ImageDraw.Draw(image)
    for i in range(5):
        colour = ((40 * i, 250 - 50 * i, 90, 255 - 20 * i) if len(mode) > 2 else (40 * i, 255 - 20 * i))[:len(mode)]
        draw.ellipse((6 * i, 3 * i, 6 * i + 16, 3 * i + 16), colour, colour[::-1])
    return image


def main() -> None:
    codec = Codec()
    with Image.open(PHOTOGRAPH) as opened:
        photograph = opened.convert("RGB")

    def part(width: int, height: int, mode: str = "RGB") -> Image.Image:
        picture = photograph.resize((width, height)).convert(mode)
        if mode in ("RGBA", "LA"):
            ramp = np.linspace(0, 255, width * height).reshape(height, width).astype(np.uint8)
            picture.putalpha(Image.fromarray(ramp))
        return picture

    whole = codec.compress(part(45, 37))
    files = {f"steps-{steps:02}": truncate(whole, steps) for steps in range(1, codec.total_steps + 1)}
    sizes = (1, 1, 25), (1, 90, 9), (33, 1, 25), (31, 33, 25), (64, 64, 20), (300, 200, 25)
    files |= {f"size-{width}x{height}": codec.compress(part(width, height), steps) for width, height, steps in sizes}
    files |= {f"mode-{mode}": codec.compress(part(50, 21, mode), 18) for mode in ("L", "LA", "RGBA")}
    files |= {f"inside-{size}": codec.compress(part(70, 40), size=size) for size in (60, 500, 2000)}
    loud = np.where(np.indices((40, 56)).sum(0)[..., None] % 2, (255, 0, 0), (0, 255, 255)).astype(np.uint8)
    files["loud"] = codec.compress(loud)
    exact = codec.lossless_steps
    files |= {f"lossless-{mode}": codec.compress(part(37, 26, mode), exact) for mode in ("RGB", "L", "RGBA")}
    files["lossless-loud"] = codec.compress(loud, exact)
    files |= {f"residual-{steps}": truncate(files["lossless-RGB"], steps) for steps in (26, 31)}
    files["inside-residual"] = truncate(files["lossless-RGB"], size=len(files["lossless-RGB"]) - 30)
    files |= {f"webp-{mode}": codec.compress(drawing(mode), lossless=True) for mode in ("RGB", "L", "RGBA", "LA")}
    flat = read(codec.compress(np.full((96, 96, 3), 128, np.uint8)))
    files["webp-behind-steps"] = write(webp.in_place_of_steps(flat, open_picture(part(96, 96))))
    for old in FOLDER.glob("*.cdr"):
        old.unlink()
    digests = {}
    for name, data in files.items():
        (FOLDER / f"{name}.cdr").write_bytes(data)
        fills = FILLS if name in ("steps-06", "inside-500", "mode-L") else FILLS[:2] if name in TEXTURED else FILLS[:1]
        digests[name] = {fill: digest(codec.decompress(data, fill=fill, seed=SEED)) for fill in fills}
    (FOLDER / "digests.json").write_text(json.dumps(digests, indent=1) + "\n")


if __name__ == "__main__":
    main()
