"""What latents know of the class: ``python -m bench probe MODEL DATA LABELS --out DIR``.

A linear classifier reads the class of a picture from the means of a layer's posteriors, in all steps; another one from
the pixels. Writes DIR/MODEL-probe.json: how many of a hundred pictures of the test part they get right.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Normal

from convdraw_codec.generative.base import LatentModel
from convdraw_codec.generative.datasets import load_pictures, pixels, some_of

from ..shared.frame import OUT
from ..shared.results import keep_json
from .figures import DATA, MODEL, with_latents

PARTS = "train", "test"
BATCH = 500
UPDATES = 100  # of L-BFGS
DECAY = 1e-3  # of weights: what their squares cost, in nats


@torch.no_grad()
def means(model: LatentModel, x: Tensor) -> list[Tensor]:
    """Those of the posteriors of each layer in all steps, (N, numbers), each posterior given the means before it."""
    every: list[list[Tensor]] = [[] for _ in range(model.layers)]
    for batch in x.split(BATCH):
        found: list[Tensor] = []

        def choose(q: Normal, p: Normal, found: list[Tensor] = found) -> Tensor:
            found.append(q.mean.flatten(1))
            return q.mean

        model.explain(model.start_encoder(model.picture.middles(batch)), choose)
        for layer, of_layer in enumerate(every):
            of_layer.append(torch.cat(found[layer::model.layers], dim=1))
    return [torch.cat(of_layer) for of_layer in every]


def accuracy(seen: list[Tensor], labels: list[Tensor]) -> float:
    """The share of right classes in the second part, of a linear classifier that was trained on the first."""
    deviation, mean = torch.std_mean(seen[0], dim=0)
    (first, second), classes = ((each - mean) / (deviation + 1e-6) for each in seen), int(labels[0].max()) + 1
    weight, bias = torch.zeros(first.shape[1], classes, requires_grad=True), torch.zeros(classes, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=UPDATES, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(first @ weight + bias, labels[0]) + DECAY * weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    with torch.no_grad():
        return ((second @ weight + bias).argmax(1) == labels[1]).double().mean().item()


@click.command()
@MODEL
@DATA
@click.argument("labels", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--count", type=click.IntRange(1), default=10_000, show_default=True,
              help="Pictures of each part, spread over it.")
@OUT
def main(model: Path, data: tuple[Path, ...], labels: Path, count: int, out: Path) -> None:
    """Read the classes LABELS, an .npz file with the parts of DATA, from the latents of MODEL."""
    loaded, generator = with_latents(model), torch.Generator().manual_seed(0)
    x = [pixels(some_of(load_pictures(list(data), loaded.picture, part), count), loaded.picture, generator)
         for part in PARTS]
    with np.load(labels, allow_pickle=False) as file:
        if lacking := [part for part in PARTS if part not in file.files]:
            raise click.UsageError(f"{labels} lacks the part {lacking[0]}")
        classes = [some_of(torch.from_numpy(file[part].astype(np.int64)), count) for part in PARTS]
    read = {f"layer {loaded.layers - layer}": list(pair)  # the last one is that of the whole picture
            for layer, pair in enumerate(zip(*(means(loaded, part) for part in x), strict=True))}
    read["pixels"] = [part.flatten(1) for part in x]
    right = {name: round(100 * accuracy(seen, classes), 2) for name, seen in read.items()}
    keep_json(out / f"{model.stem}-probe.json", {"pictures": [len(part) for part in x], "right in a hundred": right})
    click.echo(f"Wrote {out / model.stem}-probe.json: {right}")
