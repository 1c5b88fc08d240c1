"""Texture files: the whole numbers of a texture network as safetensors, checked before any of them is used.

It belongs to one model, whose fingerprint it names, and is a file beside that one's: files of pictures do not depend on
it, so it can be trained anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from os import PathLike
from pathlib import Path

import numpy as np

from ..errors import ModelError
from ..format.constants import TEXTURE_FORMAT
from ..network.config import Config
from ..network.convolution import ZERO_POINT
from ..network.estimator import PLANE_LIMIT
from ..network.model import Model
from ..network.weights import (
    DOUBLE_SUM_LIMIT,
    Arrays,
    Layout,
    check_layout,
    check_sums,
    conv_of,
    lay_out,
    read_arrays,
    save_arrays,
)
from .texture import ADDED, NOISE, Texture, TextureSize

SUFFIX = ".texture.safetensors"
PLANES_LIMIT = PLANE_LIMIT + ZERO_POINT * ADDED  # of a picture with texture, in 1/8 of a level


def beside(model: str | PathLike[str]) -> Path:
    """Where the texture file of a model file is."""
    return Path(model).with_suffix(SUFFIX)


def layout(config: Config, size: TextureSize) -> Layout:
    """Type and shape of every array, by name."""
    result: Layout = {}
    patch, states = 3 * (config.strides[-1] // 2) ** 2, sum(layer.state for layer in config.layers)
    lay_out(result, "entry", patch + NOISE, size.fine, 3, bias=False)
    lay_out(result, "mix", states + 4 * size.fine, size.channels, 1, bias=False)
    for j in range(size.layers):
        lay_out(result, f"hidden.{j}", size.channels, size.channels, 3)
    lay_out(result, "spread", size.channels, 4 * size.fine, 1)
    for j in range(size.last):
        lay_out(result, f"last.{j}", size.fine, size.fine, 3)
    lay_out(result, "exit", size.fine, patch, 3)
    for name, outputs in (("entry", size.fine), ("mix", size.channels)):
        result[f"{name}.biases"] = np.int32, (len(config.steps), outputs)
    return result


def save_texture(model: Model, size: TextureSize, arrays: Arrays, path: str | PathLike[str]) -> None:
    """Write the texture file of a model. Raises ModelError, and writes nothing, if a decoder would refuse it."""
    _assemble(model, size, arrays, path)
    save_arrays(arrays, path, {"format": TEXTURE_FORMAT, "config": json.dumps(asdict(size)),
                               "model": model.fingerprint})


def load_texture(path: str | PathLike[str], model: Model) -> Texture:
    """Read the texture file of a model. Raises ModelError if it is none, or that of another model, OSError."""
    return _assemble(model, *read_texture(path, model), path)


def read_texture(path: str | PathLike[str], model: Model) -> tuple[TextureSize, dict[str, np.ndarray]]:
    """Sizes and unchecked arrays of the texture file of a model. Raises ModelError, OSError."""
    size, metadata, arrays = read_arrays(path, TEXTURE_FORMAT, TextureSize, "cdraw texture")
    if (found := metadata.get("model")) != model.fingerprint:
        raise ModelError(f"{path} is the texture of model {found}, and this is model {model.fingerprint}")
    return size, arrays


def _assemble(model: Model, size: TextureSize, arrays: Arrays, path: str | PathLike[str]) -> Texture:
    try:
        check_layout(layout(model.config, size), arrays)
        check_sums(arrays, _biases(arrays))
        largest = model.pyramid.largest_sum(PLANES_LIMIT, towards_pixels=False)
        if not largest < DOUBLE_SUM_LIMIT:
            raise ValueError(f"its model's sums across blocks can reach {largest:.0f}, beyond exactness")
    except ValueError as error:
        raise ModelError(f"{path} does not hold what its configuration promises: {error}") from error
    hidden, last = ([conv_of(arrays, f"{name}.{j}") for j in range(count)]
                    for name, count in (("hidden", size.layers), ("last", size.last)))
    entry, mix, spread, exit = (conv_of(arrays, name) for name in ("entry", "mix", "spread", "exit"))
    return Texture(model.config, size, entry, mix, hidden, spread, last, exit, arrays["entry.biases"],
                   arrays["mix.biases"])


def _biases(arrays: Arrays) -> Iterator[tuple[str, np.ndarray]]:
    """The largest biases that each convolution is used with, and its name."""
    for name in ("entry", "mix"):
        yield name, np.abs(arrays[f"{name}.biases"].astype(np.int64)).max(0)
    yield from ((name.removesuffix(".bias"), bias) for name, bias in arrays.items() if name.endswith(".bias"))
