"""One call to train whatever a configuration asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..generative import trainer as likelihood
from ..training import codec_trainer as codec
from ..training.recipe import CodecRecipe, LikelihoodRecipe


def train(recipe: CodecRecipe | LikelihoodRecipe, data: list[Path], output: Path, report: Callable[[str], None], *,
          origin: Path | None = None, checkpoint_minutes: float = 5.0) -> None:
    """Train on ``data``, folders of photographs or files of small pictures, and write the model to ``output``.

    Goes on from the checkpoint ``output`` + ".ckpt" if there is one, else begins with the weights of the model file
    ``origin``, if given. Raises ConfigError for data or a checkpoint that does not fit, ModelError for such an origin.
    """
    if isinstance(recipe, CodecRecipe):
        codec.train(recipe, data, output, report, origin=origin, checkpoint_minutes=checkpoint_minutes)
    else:
        likelihood.train(recipe, data, output, report, origin=origin, checkpoint_minutes=checkpoint_minutes)
