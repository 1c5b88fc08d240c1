"""Bits-back coding loses nothing, at the rate of the bound."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from bench.generative import bits_back
from bench.generative.semi_amortized import refine
from convdraw_codec.generative.base import bound
from convdraw_codec.generative.weights import new_model

from ...generative.small import BITS, CONFIGS, some_pictures


def random_words(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(2**32, size=count, dtype=np.uint64).astype(np.uint32)


def test_bits_back_returns_pictures_and_random_words(model: Any) -> None:
    x, first = some_pictures(model.picture, 10), random_words(2000)
    chain = bits_back.encode(model, x, first)
    pictures, left = bits_back.decode(model, chain.words, len(x))
    assert torch.equal(pictures, x.to(torch.uint8))
    assert np.array_equal(left, first)
    assert chain.bits == pytest.approx(32 * (len(chain.words) - len(first)), abs=70)
    assert 0 < chain.start < 32 * len(first)


def test_bits_back_repeats_the_refinement(model: Any) -> None:
    x, first = some_pictures(model.picture, 3), random_words(2000)
    refined = refine(model, 2)
    pictures, left = bits_back.decode(refined, bits_back.encode(refined, x, first).words, len(x))
    assert torch.equal(pictures, x.to(torch.uint8))
    assert np.array_equal(left, first)


def test_bits_back_costs_what_the_bound_says(model: Any) -> None:
    """In the mean, on truly random words: in a chain, what one picture leaves is not quite random to the next."""
    x = some_pictures(model.picture, 1)
    bits = [bits_back.encode(model, x, random_words(2000, seed)).bits for seed in range(200)]
    with torch.no_grad():
        nats = bound(model, x.expand(2000, -1, -1, -1), torch.Generator().manual_seed(0)).nats.mean().item()
    assert np.mean(bits) == pytest.approx(nats / math.log(2), rel=0.02)


def test_bits_back_asks_for_more_random_words() -> None:
    with pytest.raises(ValueError, match="too few"):
        bits_back.encode(new_model(CONFIGS["one layer"]), some_pictures(BITS), random_words(2))
