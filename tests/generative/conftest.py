"""Every kind of model with latents, untrained."""


import pytest
import torch

from convdraw_codec.generative.base import LatentModel
from convdraw_codec.generative.weights import new_model

from .small import CONFIGS


@pytest.fixture(params=CONFIGS)
def model(request: pytest.FixtureRequest) -> LatentModel:
    """Untrained, but with canvases, priors and posteriors that differ from step to step."""
    torch.manual_seed(1)
    model = new_model(CONFIGS[request.param])
    assert isinstance(model, LatentModel)
    if model.causal:
        torch.nn.init.normal_(model.causal.exit.weight, std=0.3)
    return model
