"""Small generative models, and pictures for them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from convdraw_codec.generative.conv_draw_gaussian import ConvDRAWConfig, GenerativeLayer
from convdraw_codec.generative.draw import DRAWConfig
from convdraw_codec.generative.gated_pixel_cnn import PixelCNNConfig
from convdraw_codec.generative.output import Output
from convdraw_codec.generative.pixel_cnn import CausalSize
from convdraw_codec.generative.pixel_rnn import PixelRNNConfig
from convdraw_codec.generative.recipe import GenerativeRecipe
from convdraw_codec.generative.weights import ModelConfig, new_model
from convdraw_codec.training.recipe import Stage

BITS, LEVELS, COLOURS = Output(1, 8, 12, "bernoulli"), Output(3, 8, 8, "gaussian"), Output(3, 5, 6, "logistics")
CONFIGS: dict[str, ModelConfig] = {
    "one layer": ConvDRAWConfig(BITS, 3, (GenerativeLayer(4, 6, 2, 3),)),
    "two layers": ConvDRAWConfig(LEVELS, 2, (GenerativeLayer(8, 6, 3, 1), GenerativeLayer(2, 5, 2, 5))),
    "causal bits": ConvDRAWConfig(BITS, 2, (GenerativeLayer(4, 6, 2, 3),), CausalSize(4, 2)),
    "causal levels": ConvDRAWConfig(LEVELS, 2, (GenerativeLayer(4, 6, 2, 3),), CausalSize(5, 1)),
    "draw": DRAWConfig(BITS, 3, 16, 4),
    "attention": DRAWConfig(BITS, 3, 16, 4, read=2, write=3),
    "standard prior": DRAWConfig(BITS, 3, 16, 4, standard_prior=True),
}

WITHOUT_LATENTS: dict[str, ModelConfig] = {
    "pixels": PixelCNNConfig(BITS, 6, 3, 3),
    "colours": PixelCNNConfig(COLOURS, 6, 2, 5),
    "rows": PixelRNNConfig(BITS, "row", 5, 2),
    "diagonals": PixelRNNConfig(BITS, "diagonal", 5, 2),
}


def model_of(config: ModelConfig) -> Any:
    """Untrained, but whatever begins as zero, so that a part changes nothing at first, does not."""
    torch.manual_seed(3)
    model, picture = new_model(config), config.picture
    levels = torch.full((picture.channels, picture.height, picture.width), 100.0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1 and not parameter.any():
                parameter.normal_(std=0.5)
        model.first_canvas.copy_(picture.canvas_of(levels))
    return model


def some_pictures(picture: Output, count: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (count, picture.channels, picture.height, picture.width)
    return torch.randint(0, 2 if picture.output == "bernoulli" else 256, shape, generator=generator).float()


def write_bits(path: Path, count: int = 40) -> np.ndarray:
    """The left or the right half, with a tenth of the bits changed. The last 8 pictures validate."""
    rng = np.random.default_rng(0)
    left = np.arange(96, dtype=np.uint8) % 12 // 6
    bits = left ^ rng.integers(0, 2, (count, 1), dtype=np.uint8)
    bits ^= (rng.random((count, 96)) < 0.1).astype(np.uint8)
    packed = np.packbits(bits, axis=1)
    np.savez(path, train=packed[:-8], valid=packed[-8:], test=packed[:8])
    return bits


def recipe(config: ModelConfig) -> GenerativeRecipe:
    return GenerativeRecipe(model=config, batch=8, seed=1, gradient_limit=1.0, average=0.9, beta=1.0, held_out=8,
                            stages=(Stage("likelihood", 0.1, 3e-3, 1e-3),))
