"""Exact convolutions: the same integers by every path, and a limit that holds."""

from typing import Any

import numpy as np
import pytest
import torch

from convdraw_codec.network.exact_conv import (
    CONVOLUTIONS,
    PAIR_LIMIT,
    SUM_LIMIT,
    WEIGHT_LIMIT,
    FrozenConv,
    IntegerConv,
    is_exact,
    round_through,
)


def integers(seed: int, *shape: int, limit: int = 127) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(-limit, limit + 1, shape)).float()


@pytest.mark.parametrize("path", list(filter(is_exact, CONVOLUTIONS)))
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("limit", [PAIR_LIMIT, WEIGHT_LIMIT])
def test_every_path_gives_the_integers_of_int64(path: Any, kernel: int, signed: bool, limit: Any) -> None:
    x, weight = integers(1, 2, 9, 6, 7), integers(2, 11, 9, kernel, kernel, limit=limit)
    x[:, :, :3], weight[:3], weight[3:6] = 127, limit, -limit  # the largest sums
    x = x if signed else x.abs()
    bias = integers(3, 11, limit=2**20)
    padded = np.pad(x.numpy().astype(np.int64), ((0, 0), (0, 0), (kernel // 2,) * 2, (kernel // 2,) * 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))
    expected = np.einsum("bcyxij,ocij->boyx", windows, weight.numpy().astype(np.int64))
    assert np.array_equal(CONVOLUTIONS[path](weight, None, signed)(x).numpy(), expected)
    assert np.array_equal(CONVOLUTIONS[path](weight, bias, signed)(x).numpy(), expected + bias.numpy()[:, None, None])


@pytest.mark.parametrize("inputs", [3, 4000])
def test_no_sum_reaches_the_limit(inputs: int) -> None:
    """However large or alike the weights, quantising them keeps the worst input inside the exact range."""
    convolution = IntegerConv(inputs, 2, 3, input_unit=1.0, input_limit=127)
    with torch.no_grad():
        convolution.weight.fill_(3.0)
        convolution.bias.fill_(1e12)
    assert 0 < convolution.quantised().largest_sum(127) < SUM_LIMIT


@pytest.mark.parametrize("path", list(filter(is_exact, CONVOLUTIONS)))
@pytest.mark.parametrize("signed", [True, False])
def test_freezing_changes_nothing(path: Any, signed: bool) -> None:
    torch.manual_seed(0)
    convolution = IntegerConv(5, 4, 3, input_unit=1 / 128, input_limit=127, signed=signed)
    x = integers(3, 1, 5, 8, 8)
    x = x if signed else x.abs()
    with torch.no_grad():
        before = convolution(x)
        assert torch.equal(FrozenConv(convolution, convolution.quantised(), path)(x), before)


@pytest.mark.parametrize(("signed", "limit"), [(True, PAIR_LIMIT), (False, WEIGHT_LIMIT)])
def test_quantised_weights_are_close_and_trainable(signed: bool, limit: Any) -> None:
    torch.manual_seed(0)
    convolution = IntegerConv(5, 4, 3, input_unit=0.5, input_limit=127, signed=signed)
    weight, multiplier, _ = convolution.quantised()
    assert weight.abs().max() <= limit
    restored = weight * multiplier[:, None, None, None] / 0.5
    assert torch.allclose(restored, convolution.weight, atol=convolution.weight.abs().max().item() / limit)
    convolution(integers(4, 1, 5, 4, 4)).sum().backward()
    assert convolution.weight.grad.abs().sum() > 0


def test_rounding_is_half_to_even_and_lets_gradients_through() -> None:
    x = torch.tensor([0.5, 1.5, -2.5, 0.2], requires_grad=True)
    y = round_through(x)
    assert y.tolist() == [0, 2, -2, 0]
    y.sum().backward()
    assert x.grad.tolist() == [1, 1, 1, 1]
