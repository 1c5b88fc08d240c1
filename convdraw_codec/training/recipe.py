"""What a training run is told: TOML files with the tables [model] and [training]."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ..errors import ConfigError
from ..generative.weights import ModelConfig, model_config
from ..network.conv_draw import Config


@dataclass(frozen=True)
class Stage:
    """kind: what is trained, and how; see the trainer. megapixels: pictures seen, in all.

    The learning rate rises over ``warm_up`` megapixels and then falls linearly to ``final_learning_rate``.
    """

    kind: str
    megapixels: float
    learning_rate: float
    final_learning_rate: float
    warm_up: float = 0.0

    def rate_at(self, megapixels: float) -> float:
        """Learning rate after so many megapixels of the stage."""
        if megapixels < self.warm_up:
            return self.learning_rate * (0.05 + 0.95 * megapixels / self.warm_up)
        share = (megapixels - self.warm_up) / max(self.megapixels - self.warm_up, 1e-9)
        return self.learning_rate + (self.final_learning_rate - self.learning_rate) * min(share, 1.0)


@dataclass(frozen=True)
class Recipe:
    """batch: pictures in an update. gradient_limit: of the norm of all gradients. average: decay of the averaged
    weights, which are what is saved."""

    kinds: ClassVar[tuple[str, ...]]

    batch: int
    seed: int
    gradient_limit: float
    average: float
    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        if self.batch < 1 or not self.stages:
            raise ConfigError("a batch has at least one picture, and training at least one stage")
        if not 0 <= self.average < 1 or self.gradient_limit <= 0:
            raise ConfigError("average lies from 0 to 1, and gradient_limit above 0")
        for stage in self.stages:
            if stage.kind not in self.kinds:
                raise ConfigError(f"a stage is one of {', '.join(self.kinds)}, not {stage.kind!r}")


@dataclass(frozen=True)
class CodecRecipe(Recipe):
    """For the codec, on photographs. crop: side of a picture. strength, complete: see ``objective``."""

    kinds = ("noisy", "rounded", "retouch", "residual")

    model: Config
    crop: int
    strength: float
    complete: float

    def __post_init__(self) -> None:
        super().__post_init__()
        multiple = self.model.layers[0].stride
        if self.crop < multiple or self.crop % multiple:
            raise ConfigError(f"a crop is a multiple of the coarsest stride, {multiple}, not {self.crop}")
        if self.strength <= 0 or not 0 <= self.complete <= 1:
            raise ConfigError("the strength is larger than 0, and complete lies from 0 to 1")


@dataclass(frozen=True)
class LikelihoodRecipe(Recipe):
    """For a generative model. beta: what a nat of reconstruction counts, the paper's beta. held_out: pictures at the
    end of the data that validate. mirror: whether left and right are swapped in half of the pictures."""

    kinds = ("likelihood",)

    model: ModelConfig
    beta: float
    held_out: int
    mirror: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.held_out < 0:
            raise ConfigError(f"{self.held_out} pictures cannot be held out")
        if self.beta <= 0:
            raise ConfigError(f"beta is larger than 0, not {self.beta}")


def load_config(path: Path) -> CodecRecipe | LikelihoodRecipe:
    """Read a TOML file: for a generative model if its [model] has a picture. Raises ConfigError."""
    try:
        data = tomllib.loads(path.read_text())
        training = dict(data["training"])
        training["stages"] = tuple(Stage(**stage) for stage in training["stages"])
        if "picture" in data["model"]:
            return LikelihoodRecipe(model=model_config(data["model"]), **training)
        return CodecRecipe(model=Config.from_dict(data["model"]), **training)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is no training configuration: {error}") from error


def find_config(name: str) -> Path:
    """The file of a configuration that comes with cdraw, or the path itself. Raises ConfigError."""
    included = Path(__file__).parent / "configs"
    path = included / f"{name}.toml"
    if path.exists():
        return path
    if Path(name).suffix != ".toml":
        names = sorted(file.relative_to(included).with_suffix("").as_posix() for file in included.rglob("*.toml"))
        raise ConfigError(f"no configuration has that name; there are {', '.join(names)}, and any .toml file")
    return Path(name)
