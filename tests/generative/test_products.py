"""Products of matrices are the convolutions that they stand for."""


import pytest
import torch
import torch.nn.functional as F

from convdraw_codec.generative.layers.products import Down, Each, Up


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 2), (5, 4), (7, 7)])
def test_products_are_convolutions(kernel: int, stride: int) -> None:
    each, down, up = Each(4, 5), Down(4, 3, kernel, stride), Up(4, 3, kernel, stride)
    x, around = torch.randn(2, 4, 2 * stride, 3 * stride), kernel // 2
    with torch.no_grad():
        assert torch.allclose(each(x), F.conv2d(x, each.weight[:, :, None, None], each.bias), atol=1e-5)
        expected = F.conv2d(x, down.weight.view(3, 4, kernel, kernel), None, stride, around)
        assert torch.allclose(down(x), expected, atol=1e-5)
        weight = up.weight.view(4, 3, kernel, kernel)
        expected = F.conv_transpose2d(x, weight, None, stride, around, stride + 2 * around - kernel)
        assert torch.allclose(up(x), expected, atol=1e-5)
