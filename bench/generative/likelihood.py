"""What generative models make of a data set: ``python -m bench likelihood MODEL DATA... --out DIR``.

Writes DIR/MODEL.json: the bound in nats and in bits per dimension, and of it the divergence of each step and layer; and
as pictures, samples (of DRAW with attention, as they are drawn), and the divergence as in Figure 2 of Gregor et al.
(2016). ``--bits-back`` codes pictures in a chain, and reports what that cost (without latents, no bits come back);
``--refine`` measures posteriors that are refined for each picture, and writes DIR/MODEL-refined.json.
"""

from __future__ import annotations

import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.distributions import Normal

from convdraw_codec.generative.base import Generative, bound, sample
from convdraw_codec.generative.datasets import load_pictures, pixels, some_of
from convdraw_codec.generative.draw import DRAW
from convdraw_codec.generative.weights import load_generative

from ..shared.frame import OUT
from ..shared.results import COLOURS, keep_figure, keep_json
from . import bits_back
from .drawings import drawing, to_image
from .semi_amortized import refine

BATCH = 50
START_BITS = 12  # of the random words that a chain begins with, for each latent of a picture
ACROSS = 10  # samples in a row


def importance_weighted(model: Generative, x: Tensor, draws: int, generator: torch.Generator | None = None) -> Tensor:
    """A tighter bound of -log p(x), (B,), in nats, from the mean of ``draws`` weights (Burda et al., 2016)."""
    weights = [-(one.reconstruction + one.log_ratio) for one in (bound(model, x, generator) for _ in range(draws))]
    return math.log(draws) - torch.stack(weights).logsumexp(0)


def measure(model: Generative, x: Tensor, draws: int, jobs: int) -> tuple[dict[str, Any], np.ndarray]:
    """The bounds of pictures, and the mean divergence of each step and layer, in nats; the same for any ``jobs``."""
    def costs(batch: Tensor, seed: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():  # of this thread
            cost = bound(model, batch, generator)
            tighter = importance_weighted(model, batch, draws, generator) if draws > 1 else cost.nats
        return cost.nats.double(), cost.divergence.double(), tighter.double()

    with ThreadPoolExecutor(jobs) as pool:
        seeds = itertools.count(1)  # posteriors are refined with seed 0
        nats, divergence, tighter = zip(*pool.map(costs, x.split(BATCH), seeds), strict=True)
    mean, bits = torch.cat(nats).mean().item(), math.log(2) * model.picture.dimensions
    layers = torch.cat(divergence, dim=2).mean(2).numpy()
    report = {"pictures": len(x), "nats": round(mean, 3),
              "standard error": round(torch.cat(nats).std(correction=0).item() / math.sqrt(len(x)), 3),
              "bits per dimension": round(mean / bits, 4), "reconstruction": round(mean - layers.sum(), 3)}
    if draws > 1:
        weighted = torch.cat(tighter).mean().item()
        report["importance-weighted"] = {"draws": draws, "nats": round(weighted, 3),
                                         "bits per dimension": round(weighted / bits, 4)}
    return report, layers


def latents(model: Generative) -> int:
    """Numbers that all steps draw for a picture."""
    numbers = []

    def choose(p: Normal) -> Tensor:
        numbers.append(p.mean.numel())
        return p.mean

    with torch.no_grad():
        for _ in model.generate(1, choose):
            pass
    return sum(numbers)


def chained(model: Generative, x: Tensor, generator: torch.Generator) -> dict[str, Any]:
    """What bits-back coding of pictures costs, beside their bound; and whether all came back."""
    count = 1000 + START_BITS * latents(model) // bits_back.WORD
    words = np.random.default_rng(0).integers(2**32, size=count, dtype=np.uint64).astype(np.uint32)
    chain = bits_back.encode(model, x, words)
    decoded, left = bits_back.decode(model, chain.words, len(x))
    with torch.no_grad():
        nats = torch.cat([bound(model, batch, generator).nats for batch in x.split(BATCH)]).mean().item()
    dimensions = model.picture.dimensions
    rate, expected = chain.bits / len(x) / dimensions, nats / math.log(2) / dimensions
    return {"pictures": len(x), "bits per dimension": round(rate, 5), "bound": round(expected, 5),
            "above the bound": round(rate / expected - 1, 5), "bits to start": round(chain.start),
            "exact": bool(torch.equal(decoded, x.to(torch.uint8)) and np.array_equal(left, words))}


def plot(divergence: np.ndarray, out: Path, name: str, dimensions: int) -> None:
    """Bits per step and layer, as in Figure 2 (right)."""
    figure = Figure(figsize=(5, 3.2))
    axis = figure.subplots()
    for layer, (nats, colour) in enumerate(zip(divergence.T, COLOURS, strict=False)):
        axis.plot(np.arange(1, len(nats) + 1), nats / math.log(2), color=colour, marker="o", markersize=3,
                  label=f"layer {len(divergence.T) - layer}")
    axis.set(xlabel="step", ylabel="bits a picture")
    axis.legend(frameon=False)
    bits = (divergence / math.log(2)).round(4).tolist()
    numbers = {"dimensions": dimensions, "bits by step and layer, from the top": bits}
    keep_figure(out, name, figure, numbers)


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--part", default="test", show_default=True, help="Of files that have several.")
@click.option("--count", type=click.IntRange(1), help="Pictures to measure, spread over all; default: all.")
@click.option("--draws", type=click.IntRange(1), default=1, show_default=True, help="Of the importance-weighted bound.")
@click.option("--refine", "updates", type=click.IntRange(0), default=0, show_default=True,
              help="Updates of the posteriors for each picture.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Batches measured at once.")
@click.option("--bits-back", "coded", type=click.IntRange(0), default=0, show_default=True, help="Pictures to code.")
@OUT
def main(model: Path, data: tuple[Path, ...], part: str, count: int | None, draws: int, updates: int, jobs: int,
         coded: int, out: Path) -> None:
    """Measure MODEL on DATA."""
    loaded, generator = load_generative(model), torch.Generator().manual_seed(0)
    x = pixels(load_pictures(list(data), loaded.picture, part), loaded.picture, generator)
    name, measured = (f"{model.stem}-refined", refine(loaded, updates)) if updates else (model.stem, loaded)
    report, divergence = measure(measured, some_of(x, count), draws, jobs)
    report = {"model": model.stem, "parameters": sum(p.numel() for p in loaded.parameters()),
              "steps": loaded.steps, "updates of posteriors": updates} | report
    if coded:
        report["bits-back"] = chained(measured, some_of(x, coded), generator)
    keep_json(out / f"{name}.json", report)
    if loaded.layers:
        plot(divergence, out, f"{name}-steps", loaded.picture.dimensions)
    with torch.no_grad():
        last = sample(loaded, ACROSS**2, generator)[-1]
        to_image([list(row) for row in last.split(ACROSS)]).save(out / f"{name}-samples.png", optimize=True)
        if isinstance(loaded, DRAW):
            drawing(loaded, generator).quantize(64).save(out / f"{name}-drawing.png", optimize=True)
    click.echo(f"Wrote {out / name}.json: {report['nats']} nats")
