"""CompressAI's models with random weights, for their arithmetic.

No extra installs it: it asks for a numpy older than cdraw's. ``pip install --no-deps compressai==1.2.8 einops pandas
pytorch-msssim torchvision torch-geometric tqdm requests urllib3 idna certifi xxhash`` puts it beside, with the
torchvision of this torch.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

NAMES = ("mbt2018-mean", "cheng2020-anchor")
QUALITY, MULTIPLE = 4, 64  # the middle of their settings; sides are padded to a multiple of so many pixels


def missing(name: str) -> str:
    """Why a model cannot be measured here, or nothing."""
    return "compressai is not installed" if name in NAMES and not find_spec("compressai") else ""


def coder(name: str) -> tuple[Callable[[Image.Image], Any], Callable[[Any], Any]]:
    """Encoder, from a picture to (strings, shape); and decoder, from these to the reconstruction."""
    from compressai.zoo import image_models

    torch.manual_seed(0)
    model = image_models[name](quality=QUALITY, metric="mse", pretrained=False).eval()
    model.update(force=True)

    def encode(image: Image.Image) -> tuple[list[bytes], Any]:
        x = torch.from_numpy(np.asarray(image, np.float32) / 255).permute(2, 0, 1)[None]
        x = F.pad(x, (0, -x.shape[3] % MULTIPLE, 0, -x.shape[2] % MULTIPLE))
        with torch.inference_mode():
            coded = model.compress(x)
        return [string for strings in coded["strings"] for string in strings], coded["shape"]

    def decode(coded: tuple[list[bytes], Any]) -> torch.Tensor:
        strings, shape = coded
        with torch.inference_mode():
            return model.decompress([[string] for string in strings], shape)["x_hat"]

    return encode, decode
