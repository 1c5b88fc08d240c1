"""Training from a configuration: the one place that knows codecs and generative models."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from .. import generative, training
from ..codec import Codec
from ..configuration import from_table
from ..errors import ConfigError
from ..generative import trainer as generative_trainer
from ..generative.recipe import GenerativeRecipe
from ..generative.weights import model_config
from ..network.config import Config
from ..plausible.texture import TextureSize
from ..plausible.weights import SUFFIX
from ..training import codec_trainer, distributed
from ..training.loop import run
from ..training.plausible import trainer as texture_trainer
from ..training.plausible.recipe import TextureRecipe
from ..training.recipe import CodecRecipe
from ..training.trainer import Batches, Trainer, torch_defaults

FOLDERS = [Path(room.__path__[0]) / "configs" for room in (training, generative)]


@dataclass(frozen=True)
class _File:
    kind: str
    model: dict[str, Any]
    training: dict[str, Any]


Recipes: TypeAlias = CodecRecipe | TextureRecipe | GenerativeRecipe


def load_config(path: Path) -> Recipes:
    """Read a TOML file. Raises ConfigError, OSError."""
    try:
        data = tomllib.loads(path.read_text())
    except ValueError as error:
        raise ConfigError(f"it is no TOML file: {error}") from error
    file = from_table(_File, data, "the configuration")
    if file.kind == "codec":
        return from_table(CodecRecipe, file.training, "[training]", model=from_table(Config, file.model, "[model]"))
    if file.kind == "texture":
        size = from_table(TextureSize, file.model, "[model]")
        return from_table(TextureRecipe, file.training, "[training]", model=size)
    if file.kind == "generative":
        return from_table(GenerativeRecipe, file.training, "[training]", model=model_config(file.model))
    raise ConfigError(f"kind is codec, texture or generative, not {file.kind!r}")


def find_config(name: str) -> Path:
    """The file of a configuration that comes with cdraw, or the path itself. Raises ConfigError."""
    included = {path.relative_to(folder).with_suffix("").as_posix(): path
                for folder in FOLDERS for path in sorted(folder.rglob("*.toml"))}
    if name not in included and Path(name).suffix != ".toml":
        raise ConfigError(f"no configuration has that name; there are {', '.join(included)}, and any .toml file")
    return included.get(name, Path(name))


def train(recipe: Recipes, data: list[Path], output: Path, report: Callable[[str], None], *,
          origin: Path | None = None, checkpoint_minutes: float = 5.0) -> None:
    """Train on ``data``, folders of photographs or files of small pictures, and write the model to ``output``.

    Goes on from the checkpoint ``output`` + ".ckpt" if there is one, else begins with the weights of the model file
    ``origin``, if given. Progress goes to ``report``, a line at a time. Under ``torchrun``, every process trains on its
    share of each batch, and the first one writes and reports. Raises ConfigError for data or a checkpoint that does not
    fit, ModelError for such an origin.
    """
    with distributed.together(), torch_defaults():
        said = report if distributed.rank() == 0 else lambda line: None
        trainer, batches = _prepared(recipe, data, output, said)
        if origin:
            trainer.start_from(origin)
        run(trainer, batches, output, said, checkpoint_minutes)


def _prepared(recipe: Recipes, data: list[Path], output: Path, report: Callable[[str], None]
              ) -> tuple[Trainer, Batches]:
    """A trainer, and what it trains on. A texture, NAME.texture.safetensors, is for the model NAME.safetensors beside
    it, or for the bundled one where there is none."""
    if isinstance(recipe, CodecRecipe):
        return codec_trainer.prepare(recipe, data, report)
    if isinstance(recipe, GenerativeRecipe):
        return generative_trainer.prepare(recipe, data, report)
    name = output.name.removesuffix(SUFFIX)
    if name == output.name:
        raise ConfigError(f"{output} holds a texture, and its name ends with {SUFFIX}")
    own = output.with_name(f"{name}.safetensors")
    codec = Codec(own if own.exists() else None)
    report(f"For {own if own.exists() else 'the bundled photo model'}, {codec.fingerprint}")
    return texture_trainer.prepare(recipe, codec.network, data, report)
