"""Generative models and their files: safetensors, weights as float16 with the configuration beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike
from typing import Any, TypeAlias, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import save

from ..atomic_write import write_output
from ..configuration import from_table
from ..errors import ModelError
from ..training.tensors import read_tensors
from .base import Generative
from .conv_draw_gaussian import ConvDRAWConfig, GenerativeConvDRAW
from .draw import DRAW, DRAWConfig
from .gated_pixel_cnn import PixelCNN, PixelCNNConfig
from .pixel_rnn import PixelRNN, PixelRNNConfig

FORMAT = "cdraw generative model 1"
ModelConfig: TypeAlias = ConvDRAWConfig | DRAWConfig | PixelCNNConfig | PixelRNNConfig
MODELS: dict[str, tuple[type[Any], type[Generative]]] = {  # by a key that each alone has
    "channels": (PixelCNNConfig, PixelCNN), "recurrence": (PixelRNNConfig, PixelRNN),
    "layers": (ConvDRAWConfig, GenerativeConvDRAW), "state": (DRAWConfig, DRAW)}


def model_config(data: Mapping[str, Any]) -> ModelConfig:
    """From TOML or JSON. Raises ConfigError."""
    kind = next((kind for key, (kind, _) in MODELS.items() if key in data), DRAWConfig)
    return cast(ModelConfig, from_table(kind, data, "[model]"))


def new_model(config: ModelConfig) -> Generative:
    """An untrained model."""
    return next(model(config) for kind, model in MODELS.values() if type(config) is kind)


def save_generative(model: Generative, config: ModelConfig, path: str | PathLike[str]) -> None:
    """Write weights and configuration."""
    tensors = {name: p.detach().half().cpu().contiguous() for name, p in model.named_parameters()}
    write_output(str(path), save(tensors, {"format": FORMAT, "config": json.dumps(asdict(config))}))


def load_generative(path: str | PathLike[str]) -> Generative:
    """Read a model file. Raises ModelError if it is none, OSError if it cannot be read."""
    try:
        metadata, tensors = read_tensors(path)
        if metadata.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}")
        config = model_config(json.loads(metadata["config"]))
        with torch.device("meta"):  # its own weights take the place of initial ones
            model = new_model(config)
        for name, tensor in tensors.items():
            if tensor.dtype != torch.float16 or not tensor.isfinite().all():
                raise ValueError(f"{name} holds what is no number of 16 bits")
        model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    except RuntimeError as error:  # of several lines, from torch
        raise ModelError(f"{path} is no generative model: it does not hold what its configuration promises") from error
    except (SafetensorError, KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is no generative model: {error}") from error
    return model.eval().requires_grad_(False)
