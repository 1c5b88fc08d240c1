"""The training loop: stages, checkpoints, averaged weights, validation, recovery from jumps.

The same code runs on CPU and CUDA, with bfloat16 convolutions where the machine has them. What is trained is a
``Trainer``'s matter.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..atomic_write import write_output
from ..errors import ConfigError
from ..network.weights import read_tensors
from . import distributed
from .recipe import Recipe

SLOW_FACTOR = 0.1  # of the learning rate, for parts that start near their optimum
LOG_EVERY = 100  # iterations
GOOD_EVERY = 250  # iterations between copies to return to after a jump


class Trainer(ABC):
    """Model, averaged weights, optimiser and position in the schedule; saved and restored as one file.

    slow: parts of names of the parameters that learn at ``SLOW_FACTOR`` times the rate. betas: of Adam. jump: a loss
    this many times its running mean is one (the paper's section 4).
    """

    slow: tuple[str, ...] = ()
    betas = 0.9, 0.99
    jump = 5.0

    def __init__(self, recipe: Recipe, device: torch.device):
        if recipe.batch % distributed.count():
            raise ConfigError(f"a batch of {recipe.batch} cannot be shared among {distributed.count()} processes")
        torch.manual_seed(recipe.seed)
        self.recipe, self.device = recipe, device
        self.model = self.new_model()
        self.losses = self.new_losses()
        if distributed.count() > 1:  # no loss has a gradient for all parameters
            self.losses = DistributedDataParallel(self.losses, broadcast_buffers=False, find_unused_parameters=True)
        self.average = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        slow = [p for n, p in self.model.named_parameters() if any(part in n for part in self.slow)]
        fast = [p for n, p in self.model.named_parameters() if not any(part in n for part in self.slow)]
        groups = [{"params": fast, "factor": 1.0}, {"params": slow, "factor": SLOW_FACTOR}]
        self.optimiser = torch.optim.Adam([group for group in groups if group["params"]], lr=1e-3, betas=self.betas,
                                          fused=True)
        self.stage, self.stage_megapixels, self.iteration, self.megapixels = 0, 0.0, 0, 0.0
        self.running_loss = math.nan

    @abstractmethod
    def new_model(self) -> nn.Module:
        """The model as it starts, on the device."""

    @abstractmethod
    def new_losses(self) -> nn.Module:
        """All losses of ``model`` as one module, since DistributedDataParallel wants each parameter in one place."""

    @abstractmethod
    def loss(self, batch: Tensor) -> Tensor:
        """The loss of this stage, by way of ``losses``. What is drawn depends on the seed, the iteration and the place
        in the whole batch alone, or on the process."""

    @abstractmethod
    def validate(self) -> tuple[dict[str, Any], str]:
        """What the averaged weights are worth, as a record and in words; an empty record if there is no way to tell."""

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
            for name, parameter in self.model.named_parameters():
                self.average[name].copy_(parameter)

    def extra(self) -> dict[str, Tensor]:
        """What else a checkpoint holds, by name; ``restore`` copies into it."""
        return {}

    def autocast(self) -> torch.autocast:
        """Convolutions in bfloat16 where the machine computes them in hardware."""
        if self.device.type == "cuda":
            able = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            able = torch.ops.mkldnn._is_mkldnn_bf16_supported()
        return torch.autocast(self.device.type, torch.bfloat16, enabled=able)

    def step(self, batch: Tensor) -> float | None:
        """One update on this process's share of a batch. None where the loss jumped: nothing is changed then."""
        batch, rate = batch.to(self.device), self.recipe.stages[self.stage].rate_at(self.stage_megapixels)
        for group in self.optimiser.param_groups:
            group["lr"] = group["factor"] * rate
        with self.autocast():
            loss = self.loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.gradient_limit)
        value = distributed.total(loss.detach()).item() / distributed.count()
        seen = batch.numel() / batch.shape[1] * distributed.count() / 1e6
        self.iteration += 1
        self.megapixels += seen
        self.stage_megapixels += seen
        if not math.isfinite(value + norm.item()) or value > self.jump * self.running_loss:
            return None
        self.optimiser.step()
        self.running_loss = value if math.isnan(self.running_loss) else 0.99 * self.running_loss + 0.01 * value
        with torch.no_grad():
            decay = min(self.recipe.average, (1 + self.iteration) / (10 + self.iteration))
            parameters = dict(self.model.named_parameters())
            torch._foreach_lerp_([self.average[n] for n in parameters], list(parameters.values()), 1 - decay)
        return value

    def advance(self) -> None:
        """To the next stage, with the averaged weights: what is saved is what the next stage learns on."""
        self.stage, self.stage_megapixels, self.running_loss = self.stage + 1, 0.0, math.nan
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(self.average[name])

    def averaged_model(self) -> nn.Module:
        """A copy of the model with the averaged weights."""
        model = self.new_model()
        model.load_state_dict(self.average)
        return model

    def save(self, path: Path) -> None:
        """Write everything needed to go on, as safetensors; a file is whole or not there."""
        tensors = {f"model.{n}": p.detach().contiguous() for n, p in self.model.named_parameters()}
        tensors |= {f"average.{n}": p.contiguous() for n, p in self.average.items()}
        for name, parameter in self.model.named_parameters():
            state = self.optimiser.state.get(parameter, {})
            tensors |= {f"{key}.{name}": value.contiguous() for key, value in state.items()}
        tensors |= self.extra()
        position = {"stage": self.stage, "stage_megapixels": self.stage_megapixels, "iteration": self.iteration,
                    "megapixels": self.megapixels, "running_loss": self.running_loss}
        write_output(str(path), save({k: v.cpu() for k, v in tensors.items()}, {"position": json.dumps(position)}))

    def restore(self, path: Path) -> None:
        """Go on from ``save``. A file without optimiser state restarts the optimiser."""
        metadata, tensors = read_tensors(path)
        position = json.loads(metadata["position"])
        vars(self).update(position)
        with torch.no_grad():
            for name, tensor in self.extra().items():
                tensor.copy_(tensors[name])
            for name, parameter in self.model.named_parameters():
                parameter.copy_(tensors[f"model.{name}"])
                self.average[name].copy_(tensors[f"average.{name}"])
                state = {key: tensors[f"{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq")
                         if f"{key}.{name}" in tensors}
                if state:
                    self.optimiser.state[parameter] = {
                        key: value if key == "step" and self.device.type == "cpu" else
                        value.to(self.device).to(memory_format=torch.channels_last) if value.dim() == 4 else
                        value.to(self.device) for key, value in state.items()}
                else:
                    self.optimiser.state.pop(parameter, None)


