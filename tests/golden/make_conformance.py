"""Write the conformance set of the bundled model: ``python -m tests.golden.make_conformance``. After every training.

Sizes from 1x1 to 300x200, odd ones, every kind of picture, every number of steps, cuts inside a step, latents that
escape, and every fill.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

import convdraw_codec
from convdraw_codec import Codec, truncate
from convdraw_codec.options import FILLS
from convdraw_codec.selftest import SEED, digest

from ..conftest import ROOT

FOLDER = Path(convdraw_codec.__file__).parent / "conformance"
PHOTOGRAPH = ROOT / "docs" / "example.jpg"


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
    files |= {f"lossless-{mode}": codec.compress(part(37, 26, mode), lossless=True) for mode in ("RGB", "L", "RGBA")}
    files["lossless-loud"] = codec.compress(loud, lossless=True)
    files |= {f"residual-{steps}": truncate(files["lossless-RGB"], steps) for steps in (26, 31)}
    files["inside-residual"] = truncate(files["lossless-RGB"], size=len(files["lossless-RGB"]) - 30)
    for old in FOLDER.glob("*.cdr"):
        old.unlink()
    digests = {}
    for name, data in files.items():
        (FOLDER / f"{name}.cdr").write_bytes(data)
        fills = FILLS if name in ("steps-06", "inside-500", "mode-L") else FILLS[:1]
        digests[name] = {fill: digest(codec.decompress(data, fill=fill, seed=SEED)) for fill in fills}
    (FOLDER / "digests.json").write_text(json.dumps(digests, indent=1) + "\n")


if __name__ == "__main__":
    main()
