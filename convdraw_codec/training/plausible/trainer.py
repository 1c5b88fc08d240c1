"""Training a texture network: distance of deep features, squared error, and a critic."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...coding.sessions import Network
from ...errors import ConfigError
from ...network.convolution import ZERO_POINT
from ...network.lapped_pyramid import UNIT
from ...plausible.texture import NOISE
from .. import distributed
from ..networks.optimisers import optimisers_of
from ..networks.texture import TextureNetwork
from ..photographs import centre_crops, find_photographs, load, random_crops
from ..trainer import Batches, Trainer
from .backbone import Backbone
from .critic import Critic
from .distances import WINDOWS, distances, texture_distance
from .examples import Examples, examples_of
from .export import restore, save
from .recipe import TextureRecipe

LEAST_ERROR = UNIT**2  # of the faithful picture, to which squared error is relative: of one level
STAGE_WEIGHTS = torch.tensor([0.5, 1.0, 1.0, 1.0])  # of the distances of features
SHOWN = 4  # cuts that are validated
CRITIC_BETAS = 0.5, 0.99


class TextureTrainer(Trainer):
    """Trains the texture of a model, ``network``, on crops (B, 3, H, W) in 0..255."""

    betas = CRITIC_BETAS
    recipe: TextureRecipe
    model: TextureNetwork
    average: TextureNetwork

    def __init__(self, recipe: TextureRecipe, network: Network, validation: list[Tensor]):
        self.network, self.backbone = network, Backbone()
        super().__init__(recipe, torch.device("cpu"), validation)
        with torch.no_grad():
            channels = [each.shape[1] for each in self.backbone(torch.zeros(1, 3, 64, 64))]
        self.critic = Critic(channels)
        self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), recipe.critic_rate, CRITIC_BETAS)
        self._last: tuple[list[Tensor], list[Tensor]] = [], []  # features of pictures, and of ours

    def new_model(self) -> TextureNetwork:
        return TextureNetwork(self.network.model.config, self.recipe.model)

    def new_losses(self) -> nn.Module:
        return self.model

    def new_optimisers(self) -> list[torch.optim.Optimizer]:
        return optimisers_of(self.model, self.betas)

    def extra(self) -> dict[str, Tensor]:
        return {f"critic.{name}": tensor for name, tensor in self.critic.state_dict().items()}

    def write(self, path: Path) -> None:
        first, last = self.recipe.first - 1, self.recipe.last - 1
        for biases in (self.average.biases.data, self.average.mix_biases.data):
            biases[:first], biases[last:] = biases[first], biases[last].clone()  # of steps that it never sees
        save(self.average, self.network.model, path)

    def read(self, path: Path) -> None:
        restore(path, self.network.model, self.model)

    @property
    def kind(self) -> str:
        """Of this stage."""
        return self.recipe.stages[self.stage].kind

    def loss(self, batch: Tensor) -> Tensor:
        rng = np.random.default_rng((self.recipe.seed, self.iteration, 3))
        cuts = rng.uniform(self.recipe.first, self.recipe.last + 1, (2, len(batch))).mean(0).astype(int)
        examples = examples_of(self.network, batch, cuts.tolist())
        made = self.filled(self.model, examples, rng)
        with torch.no_grad():
            true = self.backbone(examples.in_colours(examples.true))
            self.critic.scaled(true)  # whose first ones set the scale
        found = self.backbone(examples.in_colours(made))
        error, before = ((planes - examples.true).square().mean((1, 2, 3)) for planes in (made, examples.faithful))
        apart = texture_distance(self.critic.scaled(found), self.critic.scaled(true), int(rng.integers(WINDOWS[-1])))
        loss = ((STAGE_WEIGHTS @ distances(found, true)).mean() + self.recipe.texture * apart
                + self.recipe.distortion * (error / (before + LEAST_ERROR)).mean())
        if self.kind == "critic":
            loss = loss - self.recipe.praise * self.critic.praise(found)
            self._last = true, [each.detach() for each in found]
        return loss

    def step(self, batch: Tensor) -> float | None:
        """As of ``Trainer``, and one of the critic."""
        value = super().step(batch)
        if self.kind == "critic":
            self.critic_optimiser.zero_grad()
            self.critic.loss(*self._last).backward()
            self.critic_optimiser.step()
        return value

    def filled(self, network: TextureNetwork, examples: Examples, rng: np.random.Generator) -> Tensor:
        """Planes with texture. That a decoder keeps them inside cells hardly matters, as these are wide."""
        count, _, height, width = examples.faithful.shape
        side = network.stride
        noise = rng.integers(1 - ZERO_POINT, ZERO_POINT, (count, NOISE, height // side, width // side))
        return examples.faithful + network(examples.faithful, examples.states, torch.from_numpy(noise).float(),
                                           examples.t)

    def validate(self) -> tuple[dict[str, Any], str]:
        """What texture changes after some cuts: PSNR, and the distance of features relative to the faithful one's."""
        cuts = np.linspace(self.recipe.first, self.recipe.last, SHOWN + 2).round().astype(int)[1:-1].tolist()
        changes = np.array([[self._change(crop, cut) for cut in cuts] for crop in self.validation]).mean(0)
        record = {"steps": cuts, "psnr": changes[:, 0].round(3).tolist(), "distance": changes[:, 1].round(4).tolist()}
        words = [f"{cut} steps: {change[0]:+.2f} dB, {100 * change[1]:+.1f} %"
                 for cut, change in zip(cuts, changes, strict=True)]
        return record, "  ".join(words)

    @torch.no_grad()
    def _change(self, crop: Tensor, cut: int) -> tuple[float, float]:
        examples = examples_of(self.network, crop, [cut])
        planes = examples.true, examples.faithful, self.filled(self.average, examples, np.random.default_rng(cut))
        true, faithful, made = (examples.in_colours(each).round() for each in planes)
        errors = [(each - true).square().mean().clamp_min(1e-3) for each in (faithful, made)]
        features = [self.backbone(each) for each in (true, faithful, made)]
        before, after = (distances(each, features[0]).mean() for each in features[1:])
        return float(10 * torch.log10(errors[0] / errors[1])), float(after / before - 1)


def prepare(recipe: TextureRecipe, network: Network, folders: list[Path], report: Callable[[str], None]
            ) -> tuple[Trainer, Batches]:
    """A trainer, and the photographs below ``folders`` for it. Raises ConfigError where there are none."""
    if distributed.count() > 1:
        raise ConfigError("a texture is trained by one process")
    if recipe.last > network.steps or recipe.crop % network.model.padding or recipe.crop % 32:
        raise ConfigError(f"a crop is a multiple of 32 and {network.model.padding}, and last at most {network.steps}")
    training_files, held_out_files = find_photographs(folders)
    report(f"Reading {len(training_files) + len(held_out_files)} photographs")
    with ThreadPoolExecutor() as pool:
        photographs, held_out = (list(pool.map(load, files)) for files in (training_files, held_out_files))
    trainer = TextureTrainer(recipe, network, centre_crops(held_out, recipe.crop)[:24])
    places = range(recipe.batch)
    return trainer, lambda start: random_crops(photographs, recipe.crop, places, recipe.seed, start)