def keep_memory() -> None:
    """Ask glibc to keep freed memory: returning every large tensor to the system costs a third of the time."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(-3, 2**31 - 1)  # M_MMAP_THRESHOLD
            libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def run(trainer: Trainer, batches: Callable[[int], Iterator[Tensor]], output: Path, report: Callable[[str], None], *,
        checkpoint_minutes: float = 5.0) -> None:
    """Train on ``batches``, from an iteration on, until all stages are done, and write the model to ``output``.

    Goes on from the checkpoint ``output`` + ".ckpt" if there is one. Progress goes to ``report``, a line at a
    time, and validations to ``output`` + ".jsonl". Under ``torchrun``, every process trains on its share of each
    batch, and the first one does the rest. Raises ConfigError for a checkpoint that does not fit.
    """
    keep_memory()
    checkpoint, good, log = (output.with_name(output.name + suffix) for suffix in (".ckpt", ".ckpt.good", ".jsonl"))
    first, stages = distributed.rank() == 0, trainer.recipe.stages
    if not first:
        report = lambda line: None  # noqa: E731
    if checkpoint.exists():
        try:
            trainer.restore(checkpoint)
        except (SafetensorError, KeyError, TypeError, RuntimeError) as error:
            raise ConfigError(f"{checkpoint} is damaged or of another configuration; move it to start anew") from error
        report(f"going on at {trainer.megapixels:.1f} Mpx, stage {trainer.stage + 1}")
    endless = batches(trainer.iteration)

    def keep_good() -> None:
        if first:
            trainer.save(good)
        distributed.wait()

    def conclude() -> None:
        if not first:
            return
        record, words = trainer.validate()
        if record:
            record = {"megapixels": round(trainer.megapixels, 3), "stage": trainer.stage + 1} | record
            with log.open("a") as file:
                file.write(json.dumps(record) + "\n")
            report(f"validation at {trainer.megapixels:.1f} Mpx: {words}")
        trainer.save(checkpoint)
        trainer.write(output)

    keep_good()
    since, seconds, saved = trainer.megapixels, time.monotonic(), time.monotonic()
    while trainer.stage < len(stages):
        stage = stages[trainer.stage]
        if trainer.stage_megapixels >= stage.megapixels:
            trainer.advance()
            conclude()
            keep_good()
            continue
        if trainer.step(next(endless)) is None:
            position = trainer.megapixels, trainer.iteration
            trainer.restore(good)
            report(f"the loss jumped at {position[0]:.1f} Mpx: back to the weights of {trainer.megapixels:.1f} Mpx")
            trainer.megapixels, trainer.iteration = position
        elif trainer.iteration % GOOD_EVERY == 0:
            keep_good()
        if trainer.iteration % LOG_EVERY == 0:
            speed = (trainer.megapixels - since) / (time.monotonic() - seconds)
            since, seconds = trainer.megapixels, time.monotonic()
            report(f"{trainer.megapixels:8.1f} Mpx  stage {trainer.stage + 1} ({stage.kind})  "
                   f"loss {trainer.running_loss:.4f}  {speed:.3f} Mpx/s")
        if time.monotonic() - saved > 60 * checkpoint_minutes:
            conclude()
            saved = time.monotonic()
    if first:
        trainer.write(output)
        good.unlink(missing_ok=True)
    report(f"Wrote {output}")
    distributed.wait()
