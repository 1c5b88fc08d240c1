"""A causal output sees the earlier pixels, and nothing else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from convdraw_codec.generative.base import LatentModel, bound
from convdraw_codec.generative.conv_draw_gaussian import ConvDRAWConfig
from convdraw_codec.generative.pixel_cnn import CausalSize
from convdraw_codec.generative.trainer import GenerativeTrainer
from convdraw_codec.generative.weights import load_generative, new_model, save_generative

from .small import BITS, CONFIGS, recipe, some_pictures


def causal(name: str) -> Any:
    torch.manual_seed(2)
    model = new_model(CONFIGS[name])
    assert isinstance(model, LatentModel)
    output = model.causal
    assert output is not None
    torch.nn.init.normal_(output.exit.weight, std=0.5)
    return output


@pytest.mark.parametrize("name", ["causal bits", "causal levels"])
def test_a_pixel_is_told_of_the_earlier_ones_only(name: str) -> None:
    """Row by row, red before green before blue; and of the whole canvas around it."""
    output = causal(name)
    picture = output.picture
    canvas = torch.randn(1, picture.canvas_channels, picture.height, picture.width)
    x = picture.middles(some_pictures(picture, 1)).requires_grad_()
    distribution = picture.distribution(output(canvas, x))
    for channel in range(picture.channels):
        for y, column in ((0, 0), (3, 5), (7, 7)):
            place = 0, channel, y, column
            gradient = torch.autograd.grad(distribution.mean[place], x, retain_graph=True)[0][0]
            told, own = gradient.abs().sum(0), gradient[:, y, column]
            assert told.flatten()[y * picture.width + column + 1:].sum() == 0
            assert own[channel:].abs().sum() == 0
            assert (own[:channel] != 0).all()
            if y:
                assert told[y - 1, column] > 0
                assert told[y, column - 1] > 0


@pytest.mark.parametrize("name", ["causal bits", "causal levels"])
def test_pixels_in_turn_have_the_distributions_of_the_whole(name: str) -> None:
    output = causal(name)
    picture, x = output.picture, some_pictures(output.picture, 2)
    canvas = torch.randn(2, picture.canvas_channels, picture.height, picture.width)
    in_turn = torch.zeros_like(x)

    def choose(distribution: Any, place: Any) -> Any:
        in_turn[place] = distribution.log_prob(x[place])
        return x[place]

    with torch.no_grad():
        assert torch.equal(output.render(canvas, choose), x)
        whole = picture.distribution(output(canvas, picture.middles(x))).log_prob(x)
    assert torch.allclose(in_turn, whole, atol=1e-4)


def test_a_new_causal_output_changes_nothing(tmp_path: Path) -> None:
    """Training goes on from a model without one."""
    plain = CONFIGS["one layer"]
    assert isinstance(plain, ConvDRAWConfig)
    torch.manual_seed(1)
    save_generative(new_model(plain), plain, tmp_path / "m.safetensors")
    trainer = GenerativeTrainer(recipe(replace(plain, causal=CausalSize(4, 2))), torch.device("cpu"), torch.zeros(0))
    trainer.start_from(tmp_path / "m.safetensors")
    x = some_pictures(BITS)
    with torch.no_grad():
        first, second = (bound(m, x, torch.Generator().manual_seed(0)).nats
                         for m in (load_generative(tmp_path / "m.safetensors"), trainer.model))
    assert torch.equal(first, second)
