"""What the LSTMs of PixelRNN see."""

import pytest
import torch

from convdraw_codec.generative.output import Output
from convdraw_codec.generative.pixel_rnn import FIRST_KERNEL, PixelRNNConfig

from .small import model_of, some_pictures

PICTURE = Output(1, 12, 30, "bernoulli")


def seen(recurrence: str, y: int, column: int) -> torch.Tensor:
    """Which pixels of a picture have a gradient of one of its means, (H, W)."""
    model, x = model_of(PixelRNNConfig(PICTURE, recurrence, 6, 1)), some_pictures(PICTURE, 1).requires_grad_()
    mean = model.distribution(model.start(1).canvas, x).mean
    return torch.autograd.grad(mean[0, 0, y, column], x)[0][0, 0] != 0


@pytest.mark.parametrize("place", [(0, 0), (7, 0), (7, 13), (11, 29)])
def test_the_diagonal_one_sees_all_earlier_pixels(place: tuple[int, int]) -> None:
    """But for the last one of the row above, which only the first convolution sees."""
    (y, column), expected = place, torch.zeros(PICTURE.height, PICTURE.width, dtype=torch.bool)
    expected[:y], expected[y, :column] = True, True
    if y:
        expected[y - 1, -1] = column + FIRST_KERNEL // 2 >= PICTURE.width - 1
    assert torch.equal(seen("diagonal", y, column), expected)


def test_the_one_of_rows_sees_a_triangle() -> None:
    y, column = 8, 15
    found = seen("row", y, column)
    assert not found.flatten()[y * PICTURE.width + column:].any()
    for above in range(y):
        reach = FIRST_KERNEL // 2 + y - above  # a position more with each row
        assert found[above, column - reach:column + reach].all()
        assert not found[above, column + reach + 1:].any()
        assert not found[above, :column - reach - 2].any()
