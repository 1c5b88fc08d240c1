"""From a trainable texture network to the whole numbers of a texture file, and back."""

from __future__ import annotations

from os import PathLike
from typing import cast

import numpy as np
import torch
from torch import Tensor

from ...errors import ModelError
from ...network.model import Model
from ...plausible.weights import read_texture, save_texture
from ..networks.byte_conv import TrainedConv
from ..networks.texture import TextureNetwork


def parts(network: TextureNetwork) -> dict[str, tuple[TrainedConv, str, Tensor]]:
    """Every convolution by its name in a texture file, with the name of its bias and it."""
    result: dict[str, tuple[TrainedConv, str, Tensor]] = {
        "entry": (network.entry, "entry.biases", network.biases),
        "mix": (network.mix, "mix.biases", network.mix_biases),
        "spread": (network.spread, "spread.bias", network.spread_bias),
        "exit": (network.exit, "exit.bias", network.exit_bias)}
    for name, convolutions, biases in (("hidden", network.hidden, network.hidden_biases),
                                       ("last", network.last, network.last_biases)):
        for j, (conv, bias) in enumerate(zip(convolutions, biases, strict=True)):
            result[f"{name}.{j}"] = cast(TrainedConv, conv), f"{name}.{j}.bias", bias
    return result


@torch.no_grad()
def arrays_of(network: TextureNetwork) -> dict[str, np.ndarray]:
    """All arrays of a texture file."""
    result: dict[str, np.ndarray] = {}
    for name, (conv, bias_name, bias) in parts(network).items():
        result[f"{name}.weight"], result[f"{name}.factor"] = conv.integers()
        result[bias_name] = conv.integer_bias(bias)
    return result


def save(network: TextureNetwork, model: Model, path: str | PathLike[str]) -> None:
    """Write a texture file. Raises ModelError, OSError."""
    save_texture(model, network.size, arrays_of(network), path)


@torch.no_grad()
def restore(path: str | PathLike[str], model: Model, network: TextureNetwork) -> None:
    """Give a network the weights of a texture file. Raises ModelError if it is of other sizes, or of another model."""
    size, arrays = read_texture(path, model)
    if size != network.size:
        raise ModelError(f"{path} is a texture of other sizes")
    for name, (conv, bias_name, bias) in parts(network).items():
        conv.thaw(arrays[f"{name}.weight"], arrays[f"{name}.factor"])
        bias.copy_(conv.real_bias(arrays[bias_name]))
