"""Models without latents: their likelihoods are probabilities, and pictures are drawn and coded pixel by pixel."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.generative import bits_back
from convdraw_codec.generative.base import bound, sample
from convdraw_codec.generative.gated_pixel_cnn import PixelCNNConfig
from convdraw_codec.generative.logistics import LogisticMixture
from convdraw_codec.generative.output import LEVELS, Output
from convdraw_codec.generative.pixel_rnn import PixelRNNConfig
from convdraw_codec.generative.trainer import GenerativeTrainer
from convdraw_codec.generative.weights import ModelConfig, load_generative

from .small import BITS, WITHOUT_LATENTS, model_of, recipe, some_pictures


def smallest(kind: str, picture: Output) -> ModelConfig:
    return PixelCNNConfig(picture, 5, 2, 3) if kind == "pixels" else PixelRNNConfig(picture, kind, 4, 2)


@pytest.mark.parametrize("name", WITHOUT_LATENTS)
def test_pixels_in_turn_have_the_probability_of_the_whole(name: str) -> None:
    model = model_of(WITHOUT_LATENTS[name])
    x, in_turn = some_pictures(model.picture, 2), torch.zeros(2)

    def choose(distribution: Any, place: Any) -> Any:
        nonlocal in_turn
        in_turn = in_turn - distribution.log_prob(x[place]).flatten(1).sum(1)
        return x[place]

    with torch.no_grad():
        assert torch.equal(model.render(model.start(2).canvas, choose), x)
        assert torch.allclose(bound(model, x).nats, in_turn, rtol=1e-5)


@pytest.mark.parametrize("kind", ["pixels", "row", "diagonal"])
@pytest.mark.parametrize("shape", [(2, 2), (3, 1), (1, 3), (3, 3)])
def test_all_pictures_together_have_probability_one(kind: str, shape: tuple[int, int]) -> None:
    picture = Output(1, *shape, "bernoulli")
    model = model_of(smallest(kind, picture))
    every = torch.tensor(list(itertools.product((0.0, 1.0), repeat=picture.dimensions))).view(-1, 1, *shape)
    chances = (-bound(model, every).nats).exp()
    assert chances.sum().item() == pytest.approx(1, abs=1e-5)
    assert chances.std() > 0.05 * chances.mean()


def test_all_levels_together_have_probability_one() -> None:
    """Of one pixel, and of a colour, given the others."""
    picture = Output(1, 1, 1, "logistics")
    model = model_of(PixelCNNConfig(picture, 4, 1, 3))
    every = torch.arange(float(LEVELS)).view(-1, 1, 1, 1)
    assert (-bound(model, every).nats).exp().sum().item() == pytest.approx(1, abs=1e-4)
    colours = model_of(WITHOUT_LATENTS["colours"])
    x = some_pictures(colours.picture, 2)
    canvas = torch.randn(2, colours.picture.canvas_channels, 5, 6, generator=torch.Generator().manual_seed(1))
    for channel in range(3):
        distribution = colours.picture.of_channel(canvas, channel, x)
        assert isinstance(distribution, LogisticMixture)
        chances = distribution.probabilities()
        assert torch.allclose(chances.sum(3), torch.ones(2, 5, 6), atol=1e-4)


def test_levels_at_the_ends_have_all_that_lies_beyond() -> None:
    picture = Output(1, 1, 1, "logistics")
    canvas = torch.zeros(1, picture.canvas_channels, 1, 1)
    for mean, level in ((-50.0, 0.0), (50.0, 255.0)):
        canvas[:, 10:20] = mean
        found = picture.distribution(canvas).log_prob(torch.full((1, 1, 1, 1), level))
        assert found.item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", WITHOUT_LATENTS)
def test_samples_are_pictures(name: str) -> None:
    model = model_of(WITHOUT_LATENTS[name])
    [drawn] = sample(model, 3, torch.Generator().manual_seed(0))
    assert drawn.shape == (3, *some_pictures(model.picture, 1).shape[1:])
    assert len(drawn.unique()) == (2 if model.picture is BITS else len((drawn * 255).round().unique()))
    assert torch.allclose(drawn * 255, (drawn * 255).round(), atol=1e-3)


@pytest.mark.parametrize("name", WITHOUT_LATENTS)
def test_every_parameter_learns(name: str) -> None:
    model = model_of(WITHOUT_LATENTS[name])
    bound(model, some_pictures(model.picture)).nats.mean().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", WITHOUT_LATENTS)
def test_training_makes_a_model_that_knows_more(name: str, tmp_path: Path) -> None:
    config = WITHOUT_LATENTS[name]
    torch.manual_seed(0)
    trainer = GenerativeTrainer(recipe(config), torch.device("cpu"), torch.zeros(0))
    across = torch.arange(config.picture.width).expand(8, config.picture.channels, config.picture.height, -1)
    batch = ((across + torch.arange(8).view(-1, 1, 1, 1)) % 2 * 255).to(torch.uint8)  # which of two is to be seen
    trainer.begin_with(batch)
    losses = [trainer.step(batch) for _ in range(40)]
    assert losses[-1] is not None
    assert losses[0] is not None
    assert losses[-1] < 0.85 * losses[0]
    trainer.write(tmp_path / "m.safetensors")
    model, x = load_generative(tmp_path / "m.safetensors"), some_pictures(config.picture)
    with torch.no_grad():
        assert torch.allclose(bound(model, x).nats, bound(trainer.average, x).nats, rtol=0.02)


@pytest.mark.parametrize("name", WITHOUT_LATENTS)
def test_pictures_are_coded_at_their_rate(name: str) -> None:
    """Directly: there are no latents, for which bits would come back."""
    model = model_of(WITHOUT_LATENTS[name])
    x, words = some_pictures(model.picture), np.arange(10, dtype=np.uint32) + 7
    chain = bits_back.encode(model, x, words)
    decoded, left = bits_back.decode(model, chain.words, len(x))
    assert torch.equal(decoded, x.to(torch.uint8))
    assert np.array_equal(left, words)
    with torch.no_grad():
        assert chain.bits == pytest.approx(bound(model, x).nats.sum().item() / math.log(2), rel=0.01)
