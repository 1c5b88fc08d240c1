"""PixelCNN sees all earlier pixels within reach, and nothing else."""

import pytest
import torch

from convdraw_codec.generative.gated_pixel_cnn import FIRST_KERNEL, PixelCNNConfig
from convdraw_codec.generative.output import Output

from .small import model_of, some_pictures


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kernel", [3, 5])
def test_there_is_no_blind_spot(layers: int, kernel: int) -> None:
    """Of the pixels in the rows above and to the left, each within reach has a gradient; of the others, none has."""
    picture = Output(1, 16, 24, "bernoulli")
    model, x = model_of(PixelCNNConfig(picture, 6, layers, kernel)), some_pictures(picture, 1).requires_grad_()
    distribution = model.distribution(model.start(1).canvas, x)
    reach = FIRST_KERNEL // 2 + (layers - 1) * (kernel // 2)
    for y, column in ((0, 0), (9, 11), (15, 23)):
        gradient = torch.autograd.grad(distribution.mean[0, 0, y, column], x, retain_graph=True)[0][0, 0] != 0
        assert gradient[y, max(column - reach, 0):column].all()
        assert gradient[max(y - reach - 1, 0):y, max(column - reach, 0):column + reach + 1].all()
        assert not gradient.flatten()[y * picture.width + column:].any()
        assert not gradient[:max(y - reach - 1, 0)].any()
