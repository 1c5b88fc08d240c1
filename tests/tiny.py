"""A tiny model for tests: two layers, seven steps, random weights. As an untrained model it is a transform codec."""

from pathlib import Path

import torch

from convdraw_codec.network.config import Config, Layer, ResidualSize, RetouchSize, Step
from convdraw_codec.network.conv_draw import ConvDRAW
from convdraw_codec.network.untrained import untrained

CONFIG = Config(
    "tiny",
    (Layer(8, 6, 4, 5, 7), Layer(4, 5, 3, 4, 6)),
    (Step(0, 96, 0, 20), Step(0, 96, 20, 48), Step(1, 96, 0, 12), Step(0, 48, 0, 48), Step(1, 48, 0, 12),
     Step(1, 48, 12, 36), Step(0, 24, 0, 48)),
    RetouchSize(2, 8, 3),
    ResidualSize(6, 3),
)
TINY_MODEL = Path(__file__).parent / "data" / "tiny.safetensors"


def tiny_model(seed: int = 0) -> ConvDRAW:
    """A trainable model whose every path matters: no weight is left at zero."""
    torch.manual_seed(seed)
    model = untrained(CONFIG)
    with torch.no_grad():
        for cores in model.cores:
            cores.write.weight.uniform_(-0.1, 0.1)
        for heads in model.steps:
            heads.prior_index.weight.uniform_(-0.5, 0.5)
            heads.prior_index.bias.add_(0.5)
            heads.posterior.weight.uniform_(-0.1, 0.1)
        model.retouch.stored.weight.uniform_(-0.1, 0.1)
        model.retouch.exit.weight.uniform_(-0.01, 0.01)
    return model
