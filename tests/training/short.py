"""A codec's training that is over in a second, and what its tests are fed with."""

import re

import numpy as np
import torch

from convdraw_codec.cli.train import find_config
from convdraw_codec.training.recipe import CodecRecipe, Stage

from ..conftest import synthetic
from ..tiny import CONFIG

SHORT = CodecRecipe(model=CONFIG, crop=16, batch=4, seed=1, gradient_limit=1.0, average=0.9,
                    stages=(Stage("forecast", 0.006, 1e-3, 1e-5), Stage("prior", 0.01, 1e-3, 1e-5),
                            Stage("estimator", 0.006, 1e-3, 1e-5), Stage("residual", 0.006, 1e-3, 1e-5)))


def short_config(megapixels: float) -> str:
    """The TOML file of a model of two steps, all of whose stages are so long."""
    text = find_config("photo").read_text()
    model = "layers = [{ stride = 4, state = 4, embedding = 4 }]\n" \
            "steps = [{ layer = 0, quantiser = 40, first = 0, last = 48 },\n" \
            "{ layer = 0, quantiser = 20, first = 0, last = 48, forecast = true }]\n" \
            "forecast = { channels = 4, layers = 2 }\n" \
            "estimator = { stride = 2, channels = 4, layers = 2 }\n" \
            "residual = { channels = 4, layers = 2 }\n"
    text = text[:text.index("layers =")] + model + text[text.index("[training]"):]
    for key, value in (("megapixels", megapixels), ("warm_up", 0), ("hold", 0), ("crop", 16)):
        text = re.sub(rf"{key} = [\d.]+", f"{key} = {value}", text)
    return text


def batch(size: int = 4) -> torch.Tensor:
    return torch.from_numpy(np.stack([synthetic(16, 16, s) for s in range(size)])).permute(0, 3, 1, 2).float()
