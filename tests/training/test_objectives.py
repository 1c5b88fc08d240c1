"""What training minimises is what files and pictures are: rates are bytes, errors those of what is shown."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from convdraw_codec import Codec
from convdraw_codec.coding.sessions import Network
from convdraw_codec.format.bitstream import read
from convdraw_codec.network.tables import FIRST, REFINE, ROWS, SIGN_ODDS, ZERO, frequency_table
from convdraw_codec.training.export import restore
from convdraw_codec.training.networks.prior import Prediction, rows_of
from convdraw_codec.training.objectives import CodecNetworks, Objective, middles_at, prior_rates, turned
from convdraw_codec.training.rates import begin_with_statistics, symbol_bits

from ..conftest import psnr, synthetic
from ..tiny import CONFIG, TINY_MODEL, tiny_networks
from .short import batch


@pytest.fixture(scope="module")
def networks() -> CodecNetworks:
    """Those of the tiny model, as its file holds them."""
    result = CodecNetworks(CONFIG)
    restore(TINY_MODEL, result)
    return result


def image_of(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32)).permute(2, 0, 1)[None]


def test_the_rate_is_that_of_a_file(networks: CodecNetworks) -> None:
    """Of one that is coded under what rows promise, without groups."""
    array, codec = synthetic(64, 72), Codec(TINY_MODEL)
    model = replace(codec.model, frequencies=np.stack([frequency_table() for _ in CONFIG.passes]))
    grouped, sizes = list[int](), list[int]()
    for found, slopes in ((grouped, model.slopes), (sizes, np.maximum(model.slopes, 1))):
        codec.network = Network(replace(model, slopes=slopes), codec.network.convolve)
        found += map(len, read(codec.compress(array)).segments)
    with torch.no_grad():
        rates = prior_rates(networks, networks.prior.latents(turned(image_of(array))[0])) * 64 * 72 / 8
    assert sizes[1:] == pytest.approx(rates[1:].tolist(), rel=0.15, abs=3)
    assert sizes[0] < rates[0] + 3  # under wild rows, an escape costs less than its share of the tail
    assert sum(grouped) <= sum(sizes) + 3


def test_the_residual_rate_is_that_of_a_file(tiny: Codec, networks: CodecNetworks) -> None:
    array = synthetic(64, 72)
    segments = read(tiny.compress(array, tiny.lossless_steps)).segments[tiny.total_steps:]
    objective = Objective(networks)
    with torch.no_grad():
        objective("residual", image_of(array), 0.0)
    counted = float(objective.residuals.mean) / np.log(2) / 8 * 32 * 36
    assert sum(map(len, segments)) == pytest.approx(counted, rel=0.1)  # what escapes costs more than its share


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_what_is_shown_is_what_a_decoder_shows(tiny: Codec, networks: CodecNetworks, steps: int) -> None:
    array = synthetic(64, 72)
    planes, back, means = turned(image_of(array))
    with torch.no_grad():
        shown = Objective(networks).shown(networks.prior.latents(planes), back, means, steps)[0].permute(1, 2, 0)
    assert psnr(shown, tiny.decompress(tiny.compress(array), steps)) > 55  # but for a few halves


@pytest.mark.parametrize("level", range(len(SIGN_ODDS)))
@pytest.mark.parametrize("family", [FIRST, ZERO, REFINE])
def test_bits_are_those_of_the_stored_table(family: int, level: int) -> None:
    """One symbol after the other, in every row."""
    table = frequency_table() / 2**24
    for number in range(0, ROWS, 9):
        row = family + number + (0 if family == REFINE else ROWS * level)
        for symbol in np.flatnonzero(table[row, :31] > 1e-6) - 15:
            rows = torch.full((1, 1 if family == FIRST else 2, 1, 1), float(number))
            before = torch.full((1, 1, 1, 1), int(family == REFINE), dtype=torch.int16)
            after = torch.full((1, 1, 1, 1), abs(int(symbol)) + 2 * int(family == REFINE), dtype=torch.int16)
            odds = torch.full((1, 1, 1, 1), float(np.sign(symbol)) * SIGN_ODDS[level])
            bits = symbol_bits(Prediction(rows, before, after, odds), torch.tensor([family == FIRST]))
            assert float(bits) == pytest.approx(-np.log2(table[row, symbol + 15]), rel=1e-2, abs=1e-4)


def test_statistics_are_a_good_start() -> None:
    torch.manual_seed(0)
    untrained, image = CodecNetworks(CONFIG), batch()
    latents = untrained.prior.latents(turned(image)[0])
    with torch.no_grad():
        before = prior_rates(untrained, latents).sum()
        begin_with_statistics(untrained.prior, latents)
        assert prior_rates(untrained, latents).sum() < 0.7 * before


@pytest.mark.parametrize("t", [3, 5])
def test_a_part_of_a_step_is_what_is_worth_most(t: int) -> None:
    """Of its own symbols, and, at the end of a pass, of those that its other steps have left."""
    networks, of_pass = tiny_networks(2), CONFIG.pass_of(t)
    latents = networks.prior.latents(turned((batch() + 40 * torch.randn(4, 3, 16, 16)).clamp(0, 255))[0])
    with torch.no_grad():
        predictions = list(networks.prior(latents, networks.forecast))
        part = middles_at(networks, latents, t, 0.5)
        before, after = (middles_at(networks, latents, s, 1) for s in (of_pass.start - 1, of_pass.stop - 1))
    missing, taken = list[torch.Tensor](), list[torch.Tensor]()  # what they are worth
    for s in range(of_pass.start, t + 1):
        step, found = CONFIG.steps[s], predictions[s]
        old, new, now = (each[step.layer][:, step.first:step.last] for each in (before, after, part))
        late = torch.zeros_like(old, dtype=torch.bool) if found.late is None else found.late
        assert ((now == old) | (now == new)).all()
        assert torch.equal(now[~late], new[~late]) or s == t
        slope = networks.prior.slopes[rows_of(found, CONFIG.seen_first(s))]
        of_segment = (late if s < t else ~late) & (old != new)
        if s == t or t + 1 == of_pass.stop:
            missing.append(slope[of_segment & (now == old)])
            taken.append(slope[of_segment & (now == new)])
    counts = [len(torch.cat(slopes)) for slopes in (missing, taken)]
    assert min(counts) > 0.1 * max(counts)
    assert torch.cat(taken).min() >= torch.cat(missing).max()


@pytest.mark.parametrize("kind", ["forecast", "prior", "estimator", "residual"])
def test_a_few_updates_lower_every_objective(kind: Any) -> None:
    networks, image = tiny_networks(1), (batch() + 40 * torch.randn(4, 3, 16, 16)).clamp(0, 255)  # no layer is still
    objective = Objective(networks)
    optimiser = torch.optim.Adam(networks.parameters(), 3e-3)
    losses = []
    for _ in range(25):
        for mean in (objective.rates, objective.residuals):
            mean.mean.fill_(1.0)  # in place of those that follow
        loss = objective(kind, image, 5.0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.97 * losses[0]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for name, p in networks.named_parameters()
               if name.startswith(kind) and not name.endswith(".signs"))  # some do not occur in so few crops
    assert all(p.grad is None for name, p in networks.named_parameters() if not name.startswith(kind))
