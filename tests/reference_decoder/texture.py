"""Section 9 of docs/format.md: the plausible fill."""

from __future__ import annotations

import numpy as np
from safetensors.numpy import load_file

from .network import Decoder, Model, joined, patches_of, planes_of, seen, split


class Texture:
    """The texture file beside a model file."""

    conv = Model.conv

    def __init__(self, model: Model) -> None:
        self.tensors = load_file(model.path.with_suffix(".texture.safetensors"))

    def residual(self, name: str, x: np.ndarray) -> np.ndarray:
        """All convolutions NAME.0, NAME.1, ..."""
        j = 0
        while f"{name}.{j}.weight" in self.tensors:
            x = np.clip(x + self.conv(f"{name}.{j}", x) - 128, 0, 255)  # type: ignore[misc]
            j += 1
        return x


def plausible(decoder: Decoder, planes: np.ndarray, seed: int, detail: float) -> np.ndarray:
    """The estimated planes with texture, inside cells."""
    texture, s = Texture(decoder.model), decoder.model.layers[-1]["stride"] // 2
    patches = patches_of(planes, s)
    height, width, _ = patches.shape
    raw = np.random.Philox(key=seed).random_raw(height * width).reshape(height, width, 1)
    noise = np.maximum((raw >> (8 * np.arange(8, dtype=np.uint64))) & np.uint64(255), 1).astype(np.int64)
    together = np.concatenate([seen(patches, 128), noise], axis=2)
    fine = texture.conv("entry", together, 128, texture.tensors["entry.biases"][decoder.begun])  # type: ignore[misc]
    ratios = [layer["stride"] // decoder.model.layers[-1]["stride"] for layer in decoder.model.layers]
    states = [h.repeat(ratio, 0).repeat(ratio, 1) for h, ratio in zip(decoder.h, ratios, strict=True)]
    x = np.concatenate([*states, joined(fine)], axis=2)
    x = texture.residual("hidden", texture.conv("mix", x, 0, texture.tensors["mix.biases"][decoder.begun]))  # type: ignore[misc]
    fine = np.clip(fine + split(texture.conv("spread", x)) - 128, 0, 255)  # type: ignore[misc]
    added = 4 * (texture.conv("exit", texture.residual("last", fine)) - 128)  # type: ignore[misc]
    picture = planes + planes_of((added * round(256 * detail) + 128) >> 8, s)
    values = list[np.ndarray]()
    for i in reversed(range(len(decoder.known))):
        found, picture = decoder.analysis(i, picture)
        low, high = bounds(decoder, i)
        margin = np.minimum((high - low) // 4, 8)
        values.insert(0, np.clip(found, low + margin, high - margin))
    made: np.ndarray | None = None
    for i, coefficients in enumerate(values):
        made = decoder.synthesis(i, coefficients, made)
    assert made is not None
    return made


def bounds(decoder: Decoder, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Between which values coefficients of a layer lie."""
    known, cells = decoder.known[i], decoder.cells[i]
    wide = np.where(cells, cells, 2**17) * (1 + decoder.open[i])
    return known * cells - wide * (known <= 0), known * cells + wide * (known >= 0)
