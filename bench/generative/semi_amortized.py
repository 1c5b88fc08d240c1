"""Posteriors that are refined for each picture, since an encoder does not find the best ones at its first look.

As in Kim et al., "Semi-Amortized Variational Autoencoders" (2018), at test time only. What is refined is what the
picture gives to the encoder's gates in every step. The model of pictures is the same, so the bound is one of the same
likelihood; and a receiver that has a picture can repeat it, so bits-back coding reaches it.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor

from convdraw_codec.generative.base import EncoderState, Generative, bound_of_started

RATE = 0.005  # of Adam; it falls to 0 in the second half of the updates


def refine(model: Generative, updates: int) -> Generative:
    """The model, but its encoder starts with what ``updates`` updates by the gradient of the bound make of its gates.

    They draw latents with a seed of their own, so that the same pictures always have the same posteriors.
    """
    def start_encoder(x: Tensor) -> EncoderState:
        with torch.inference_mode(False), torch.enable_grad():
            encoder = model.start_encoder(x.clone())
            gates = encoder.gates.detach().clone().requires_grad_()
            optimiser, generator = torch.optim.Adam([gates]), torch.Generator(x.device).manual_seed(0)
            for update in range(updates):
                optimiser.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * update / updates)
                nats = bound_of_started(model, replace(encoder, gates=gates), generator).nats.sum()
                gates.grad, = torch.autograd.grad(nats, gates)
                optimiser.step()
        return replace(encoder, gates=gates.detach())

    result = copy.copy(model)  # of the same weights
    result.start_encoder = start_encoder  # type: ignore[method-assign]
    return result
