"""Training the codec on photographs: its losses, its cuts, its validation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError
from . import distributed
from .counting import counted_tables
from .export import restore, save
from .networks.optimisers import optimisers_of
from .objectives import CodecNetworks, Objective, prior_rates, turned
from .photographs import centre_crops, find_photographs, load, random_crops
from .rates import begin_with_statistics
from .recipe import CodecRecipe
from .trainer import Batches, Trainer

WHOLE = 0.15  # share of the estimator's cuts after which all is known
INSIDE = 0.3  # share of the others that lie inside a step
STATISTICS = 16  # crops from which the prior's first biases come
SHOWN = 7  # cuts that are validated


class CodecTrainer(Trainer):
    """Trains ``CodecNetworks``: the "forecast" that the prior is told of, the "prior" of symbols, the "estimator" of
    what is shown, and the "residual" steps that make pictures exact. validation: crops (B, 3, H, W). photographs: whole
    ones, (H, W, 3) uint8, in which symbols are counted as soon as the prior is trained."""

    recipe: CodecRecipe
    model: CodecNetworks
    average: CodecNetworks
    untrained = True
    photographs: Sequence[np.ndarray] = ()

    def new_model(self) -> CodecNetworks:
        return CodecNetworks(self.recipe.model)

    def new_losses(self) -> Objective:
        self.objective = Objective(self.model).to(self.device)
        return self.objective

    def new_optimisers(self) -> list[torch.optim.Optimizer]:
        return optimisers_of(self.model, self.betas)

    def extra(self) -> dict[str, Tensor]:
        return {"frequencies": self.average.prior.frequencies} | dict(
            self.objective.named_buffers(prefix="objective", remove_duplicate=False))

    def advance(self) -> None:
        if self.recipe.stages[self.stage].kind == "prior":
            self.average.prior.frequencies.copy_(counted_tables(self.average, self.photographs))
        super().advance()

    def write(self, path: Path) -> None:
        save(self.average, path)

    def read(self, path: Path) -> None:
        restore(path, self.model)
        self.untrained = False

    def loss(self, batch: Tensor) -> Tensor:
        kind = self.recipe.stages[self.stage].kind
        earlier = [stage.kind for stage in self.recipe.stages[:self.stage]]
        if kind == "prior" and self.stage_megapixels == 0 and self.untrained and kind not in earlier:
            planes, _, _ = turned(batch)
            begin_with_statistics(self.model.prior, self.model.prior.latents(planes))
            self.average.prior.load_state_dict(self.model.prior.state_dict())
        low = torch.is_autocast_enabled(self.device.type)
        for conv in self.model.convolutions():
            conv.hold(torch.bfloat16 if low else torch.float32)
        try:
            return self.losses(kind, batch, self.cut(kind))
        finally:
            for conv in self.model.convolutions():
                conv.release()

    def cut(self, kind: str) -> float:
        """After how many steps forecast or estimator is asked in this iteration."""
        steps, rng = self.recipe.model.steps, np.random.default_rng((self.recipe.seed, self.iteration, 2))
        if kind == "forecast":
            return int(rng.choice([t for t, step in enumerate(steps) if step.forecast]))
        if rng.random() < WHOLE:
            return len(steps)
        return int(rng.integers(1, len(steps) + 1)) - (rng.random() < INSIDE) * rng.uniform(0.02, 0.98)

    def validate(self) -> tuple[dict[str, Any], str]:
        """Mean bits per pixel after each step, and mean PSNR after some of them."""
        rates, qualities, objective = [], [], Objective(self.average).to(self.device)
        shown = np.unique(np.linspace(1, len(self.recipe.model.steps), SHOWN).round()).astype(int)
        with torch.no_grad(), self.autocast():
            for crop in self.validation:
                image = crop.to(self.device)
                planes, back, means = turned(image)
                latents = self.average.prior.latents(planes)
                rates.append(prior_rates(self.average, latents).cumsum(0))
                errors = torch.stack([(image - objective.shown(latents, back, means, count)).square().mean()
                                      for count in shown.tolist()])
                qualities.append(10 * torch.log10(255**2 / errors.clamp_min(1e-9)))
        rate, quality = torch.stack(rates).mean(0).tolist(), torch.stack(qualities).mean(0).tolist()
        points = [f"{q:.2f} dB @ {rate[count - 1]:.4f}" for q, count in zip(quality, shown.tolist(), strict=True)]
        record = {"bpp": [round(r, 5) for r in rate], "shown": shown.tolist(), "psnr": [round(q, 3) for q in quality]}
        return record, "  ".join(points)


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
    trainer.photographs = photographs
    report(f"{len(photographs)} photographs to train on, {len(trainer.validation)} to validate, on {trainer.device}")
    places = distributed.share(recipe.batch)
    return trainer, lambda start: random_crops(photographs, recipe.crop, places, recipe.seed, start)
