"""Bits-back coding: pictures without loss, at the rate of the bound.

Section 3 of Gregor et al., "Towards Conceptual Compression" (2016). Each latent is drawn with bits that are taken from
what was coded before, which the receiver puts back: so it costs its divergence only. What comes out is decoded by the
same model on the same machine: its numbers are real ones. Pictures that are to last belong into .cdr files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import constriction
import numpy as np
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Normal

from convdraw_codec.generative.base import Generative
from convdraw_codec.generative.logistics import LogisticMixture
from convdraw_codec.generative.output import LEVELS

GRID = 128  # cells of a latent in a standard deviation of its prior
CELLS = 8 * GRID  # on each side of the prior's mean
SMALLEST = 1e-6  # probability of a pixel
WORD = 32  # bits

_posterior = constriction.stream.model.QuantizedGaussian(-CELLS, CELLS)
_prior = constriction.stream.model.QuantizedGaussian(-CELLS, CELLS, 0.0, float(GRID))


@dataclass(frozen=True)
class Chain:
    """words: uint32, the pictures on top of the random words that came first. bits: what the pictures added.

    start: bits that the first pictures borrowed from the random words, without which the chain cannot begin.
    """

    words: np.ndarray
    bits: float
    start: float


@torch.inference_mode()
def encode(model: Generative, pictures: Tensor, first_words: np.ndarray) -> Chain:
    """Pictures (N, channels, H, W), of 0 and 1 or 0..255, one after the other, on top of random words (uint32).

    Raises ValueError if those are too few.
    """
    coder = constriction.stream.stack.AnsCoder(first_words, seal=True)
    before = fewest = _bits(coder)
    for picture in pictures[:, None].float():
        taken: list[np.ndarray] = []

        def take(q: Normal, p: Normal, taken: list[np.ndarray] = taken) -> Tensor:
            taken.append(coder.decode(_posterior, *_relative(q, p)))
            return _latents(p, taken[-1])

        told: list[tuple[Tensor, Distribution]] = []

        def know(distribution: Distribution, place: Any, picture: Tensor = picture,
                 told: list[tuple[Tensor, Distribution]] = told) -> Tensor:
            told.append((picture[place], distribution))
            return picture[place]

        canvas = model.explain(model.start_encoder(model.picture.middles(picture)), take)
        fewest = min(fewest, _bits(coder))
        if fewest <= 2 * WORD:  # beyond its end the coder would go on with zeros
            raise ValueError(f"{len(first_words)} random words are too few to begin with")
        model.render(canvas, know)
        for pixels, distribution in reversed(told):
            coder.encode_reverse(pixels.numpy().astype(np.int32).ravel(), *_pixels(distribution))
        for cells in reversed(taken):
            coder.encode_reverse(cells, _prior)
    return Chain(coder.get_compressed(), _bits(coder) - before, before - fewest)


@torch.inference_mode()
def decode(model: Generative, words: np.ndarray, count: int) -> tuple[Tensor, np.ndarray]:
    """The inverse of ``encode``: pictures (N, channels, H, W) uint8, and the random words that came first."""
    coder, pictures = constriction.stream.stack.AnsCoder(words), []

    def pixels(distribution: Distribution, _: Any) -> Tensor:
        kind, *parameters = _pixels(distribution)
        return torch.from_numpy(coder.decode(kind, *parameters)).float().view_as(distribution.mean)

    for _ in range(count):
        known: list[np.ndarray] = []
        given: list[tuple[Any, ...]] = []

        def read(p: Normal, known: list[np.ndarray] = known) -> Tensor:
            known.append(coder.decode(_prior, p.mean.numel()))
            return _latents(p, known[-1])

        def give(q: Normal, p: Normal, known: list[np.ndarray] = known, given: list[tuple[Any, ...]] = given) -> Tensor:
            cells = known[len(given)]
            given.append((cells, *_relative(q, p)))
            return _latents(p, cells)

        *_, decoder = model.generate(1, read)
        picture = model.render(decoder.canvas, pixels)
        model.explain(model.start_encoder(model.picture.middles(picture)), give)
        for cells, mean, deviation in reversed(given):
            coder.encode_reverse(cells, _posterior, mean, deviation)
        pictures.append(picture.to(torch.uint8))
    return torch.cat(pictures[::-1]), coder.get_compressed(unseal=True)


def _bits(coder: constriction.stream.stack.AnsCoder) -> float:
    """What a coder holds, to a fraction of a bit."""
    words, state = coder.pos()
    return WORD * words + math.log2(max(state, 1))


def _latents(p: Normal, cells: np.ndarray) -> Tensor:
    """Cells around the prior's mean -> latents."""
    return p.mean + p.stddev * torch.from_numpy(cells).view_as(p.mean) / GRID


def _relative(q: Normal, p: Normal) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of a posterior in cells around the prior's mean."""
    mean, deviation = (q.mean - p.mean) / p.stddev, q.stddev / p.stddev
    return tuple((GRID * x).double().numpy().ravel() for x in (mean, deviation))  # type: ignore[return-value]


def _pixels(distribution: Distribution) -> tuple[Any, ...]:
    """A model of constriction's, and its parameters, for pixels of 0 and 1, or of 0..255: a level is what lies
    between it and the next."""
    if isinstance(distribution, Bernoulli):
        probability = distribution.probs.clamp(SMALLEST, 1 - SMALLEST)
        return constriction.stream.model.Bernoulli(perfect=False), probability.numpy().ravel()
    if isinstance(distribution, LogisticMixture):
        chances = distribution.probabilities().clamp_min(SMALLEST / LEVELS).double().flatten(0, 2)
        return constriction.stream.model.Categorical(perfect=False), chances.numpy()
    assert isinstance(distribution, Normal)
    kind = constriction.stream.model.QuantizedGaussian(0, LEVELS - 1)
    return kind, *((x.double().numpy().ravel()) for x in (distribution.mean - 0.5, distribution.stddev))
