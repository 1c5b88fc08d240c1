"""What a training run is told: the table [training] of a TOML file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..errors import ConfigError
from ..network.config import Config


@dataclass(frozen=True)
class Stage:
    """kind: what is trained, and how; see the trainer. megapixels: pictures seen, in all.

    The learning rate rises over ``warm_up`` megapixels, holds for ``hold`` and then falls linearly to
    ``final_learning_rate``.
    """

    kind: str
    megapixels: float
    learning_rate: float
    final_learning_rate: float
    warm_up: float = 0.0
    hold: float = 0.0

    def __post_init__(self) -> None:
        if not self.megapixels > 0:
            raise ConfigError(f"megapixels is larger than 0, not {self.megapixels}")
        if not (self.warm_up >= 0 <= self.hold and self.warm_up + self.hold <= self.megapixels):
            raise ConfigError(f"warm_up and hold lie from 0 to the stage's {self.megapixels} megapixels, together, not "
                              f"{self.warm_up} and {self.hold}")
        if not (self.learning_rate > 0 and self.final_learning_rate >= 0):
            raise ConfigError("learning_rate is larger than 0, and final_learning_rate at least 0, not "
                              f"{self.learning_rate} and {self.final_learning_rate}")

    def rate_at(self, megapixels: float) -> float:
        """Learning rate after so many megapixels of the stage."""
        if megapixels < self.warm_up:
            return self.learning_rate * (0.05 + 0.95 * megapixels / self.warm_up)
        held = self.warm_up + self.hold
        share = max(megapixels - held, 0) / max(self.megapixels - held, 1e-9)
        return self.learning_rate + (self.final_learning_rate - self.learning_rate) * min(share, 1.0)


@dataclass(frozen=True)
class Recipe:
    """batch: pictures in an update. gradient_limit: of all gradients' norm. average: decay of the weights' average."""

    kinds: ClassVar[tuple[str, ...]]  # of stages

    batch: int
    seed: int
    gradient_limit: float
    average: float
    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        if self.batch < 1 or not self.stages:
            raise ConfigError("a batch has at least one picture, and training at least one stage")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"the seed lies from 0 to 2**63 - 1, not {self.seed}")
        if not 0 <= self.average < 1 or self.gradient_limit <= 0:
            raise ConfigError("average lies from 0 to 1, and gradient_limit above 0")
        for stage in self.stages:
            if stage.kind not in self.kinds:
                raise ConfigError(f"the kind of a stage is {' or '.join(self.kinds)}, not {stage.kind!r}")


@dataclass(frozen=True)
class CodecRecipe(Recipe):
    """For the codec, on photographs. crop: side of a picture."""

    kinds = ("forecast", "prior", "estimator", "residual")

    model: Config
    crop: int

    def __post_init__(self) -> None:
        super().__post_init__()
        multiple = self.model.layers[0].stride
        if self.crop < multiple or self.crop % multiple:
            raise ConfigError(f"a crop is a multiple of the coarsest stride, {multiple}, not {self.crop}")
        if any(stage.kind == "forecast" for stage in self.stages) and not any(
                step.forecast for step in self.model.steps):
            raise ConfigError("a stage trains the forecast, and no step has one")
