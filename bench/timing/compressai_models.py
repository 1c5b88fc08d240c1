"""CompressAI's models with random weights, for their arithmetic.

No extra installs it: it asks for a numpy older than cdraw's. ``pip install --no-deps compressai==1.2.8 einops pandas
pytorch-msssim torch-geometric tqdm requests charset-normalizer urllib3 idna certifi xxhash psutil`` puts it beside, and
the torchvision that goes with this torch.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

NAMES = ("mbt2018-mean", "cheng2020-anchor")
QUALITY, MULTIPLE = 4, 64  # the middle of their settings; sides are padded to a multiple of so many pixels


def missing(name: str) -> str:
    """Why a model cannot be measured here, or nothing."""
    return "compressai is not installed" if name in NAMES and not find_spec("compressai") else ""


def coder(name: str) -> tuple[Callable[[Image.Image], Any], Callable[[Any], Image.Image]]:
    """Encoder, from a picture to (strings, shape, size); and decoder, from these to a picture."""
    from compressai.zoo import image_models

    torch.manual_seed(0)
    model = image_models[name](quality=QUALITY, metric="mse", pretrained=False).eval().requires_grad_(False)
    model.update(force=True)

    def encode(image: Image.Image) -> tuple[list[bytes], Any, tuple[int, int]]:
        x = torch.from_numpy(np.asarray(image, np.float32) / 255).permute(2, 0, 1)[None]
        x = F.pad(x, (0, -x.shape[3] % MULTIPLE, 0, -x.shape[2] % MULTIPLE))
        with torch.inference_mode():
            coded = model.compress(x)
        return [string for strings in coded["strings"] for string in strings], coded["shape"], image.size

    def decode(coded: tuple[list[bytes], Any, tuple[int, int]]) -> Image.Image:
        strings, shape, (width, height) = coded
        with torch.inference_mode():
            x = model.decompress([[string] for string in strings], shape)["x_hat"][0, :, :height, :width]
            return Image.fromarray((255 * x).round().clamp(0, 255).byte().permute(1, 2, 0).numpy())

    return encode, decode


def multiply_adds(encode: Callable[[Image.Image], Any], decode: Callable[[Any], Any]) -> dict[str, float]:
    """Thousands of multiply-adds per pixel of a ``coder``, as torch counts those of convolutions."""
    image, counts = Image.new("RGB", (4 * MULTIPLE, 4 * MULTIPLE), "grey"), []
    coded = encode(image)
    for work, given in ((encode, image), (decode, coded)):
        with FlopCounterMode(display=False) as counter:
            work(given)
        counts.append(round(counter.get_total_flops() / 2 / (image.width * image.height) / 1000, 1))
    return {"encode": counts[0], "decode": counts[1]}
