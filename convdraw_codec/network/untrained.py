"""The model before training: a successively refining transform codec, with the scales to expect in photographs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from ..format.constants import PRECISION, SYMBOLS
from .config import Config
from .conv_draw import INDEX_UNIT, ConvDRAW, LayerCores
from .priors import FIRST, REFINE, ZERO, frequency_table, index_moved, index_of, information_table
from .transform.nested_dct import nested_transform

FIRST_CANVAS = (118.0, 116.0, 108.0)  # levels: the mean of photographs


def untrained(config: Config) -> ConvDRAW:
    """A model to train, on the CPU. Its random weights follow torch's seed."""
    with torch.device("cpu"), torch.no_grad():
        model = ConvDRAW(config)
        transform = nested_transform(config.strides)
        for layer, (basis, _, luma) in enumerate(transform):
            core, patch = cast(LayerCores, model.cores[layer]), basis.shape[1]
            core.analysis.weight.copy_((basis * math.sqrt(patch))[:, :, None, None])
            core.synthesis.weight.copy_((basis.T * math.sqrt(patch))[:, :, None, None])
            model.get_buffer(f"luma_{layer}").copy_(luma)
        for t, step in enumerate(config.steps):
            heads, deviation = model.heads(t), transform[step.layer][1][step.first:step.last]
            nn.init.zeros_(heads.posterior.weight)
            nn.init.zeros_(heads.posterior.get_parameter("bias"))
            family = ZERO if heads.refines else FIRST
            index = [index_of(d / step.quantiser / 1.8, family) for d in deviation.tolist()]
            if heads.refines:
                index += [index_of(0.4, REFINE)] * heads.latents
            heads.prior_index.weight.mul_(0.1)
            heads.prior_index.get_parameter("bias").copy_(torch.tensor(index, dtype=torch.float32) / INDEX_UNIT)
        model.initial_canvas.copy_(torch.tensor(FIRST_CANVAS, dtype=torch.float32))
        model.information.copy_(information_table(frequency_table(SYMBOLS, PRECISION)))
    return model


@torch.no_grad()
def widen_cells(model: ConvDRAW, ratios: Sequence[float]) -> None:
    """Rescale the weights of each step for a new quantiser, so that predictions in pixel levels stay the same. ratios:
    new quantiser over old one, of each step. The retouch stays, and what writes onto the canvas, which steps share."""
    known = [torch.ones(n, device=model.initial_canvas.device) for n in model.coefficients]
    for t, ratio in enumerate(ratios):
        step, heads = model.config.steps[t], model.heads(t)
        families = [ZERO, REFINE] if heads.refines else [FIRST]
        moved = torch.tensor([index_moved(ratio, family) for family in families]).repeat_interleave(heads.latents)
        parameters = dict(heads.named_parameters())
        parameters["history_embedding.weight"].mul_(known[step.layer][:, None, None])
        parameters["latent_embedding.weight"].mul_(ratio)
        for name in ("posterior.weight", "posterior.bias"):
            parameters[name].div_(ratio)
        parameters["prior_index.bias"].add_(moved.to(known[0]) / INDEX_UNIT)
        known[step.layer][step.first:step.last] = ratio
