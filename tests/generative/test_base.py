"""What generative models measure is what the formulas say."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm

from bench.generative.likelihood import importance_weighted
from bench.generative.semi_amortized import refine
from convdraw_codec.generative.base import bound, bound_of_started, sample
from convdraw_codec.generative.weights import new_model

from .small import BITS, CONFIGS, LEVELS, some_pictures


def integral(values: np.ndarray, x: np.ndarray) -> float:
    return float(np.trapezoid(values, x))


def test_divergence_is_the_integral_of_its_definition(model: Any) -> None:
    """Of the first step, latent by latent."""
    x = some_pictures(model.picture, 1)
    decoder = model.start(1)
    with torch.no_grad():
        encoder = model.look(model.start_encoder(model.picture.units(x)), decoder)
        p = model.prior(0, decoder)
        q = model.posterior(0, encoder, decoder, p)
        measured = bound(model, x).divergence[0, 0, 0].item()
    expected = 0.0
    numbers = (d.double().flatten().tolist() for d in (q.mean, q.stddev, p.mean.expand_as(q.mean), p.stddev))
    for m, s, prior_mean, prior_deviation in zip(*numbers, strict=True):
        z = np.linspace(m - 12 * s, m + 12 * s, 4001)
        density = norm.pdf(z, m, s)
        log_ratio = norm.logpdf(z, m, s) - norm.logpdf(z, prior_mean, prior_deviation)
        expected += integral(density * log_ratio, z)
    # levels are seen with noise, which the posterior feels
    assert measured == pytest.approx(expected, rel=1e-3 if model.picture.output == "bernoulli" else 0.05)


def test_reconstruction_of_bits_is_their_cross_entropy() -> None:
    canvas, x = torch.randn(4, 1, 8, 12), some_pictures(BITS)
    p = 1 / (1 + np.exp(-canvas.double().numpy()))
    expected = -(x.numpy() * np.log(p) + (1 - x.numpy()) * np.log(1 - p)).sum()
    assert -BITS.distribution(canvas).log_prob(x).sum().item() == pytest.approx(expected, rel=1e-5)


def test_noise_costs_no_less_than_the_levels() -> None:
    """(9): the mean density over a level bounds the logarithm of its probability from above, and is near for wide
    densities."""
    canvas = torch.cat([torch.randn(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)], dim=1)
    x = some_pictures(LEVELS, 1)
    distribution = LEVELS.distribution(canvas)
    u = (torch.arange(200) + 0.5) / 200
    noisy = -torch.stack([distribution.log_prob(x + v) for v in u]).mean(0).sum().item()
    mean, deviation = distribution.mean.double().numpy(), distribution.stddev.double().numpy()
    low, high = norm.cdf(x.numpy(), mean, deviation), norm.cdf(x.numpy() + 1, mean, deviation)
    exact = -np.log(high - low).sum()
    assert exact <= noisy + 1e-3
    assert noisy == pytest.approx(exact, rel=1e-3)


def test_the_ratio_drawn_has_the_divergence_as_its_mean(model: Any) -> None:
    x = some_pictures(model.picture, 1).expand(3000, -1, -1, -1)
    with torch.no_grad():
        cost = bound(model, x, torch.Generator().manual_seed(0))
    difference = (cost.log_ratio - cost.divergence.sum((0, 1))).double()
    assert abs(difference.mean()) < 5 * difference.std() / math.sqrt(len(x))


def test_more_draws_tighten_the_bound(model: Any) -> None:
    x = some_pictures(model.picture, 1).expand(300, -1, -1, -1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        one, many = (importance_weighted(model, x, draws, generator).mean() for draws in (1, 20))
        mean = bound(model, x, generator).nats.mean()
    assert many < one
    assert one.item() == pytest.approx(mean.item(), rel=0.02)


def test_every_parameter_learns(model: Any) -> None:
    bound(model, some_pictures(model.picture)).nats.sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_an_untrained_posterior_costs_next_to_nothing(model: Any) -> None:
    """It starts from the prior, whatever the steps before have drawn."""
    with torch.no_grad():
        cost = bound(model, some_pictures(model.picture))
    assert 0 <= cost.divergence.min() <= cost.divergence.max() < 5


def test_a_coarse_layer_hears_of_the_finer_one() -> None:
    model = new_model(CONFIGS["two layers"])
    decoder = model.start(2)
    for layer in range(2):
        decoder = model.absorb(layer, torch.randn_like(model.prior(layer, decoder).mean), decoder)
    finer = torch.autograd.grad(model.prior(0, decoder).mean.sum(), decoder.h[1])
    assert finer[0].abs().sum() > 0


def test_samples_are_pictures(model: Any) -> None:
    with torch.no_grad():
        drawn = sample(model, 2, torch.Generator().manual_seed(0))
    picture = model.picture
    assert drawn.shape == (model.steps, 2, picture.channels, picture.height, picture.width)
    assert 0 <= drawn.min() < drawn.max() <= 1


def test_refined_posteriors_tighten_the_bound(model: Any) -> None:
    """With other latents than those that they were refined with."""
    x = model.picture.middles(some_pictures(model.picture))
    with torch.inference_mode():
        at_first, refined = (torch.stack([bound_of_started(model, encoder, torch.Generator().manual_seed(seed)).nats
                                          for seed in range(1, 50)]).mean()
                             for encoder in (model.start_encoder(x), refine(model, 30).start_encoder(x)))
    assert refined < at_first


def test_refining_leaves_the_model_as_it_is(model: Any) -> None:
    x = some_pictures(model.picture)
    before = bound(model, x, torch.Generator().manual_seed(0)).nats
    refined = refine(model, 2)
    bound(refined, x)
    assert torch.equal(bound(model, x, torch.Generator().manual_seed(0)).nats, before)
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(bound(refine(model, 0), x, torch.Generator().manual_seed(0)).nats, before)
