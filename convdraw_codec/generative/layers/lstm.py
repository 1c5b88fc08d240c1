"""A long short-term memory, in real numbers."""

from __future__ import annotations

import torch
from torch import Tensor


def lstm(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """h and c of a long short-term memory from its gates, (B, 4n, ...), and its last c, (B, n, ...)."""
    admit, keep, emit, candidate = gates.float().chunk(4, dim=1)
    c = torch.sigmoid(keep + 1) * c + torch.sigmoid(admit) * torch.tanh(candidate)
    return torch.sigmoid(emit) * torch.tanh(c), c
