"""Write the golden files: ``python -m tests.golden.make_golden [PICTURE...]``.

Without arguments, those of the tiny model, which change only when the format does. With pictures, the files of
the bundled photo model as well, which change whenever it is trained anew.
"""

import json
import sys
from pathlib import Path

import numpy as np

from convdraw_codec import Codec
from convdraw_codec.network.weights import load_model
from convdraw_codec.plausible.weights import beside
from convdraw_codec.selftest import digest
from convdraw_codec.training.export import save
from convdraw_codec.training.plausible.export import save as save_texture

from ..conftest import synthetic
from ..tiny import TINY_MODEL, tiny_networks, tiny_texture

DATA = Path(__file__).parent.parent / "data"


def write(name: str, data: bytes, codec: Codec) -> dict[str, str]:
    """Write one file; its digests for every cut, and for a sample of the prior behind its first step."""
    (DATA / f"{name}.cdr").write_bytes(data)
    digests = {str(t + 1): digest(picture) for t, picture in enumerate(codec.progressive(data))}
    return digests | {"prior": digest(codec.decompress(data, 1, fill="prior", seed=7))}


def main(pictures: list[str]) -> None:
    if not TINY_MODEL.exists():
        save(tiny_networks(), TINY_MODEL)
    if not (texture := beside(TINY_MODEL)).exists():
        save_texture(tiny_texture(), load_model(TINY_MODEL), texture)
    tiny, golden = Codec(TINY_MODEL), {}
    loud = (np.indices((24, 40)).sum(0) // 8 % 2 * 255).astype(np.uint8)  # large latents, which escape
    for name, array in {"tiny-1x1": synthetic(1, 1), "tiny-19x33": synthetic(19, 33),
                        "tiny-grey": synthetic(40, 24, 1, grey=True), "tiny-loud": loud}.items():
        golden[name] = write(name, tiny.compress(array), tiny)
    for name, array in {"tiny-lossless": synthetic(11, 14), "tiny-exact-grey": synthetic(13, 9, 1, grey=True)}.items():
        golden[name] = write(name, tiny.compress(array, tiny.lossless_steps), tiny)
    (DATA / "tiny.json").write_text(json.dumps(golden, indent=1) + "\n")
    if pictures:
        photo = Codec()
        golden = {f"photo-{Path(p).stem}": write(f"photo-{Path(p).stem}", photo.compress(p), photo) for p in pictures}
        (DATA / "photo.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
