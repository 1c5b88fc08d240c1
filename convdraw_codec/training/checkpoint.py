"""Everything that a training run needs to go on, in memory or as one safetensors file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor

from ..atomic_write import write_output
from ..errors import ConfigError
from .tensors import read_tensors
from .trainer import Trainer

STATE = "step", "exp_avg", "exp_avg_sq", "momentum_buffer"  # of Adam, and of Muon
POSITION = "stage", "stage_megapixels", "iteration", "megapixels", "running_loss"  # fields of a trainer


def _tensors(trainer: Trainer) -> dict[str, Tensor]:
    """What an update changes, by name."""
    tensors = {f"average.{name}": p for name, p in trainer.average.named_parameters()} | trainer.extra()
    for name, parameter in trainer.model.named_parameters():
        tensors[f"model.{name}"] = parameter.detach()
        for optimiser in trainer.optimisers:
            tensors |= {f"{key}.{name}": value for key, value in optimiser.state.get(parameter, {}).items()}
    return tensors


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    """A copy that lies in memory as the parameter does, which fused optimisers take for granted."""
    if value.shape == parameter.shape:
        return torch.empty_like(parameter).copy_(value)
    return value.to(parameter.device).clone()


@dataclass(frozen=True)
class Checkpoint:
    """tensors: weights, averaged weights and state of the optimiser, by name. position: in the schedule."""

    tensors: dict[str, Tensor]
    position: dict[str, float]

    @classmethod
    def of(cls, trainer: Trainer) -> Checkpoint:
        """A copy of where a trainer is."""
        return cls({name: tensor.clone() for name, tensor in _tensors(trainer).items()},
                   {name: getattr(trainer, name) for name in POSITION})

    @torch.no_grad()
    def give(self, trainer: Trainer) -> None:
        """Let a trainer of the same recipe go on from here; without state of the optimiser, with a new one."""
        names = {parameter: name for name, parameter in trainer.model.named_parameters()}
        for optimiser in trainer.optimisers:
            optimiser.state.clear()
            for parameter in (p for group in optimiser.param_groups for p in group["params"]):
                stored = {key: self.tensors.get(f"{key}.{names[parameter]}") for key in STATE}
                if state := {key: _like(parameter, value) for key, value in stored.items() if value is not None}:
                    optimiser.state[parameter] = state
        for name, tensor in _tensors(trainer).items():
            tensor.copy_(self.tensors[name])
        vars(trainer).update(self.position)

    def write(self, path: Path) -> None:
        """As a file that is whole or not there. Raises OSError."""
        tensors = {name: tensor.cpu().contiguous() for name, tensor in self.tensors.items()}
        write_output(str(path), save(tensors, {"position": json.dumps(self.position)}))

    @classmethod
    def restore(cls, path: Path, trainer: Trainer) -> None:
        """Let a trainer go on from a file. Raises ConfigError if it is damaged or does not fit, OSError."""
        try:
            metadata, tensors = read_tensors(path)
            cls(tensors, json.loads(metadata["position"])).give(trainer)
        except (SafetensorError, KeyError, TypeError, RuntimeError, ValueError) as error:
            raise ConfigError(f"{path} is damaged or of another configuration; move it to start anew") from error
