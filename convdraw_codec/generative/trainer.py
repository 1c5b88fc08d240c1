"""Training generative models on small pictures, by the bound of their likelihood."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ConfigError, ModelError
from ..training import distributed
from ..training.trainer import Batches, Trainer
from .base import Generative, bound
from .datasets import load_pictures, pixels
from .recipe import GenerativeRecipe
from .weights import load_generative, new_model, save_generative

VALIDATION_BATCH = 200


class BoundLoss(nn.Module):
    """Nats a dimension, with what the reconstruction counts, beta."""

    def __init__(self, model: Generative, beta: float):
        super().__init__()
        self.model, self.beta = model, beta

    def forward(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The mean over pictures (B, channels, H, W)."""
        cost = bound(self.model, x, generator)
        nats = self.beta * cost.reconstruction + cost.divergence.sum((0, 1))
        return nats.mean() / self.model.picture.dimensions


class GenerativeTrainer(Trainer):
    """Trains a ``Generative`` on levels (B, channels, H, W) uint8."""

    betas = 0.9, 0.999
    jump = 1.5  # one batch costs much what another does
    recipe: GenerativeRecipe
    validation: Tensor
    model: Generative
    average: Generative

    def new_model(self) -> Generative:
        return new_model(self.recipe.model)

    def new_losses(self) -> BoundLoss:
        return BoundLoss(self.model, self.recipe.beta)

    def begin_with(self, pictures: Tensor) -> None:
        """Let the first canvas show the mean of pictures (N, channels, H, W)."""
        model, levels = self.model, pictures.to(self.device).float().mean(0)
        with torch.no_grad():
            model.first_canvas.copy_(model.picture.canvas_of(levels))
            self.average.first_canvas.copy_(model.first_canvas)

    def loss(self, batch: Tensor) -> Tensor:
        sequence = np.random.SeedSequence((self.recipe.seed, self.iteration, distributed.rank()))
        generator = torch.Generator(self.device).manual_seed(int(sequence.generate_state(1, np.uint64)[0]))
        if self.recipe.mirror:
            turned = torch.rand(len(batch), 1, 1, 1, generator=generator, device=self.device) < 0.5
            batch = torch.where(turned, batch.flip(3), batch)
        return self.losses(pixels(batch, self.recipe.model.picture, generator), generator)

    def validate(self) -> tuple[dict[str, Any], str]:
        """The bound in nats a picture, and of it the divergence of each layer."""
        model, generator = self.average, torch.Generator(self.device).manual_seed(0)
        nats, divergence = [], []
        with torch.no_grad():
            for batch in self.validation.split(VALIDATION_BATCH):
                cost = bound(model, pixels(batch.to(self.device), model.picture, generator), generator)
                nats.append(cost.nats)
                divergence.append(cost.divergence.sum(0))
        mean, layers = torch.cat(nats).mean().item(), torch.cat(divergence, dim=1).mean(1).tolist()
        words = f"{mean:.3f} nats" + (", of which latents " if layers else "") + ", ".join(f"{x:.2f}" for x in layers)
        return {"nats": round(mean, 4), "divergence": [round(layer, 4) for layer in layers]}, words

    def write(self, path: Path) -> None:
        save_generative(self.average, self.recipe.model, path)

    def read(self, path: Path) -> None:
        """A causal output that the file lacks starts anew. The number of steps may differ: they share their weights."""
        known, new = load_generative(path).state_dict(), self.model.state_dict()
        known |= {name: tensor for name, tensor in new.items() if name not in known and name.startswith("causal.")}
        try:
            self.model.load_state_dict(known)
        except RuntimeError as error:  # of several lines, from torch
            raise ModelError(f"{path} is a model of another configuration") from error


def batches(pictures: Tensor, batch: int, places: range, seed: int, iteration: int) -> Iterator[Tensor]:
    """Endless batches in the order of a new shuffle every time round, from ``iteration`` on; ``places`` of each."""
    each = len(pictures) // batch
    while True:
        order = np.random.default_rng((seed, iteration // each)).permutation(len(pictures))
        first = iteration % each * batch
        yield pictures[order[first + places.start:first + places.stop]]
        iteration += 1


def prepare(recipe: GenerativeRecipe, files: list[Path], report: Callable[[str], None]) -> tuple[Trainer, Batches]:
    """A trainer, and the pictures of ``files`` for it. Raises ConfigError where there are too few."""
    pictures = load_pictures(files, recipe.model.picture, "train", "valid")
    seen = len(pictures) - recipe.held_out
    if seen < recipe.batch:
        raise ConfigError(f"{len(pictures)} pictures are too few, with {recipe.held_out} held out")
    trainer = GenerativeTrainer(recipe, distributed.device(), pictures[seen:])
    trainer.begin_with(pictures[:seen])
    report(f"{seen} pictures to train on, {recipe.held_out} to validate, on {trainer.device}")
    places = distributed.share(recipe.batch)
    return trainer, lambda start: batches(pictures[:seen], recipe.batch, places, recipe.seed, start)
