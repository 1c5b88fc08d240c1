"""What is trained, and one update of it: the model, its averaged weights, its optimiser, its place in the schedule.

The same code runs on CPU and CUDA, with bfloat16 convolutions where the machine has them.
"""

from __future__ import annotations

import contextlib
import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ..errors import ConfigError
from . import distributed
from .recipe import Recipe

Batches: TypeAlias = Callable[[int], Iterator[Tensor]]  # from an iteration on


@contextlib.contextmanager
def torch_defaults() -> Iterator[None]:
    """Training as if the caller had set nothing in torch: default type and device, gradients, autocast."""
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    torch.set_default_dtype(torch.float32)
    cpu = torch.device("cpu") if device.type != "cpu" else contextlib.nullcontext()  # as a context, it takes time
    autocast = torch.autocast(distributed.device().type, enabled=False)
    try:
        with cpu, autocast, torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        torch.set_default_dtype(dtype)


class Trainer(ABC):
    """Trains ``model`` by the stages of a recipe. ``average``: the model with averaged weights, which is what is saved.

    betas: of Adam. jump: a loss that is so many times its running mean changes nothing (the paper's section 4).
    validation: pictures that it does not see. A subclass says what the model and its losses are.
    Raises ConfigError for a batch that processes cannot share.
    """

    betas = 0.9, 0.99
    jump = 5.0

    def __init__(self, recipe: Recipe, device: torch.device, validation: Sequence[Tensor] | Tensor = ()):
        if recipe.batch % distributed.count():
            raise ConfigError(f"a batch of {recipe.batch} cannot be shared among {distributed.count()} processes")
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.validation = recipe, device, validation
        self.model = self.new_model().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.losses = self.new_losses()
        if distributed.count() > 1:  # no loss has a gradient for all parameters
            self.losses = DistributedDataParallel(self.losses, broadcast_buffers=False, find_unused_parameters=True)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimisers = self.new_optimisers()
        self.stage, self.stage_megapixels, self.iteration, self.megapixels = 0, 0.0, 0, 0.0
        self.running_loss = math.nan

    @abstractmethod
    def new_model(self) -> nn.Module:
        """The model as it starts."""

    @abstractmethod
    def new_losses(self) -> nn.Module:
        """All losses of ``model`` as one module, since DistributedDataParallel wants each parameter in one place."""

    def new_optimisers(self) -> list[torch.optim.Optimizer]:
        """What updates the parameters; each group's "factor", 1 by default, multiplies the learning rate."""
        return [torch.optim.Adam(self.model.parameters(), lr=1e-3, betas=self.betas, fused=True)]

    @abstractmethod
    def loss(self, batch: Tensor) -> Tensor:
        """The loss of this stage, by way of ``losses``; random by seed, iteration, and place in the batch or rank."""

    @abstractmethod
    def validate(self) -> tuple[dict[str, Any], str]:
        """What the averaged weights are worth, as a record and in words."""

    @abstractmethod
    def write(self, path: Path) -> None:
        """Write the model with the averaged weights."""

    @abstractmethod
    def read(self, path: Path) -> None:
        """Take the weights of a model file. Raises ModelError if they are those of another configuration."""

    def start_from(self, path: Path) -> None:
        """Begin with the weights of a model file; the rest as ``read``."""
        with torch.no_grad():
            self.read(path)
            self.average.load_state_dict(self.model.state_dict())

    def extra(self) -> dict[str, Tensor]:
        """What else a checkpoint holds, by name; going back to one copies into it."""
        return {}

    def autocast(self) -> torch.autocast:
        """Convolutions in bfloat16 where the machine computes them in hardware."""
        if self.device.type == "cuda":
            able = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            able = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        return torch.autocast(self.device.type, torch.bfloat16, enabled=able)

    def step(self, batch: Tensor) -> float | None:
        """One update on this process's share of a batch. None where the loss jumped: nothing is changed then."""
        batch, rate = batch.to(self.device), self.recipe.stages[self.stage].rate_at(self.stage_megapixels)
        for group in (group for optimiser in self.optimisers for group in optimiser.param_groups):
            group["lr"] = group.get("factor", 1.0) * rate
        torch.clear_autocast_cache()  # inside another autocast, it would keep old weights
        with self.autocast():
            loss = self.loss(batch)
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.gradient_limit)
        value = distributed.total(loss.detach()).item() / distributed.count()
        seen = batch.numel() / batch.shape[1] * distributed.count() / 1e6
        self.iteration += 1
        self.megapixels += seen
        self.stage_megapixels += seen
        if not math.isfinite(value + norm.item()) or value > self.jump * self.running_loss:
            return None
        for optimiser in self.optimisers:
            optimiser.step()
        self.running_loss = value if math.isnan(self.running_loss) else 0.99 * self.running_loss + 0.01 * value
        decay = min(self.recipe.average, (1 + self.iteration) / (10 + self.iteration))
        get_ema_multi_avg_fn(decay)(list(self.average.parameters()), list(self.model.parameters()), self.iteration)
        return value

    def advance(self) -> None:
        """To the next stage, with the averaged weights: what is saved is what the next stage learns on."""
        self.stage, self.stage_megapixels, self.running_loss = self.stage + 1, 0.0, math.nan
        self.model.load_state_dict(self.average.state_dict())
