"""Convolutions that are one product of matrices: on CPUs, several times as fast as the library's own of their kind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Each(nn.Linear):
    """A convolution of kernel 1: (B, inputs, H, W) -> (B, outputs, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Down(nn.Module):
    """A convolution of few inputs: (B, inputs, H, W) -> (B, outputs, H/stride, W/stride), of an odd kernel that is no
    smaller than the stride, which divides H and W."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int):
        super().__init__()
        self.kernel, self.stride = kernel, stride
        bound = (inputs * kernel**2) ** -0.5
        self.weight = nn.Parameter(torch.empty(outputs, inputs * kernel**2).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        windows = F.unfold(x.contiguous(), self.kernel, padding=self.kernel // 2, stride=self.stride)
        seen = windows.transpose(1, 2) @ self.weight.T
        return seen.unflatten(1, (x.shape[2] // self.stride, -1)).permute(0, 3, 1, 2)


class Up(Down):
    """The transpose of ``Down``: (B, inputs, h, w) -> (B, outputs, h stride, w stride)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int):
        super().__init__(outputs, inputs, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        windows = (x.permute(0, 2, 3, 1).flatten(1, 2) @ self.weight).transpose(1, 2)
        size = x.shape[2] * self.stride, x.shape[3] * self.stride
        return F.fold(windows, size, self.kernel, padding=self.kernel // 2, stride=self.stride)
