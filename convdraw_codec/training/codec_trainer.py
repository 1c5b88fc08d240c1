"""Training the codec on photographs: its losses, its cuts, its validation."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..network.conv_draw import ConvDRAW
from ..network.untrained import untrained
from ..network.weights import save_model, thaw
from . import distributed
from .objective import Objective, residual_loss, retouch_loss, rollout
from .photographs import centre_crops, find_photographs, load, random_crops
from .recipe import CodecRecipe
from .trainer import Batches, Trainer

CUTS, INSIDE = 8, 0.25  # cuts of a picture to retouch; share of them inside a step


class Losses(nn.Module):
    """The loss of each kind of stage."""

    def __init__(self, objective: Objective):
        super().__init__()
        self.objective = objective

    def forward(self, kind: str, *arguments: Any) -> Tensor:
        """The loss of a stage of that kind."""
        if kind == "retouch":
            return retouch_loss(self.objective.model, *arguments)
        if kind == "residual":
            return residual_loss(self.objective.model, *arguments)
        return self.objective(*arguments)


class CodecTrainer(Trainer):
    """Trains a ``ConvDRAW``: the codec with "noisy" or "rounded" latents (see ``objective.take_steps``), the "retouch"
    of its pictures, or the "residual" steps that make them exact. validation: crops (B, 3, H, W).
    """

    slow = "analysis", "synthesis", "posterior"
    recipe: CodecRecipe
    model: ConvDRAW
    average: ConvDRAW

    def new_model(self) -> ConvDRAW:
        return untrained(self.recipe.model)

    def new_losses(self) -> Losses:
        self.objective = Objective(self.model, self.recipe.strength).to(self.device)
        return Losses(self.objective)

    def extra(self) -> dict[str, Tensor]:
        return {"running": self.objective.running}

    def write(self, path: Path) -> None:
        save_model(self.average, path)

    def read(self, path: Path) -> None:
        thaw(path, self.model)

    def loss(self, batch: Tensor) -> Tensor:
        kind, config, steps = self.recipe.stages[self.stage].kind, self.recipe, len(self.model.steps)
        if kind == "retouch":
            return self.losses(kind, batch, self._cuts())
        if kind == "residual":
            return self.losses(kind, batch)
        places = distributed.share(len(batch) * distributed.count())
        draws = [np.random.default_rng((config.seed, self.iteration, place, 1)) for place in places]
        complete = round(config.batch * config.complete)  # any number of steps is stored of the places behind them
        stored = torch.tensor([steps if place < complete else int(rng.integers(1, steps + 1))
                               for rng, place in zip(draws, places, strict=True)], device=self.device)
        noise = [torch.Generator(self.device).manual_seed(int(rng.integers(2**63))) for rng in draws]
        return self.losses(kind, batch, stored, noise if kind == "noisy" else None)

    def _cuts(self) -> list[float]:
        """Where pictures are cut to be retouched: after some steps, and now and then inside one; and after all, since
        between the last two the retouch moves from one to the other."""
        rng, steps = np.random.default_rng((self.recipe.seed, self.iteration, 0, 2)), len(self.recipe.model.steps)
        after = rng.choice(steps, min(CUTS, steps) - 1, replace=False) + 1
        inside = rng.random(len(after)) < INSIDE
        return [*(after - inside * rng.uniform(0.01, 0.99, len(after))).tolist(), steps]

    def validate(self) -> tuple[dict[str, Any], str]:
        """Rounded latents: mean bpp and PSNR at each prefix, mean log cost."""
        model, rates, qualities, costs = self.average, [], [], []
        with torch.no_grad(), self.autocast():
            for crop in self.validation:
                image = crop.to(self.device)
                stored = torch.full((len(image),), len(model.steps), device=self.device)
                result = rollout(model, image, stored)
                rates.append(result.rate.cumsum(0).mean(1))
                qualities.append((10 * torch.log10(255**2 / result.distortion.clamp_min(1e-9))).mean(1))
                costs.append(self.objective.costs(result).mean(1))
        cost = torch.stack(costs).mean(0).log2().mean()
        rate, quality = torch.stack(rates).mean(0).tolist(), torch.stack(qualities).mean(0).tolist()
        points = "  ".join(f"{q:.2f} dB @ {r:.3f}" for r, q in zip(rate, quality, strict=True))
        record = {"cost": float(cost), "bpp": [round(r, 5) for r in rate], "psnr": [round(q, 3) for q in quality]}
        return record, f"cost {cost:.4f}  {points}"


def prepare(recipe: CodecRecipe, folders: list[Path], report: Callable[[str], None]) -> tuple[Trainer, Batches]:
    """A trainer, and the photographs below ``folders`` for it. Raises ConfigError where there are none."""
    if strange := [folder for folder in folders if not folder.is_dir()]:
        raise ConfigError(f"{strange[0]} is no folder of photographs")
    training_files, held_out_files = find_photographs(folders)
    report(f"Reading {len(training_files) + len(held_out_files)} photographs")
    with ThreadPoolExecutor() as pool, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        photographs, held_out = (list(pool.map(load, files)) for files in (training_files, held_out_files))
    for lost in sorted({str(warning.message) for warning in caught}):
        report(f"Of some photographs, {lost}")
    trainer = CodecTrainer(recipe, distributed.device(), centre_crops(held_out, 2 * recipe.crop))
    report(f"{len(photographs)} photographs to train on, {len(trainer.validation)} to validate, on {trainer.device}")
    places = distributed.share(recipe.batch)
    return trainer, lambda start: random_crops(photographs, recipe.crop, places, recipe.seed, start)
