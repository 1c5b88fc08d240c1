"""What the texture network learns from: crops as a decoder has them after some steps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...coding.rotation_fit import colours_of
from ...coding.sessions import Encoding, Network
from ...format.bitstream import Header
from ...network.lapped_pyramid import UNIT
from ..objectives import turned


@dataclass(frozen=True)
class Examples:
    """Of crops: true and faithful, planes in the axes of the model, in 1/8 of a level, (B, 3, H, W). states: of each
    layer, (B, state, H/s, W/s) bytes as float32. t: the last step of each, (B,). back, means: what turns planes into
    colours."""

    true: Tensor
    faithful: Tensor
    states: list[Tensor]
    t: Tensor
    back: Tensor
    means: Tensor

    def in_colours(self, planes: Tensor) -> Tensor:
        """Planes as pictures (B, 3, H, W), RGB in 0..255, not rounded."""
        return (torch.einsum("bck,bkhw->bchw", self.back, planes / UNIT) + self.means).clamp(0, 255)


def examples_of(network: Network, crops: Tensor, cuts: list[int]) -> Examples:
    """Of crops (B, 3, H, W) in 0..255, each after so many whole steps."""
    with ThreadPoolExecutor() as pool:
        sessions = list(pool.map(lambda crop, cut: _begun(network, crop, cut), crops.byte().numpy(), cuts))
    planes, back, means = turned(crops)
    layers = range(len(network.model.config.layers))
    states = [np.stack([session.states[layer].h for session in sessions]) for layer in layers]
    faithful = np.stack([session.canvas.estimated(slice(0, len(session.states[-1].h)), session.last_begun,
                                                  network.convolve) for session in sessions])
    return Examples((UNIT * planes).round(), torch.from_numpy(faithful).float(),
                    [torch.from_numpy(h).permute(0, 3, 1, 2).float() for h in states],
                    torch.tensor([session.last_begun for session in sessions]), back, means)


def _begun(network: Network, crop: np.ndarray, cut: int) -> Encoding:
    """The state of a crop, (3, H, W) uint8, after so many steps."""
    _, height, width = crop.shape
    colours = colours_of(np.ascontiguousarray(crop.transpose(1, 2, 0)))
    header = Header(width, height, "RGB", network.steps, network.steps, network.model.fingerprint, colours=colours)
    encoding = Encoding(network, header, crop, keep=False)
    for t in range(cut):
        encoding.count(t)
    return encoding
