"""What training a generative model is told: the table [training] of a TOML file."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError
from ..training.recipe import Recipe
from .weights import ModelConfig


@dataclass(frozen=True)
class GenerativeRecipe(Recipe):
    """beta: what a nat of reconstruction counts, the paper's beta. held_out: pictures at the end of the data that
    validate. mirror: whether left and right are swapped in half of the pictures."""

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
