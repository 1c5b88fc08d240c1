"""The critic: whether texture is that of a photograph, from deep features at several strides.

A discriminator on features that stay as they are learns in far fewer updates than one on pixels (Sauer et al., 2021,
"Projected GANs Converge Faster"). Hinge loss, spectral normalisation.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

HIDDEN = 32, 40, 64, 64  # channels of the heads
FIRST_STRIDE = 2  # of the first head, whose features are the finest
LEAK = 0.2


class Critic(nn.Module):
    """A head for the features of each stage, of so many channels. It learns on its own scale of each stage, which it
    takes from the first features that it sees."""

    deviations: Tensor

    def __init__(self, channels: list[int]):
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(spectral_norm(nn.Conv2d(count, hidden, 3, FIRST_STRIDE if i == 0 else 1, 1)),
                          nn.LeakyReLU(LEAK), spectral_norm(nn.Conv2d(hidden, hidden, 3, 1, 1)), nn.LeakyReLU(LEAK),
                          spectral_norm(nn.Conv2d(hidden, 1, 1)))
            for i, (count, hidden) in enumerate(zip(channels, HIDDEN, strict=True)))
        self.channels = channels
        self.register_buffer("deviations", torch.zeros(sum(channels)))

    def scaled(self, features: list[Tensor]) -> list[Tensor]:
        """In units of the deviation of each channel."""
        if not self.deviations.any():
            with torch.no_grad():
                self.deviations.copy_(torch.cat([each.std((0, 2, 3)) for each in features]) + 1e-3)
        scales = self.deviations.split(self.channels)
        return [each / scale[:, None, None] for each, scale in zip(features, scales, strict=True)]

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """How real each place looks, a map for each stage: above 0 is real."""
        return [head(each) for head, each in zip(self.heads, self.scaled(features), strict=True)]

    def praise(self, features: list[Tensor]) -> Tensor:
        """What texture is to have much of; the critic does not learn from it."""
        self.requires_grad_(False)
        try:
            return torch.stack([each.mean() for each in self(features)]).mean()
        finally:
            self.requires_grad_(True)

    def loss(self, real: list[Tensor], made: list[Tensor]) -> Tensor:
        """What the critic itself minimises."""
        each = [F.relu(1 - a).mean() + F.relu(1 + b).mean() for a, b in zip(self(real), self(made), strict=True)]
        return torch.stack(each).mean()
