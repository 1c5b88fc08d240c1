"""Posteriors that are refined for each picture, since an encoder does not find the best ones at its first look.

As in Kim et al., "Semi-Amortized Variational Autoencoders" (2018), at test time only. What is refined is what the
picture gives to the encoder's gates in every step. The model of pictures is the same, so the bound is one of the same
likelihood; and a receiver that has a picture can repeat it, so bits-back coding reaches it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal

from .base import Generative, bound_of_started

RATE = 0.005  # of Adam; it falls to 0 in the second half of the updates


class Refined(Generative):
    """A model whose encoder starts with what ``updates`` updates by the gradient of the bound make of its gates.

    They draw latents with a seed of their own, so that the same pictures always have the same posteriors.
    """

    def __init__(self, model: Generative, updates: int):
        super().__init__()
        self.model, self.updates = model, updates
        self.picture, self.first_canvas, self.causal = model.picture, model.first_canvas, model.causal
        self.layers, self.steps = model.layers, model.steps

    def start_encoder(self, x: Tensor) -> Any:
        with torch.inference_mode(False), torch.enable_grad():
            encoder = self.model.start_encoder(x.clone())
            gates = encoder.gates.detach().clone().requires_grad_()
            optimiser, generator = torch.optim.Adam([gates]), torch.Generator(x.device).manual_seed(0)
            for update in range(self.updates):
                optimiser.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * update / self.updates)
                nats = bound_of_started(self.model, replace(encoder, gates=gates), generator).nats.sum()
                gates.grad, = torch.autograd.grad(nats, gates)
                optimiser.step()
        return replace(encoder, gates=gates.detach())

    def start(self, batch: int) -> Any:
        return self.model.start(batch)

    def look(self, encoder: Any, decoder: Any) -> Any:
        return self.model.look(encoder, decoder)

    def prior(self, layer: int, decoder: Any) -> Normal:
        return self.model.prior(layer, decoder)

    def posterior(self, layer: int, encoder: Any, decoder: Any, prior: Normal) -> Normal:
        return self.model.posterior(layer, encoder, decoder, prior)

    def absorb(self, layer: int, z: Tensor, decoder: Any) -> Any:
        return self.model.absorb(layer, z, decoder)

    def canvas(self, decoder: Any) -> Tensor:
        return self.model.canvas(decoder)
