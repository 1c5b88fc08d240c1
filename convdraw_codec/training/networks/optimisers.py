"""What updates networks of byte convolutions."""

from __future__ import annotations

import torch
from torch import nn

from .byte_conv import TrainedConv

HEADS = "rows", "exit"  # names of convolutions that learn by Adam
MUON_FACTOR = 4.0  # of the learning rate


def optimisers_of(model: nn.Module, betas: tuple[float, float]) -> list[torch.optim.Optimizer]:
    """Muon for what lies between convolutions, Adam for heads and biases."""
    inner = [module.weight for name, module in model.named_modules()
             if isinstance(module, TrainedConv) and name.rpartition(".")[2] not in HEADS]
    chosen = {id(weight) for weight in inner}
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [torch.optim.Muon([{"params": inner, "factor": MUON_FACTOR}], weight_decay=0.0),
            torch.optim.Adam(others, lr=1e-3, betas=betas, fused=True)]
