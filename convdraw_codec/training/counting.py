"""What the symbols of the prior's rows turn out to be in whole photographs: the distributions to code with."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..coding.rotation_fit import colours_of
from ..coding.sessions import Encoding, Network
from ..format.bitstream import Header
from ..network.convolution import Convolver, fastest_exact
from ..network.tables import frequency_table
from ..network.weights import assemble
from ..pictures.conversion import to_planes
from .export import arrays_of
from .objectives import CodecNetworks


def counted_tables(networks: CodecNetworks, photographs: Iterable[np.ndarray]) -> Tensor:
    """``frequency_table`` of each pass, (passes, 576, 32) int32, from photographs (H, W, 3) uint8 as they are encoded.

    Crops will not do: the colours of a crop are counted from its own mean.
    """
    config = networks.config
    model = assemble(config, arrays_of(networks))
    network, total = Network(model, Convolver(fastest_exact())), len(config.steps)
    counts = [np.zeros_like(table, np.int64) for table in model.frequencies]
    for pixels in photographs:
        height, width, _ = pixels.shape
        header = Header(width, height, "RGB", total, total, model.fingerprint, colours=colours_of(pixels))
        encoding = Encoding(network, header, to_planes(Image.fromarray(pixels), model.padding), keep=False)
        for of_pass, steps in zip(counts, config.passes, strict=True):
            for t in steps:
                of_pass += encoding.count(t)
    return torch.from_numpy(np.stack([frequency_table(of_pass) for of_pass in counts]))
