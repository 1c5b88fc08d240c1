"""A tiny model for tests: two layers, seven steps, random weights. As an untrained model it is a transform codec."""

from pathlib import Path
from typing import cast

import numpy as np
import torch

from convdraw_codec.network.config import Config, EstimatorSize, ForecastSize, Layer, ResidualSize, Step
from convdraw_codec.network.tables import ALL_ROWS, frequency_table, symbol_counts
from convdraw_codec.plausible.texture import TextureSize
from convdraw_codec.training.networks.prior import ROW, PriorStep
from convdraw_codec.training.networks.texture import TextureNetwork
from convdraw_codec.training.objectives import CodecNetworks

CONFIG = Config(
    "tiny",
    (Layer(8, 6, 5), Layer(4, 5, 4)),
    (Step(0, 96, 0, 20), Step(0, 96, 20, 48), Step(1, 96, 0, 12), Step(0, 48, 0, 48, forecast=True),
     Step(1, 48, 0, 12), Step(1, 48, 12, 36), Step(0, 24, 0, 48, forecast=True)),
    ForecastSize(8, 2),
    EstimatorSize(2, 8, 3),
    ResidualSize(6, 3),
)
TINY_MODEL = Path(__file__).parent / "data" / "tiny.safetensors"
TEXTURE_SIZE = TextureSize(fine=6, channels=10, layers=2, last=1)


def some_counts(seed: int) -> np.ndarray:
    """Of the symbols of each row."""
    rows = np.random.default_rng(seed).integers(0, ALL_ROWS, 50_000)
    symbols = np.random.default_rng(seed).integers(0, 2, len(rows))
    return symbol_counts(symbols, rows)


def tiny_networks(seed: int = 0) -> CodecNetworks:
    """Trainable networks whose every path matters: no weight is left at zero."""
    torch.manual_seed(seed)
    networks = CodecNetworks(CONFIG)
    with torch.no_grad():
        for t, step in enumerate(cast("list[PriorStep]", networks.prior.steps)):
            step.rows.weight.uniform_(-0.3, 0.3)
            loudest = 1 if CONFIG.seen_first(t).all() else 4  # so that some symbols come late, and some do not
            step.bias.add_(loudest * torch.rand_like(step.bias) + 8 / ROW.gain)
            step.signs.uniform_(-0.1, 0.3)
        for number, table in enumerate(networks.prior.frequencies):
            table.copy_(torch.from_numpy(frequency_table(some_counts(number))))
        for network in (networks.forecast, networks.estimator):
            network.biases.uniform_(0, 0.5)
            network.exit.weight.uniform_(-0.03, 0.03)
    return networks


def tiny_texture(seed: int = 0) -> TextureNetwork:
    """A trainable network whose every path matters, and that adds much."""
    torch.manual_seed(seed)
    network = TextureNetwork(CONFIG, TEXTURE_SIZE)
    with torch.no_grad():
        for biases in (network.biases, network.mix_biases):
            biases.uniform_(0, 0.5)
        network.exit.weight.uniform_(-0.03, 0.03)
    return network
