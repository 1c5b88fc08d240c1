"""From trainable networks to the whole numbers of a model file, and back."""

from __future__ import annotations

from os import PathLike
from typing import cast

import numpy as np
import torch
from torch import Tensor

from ..errors import ModelError
from ..network.tables import FACTOR_UNIT
from ..network.weights import constant_tables, read_model, save_model, transform_tables
from .networks.byte_conv import TrainedConv
from .networks.prior import SIGN_GAIN, PriorLayer, PriorStep
from .networks.residual import ResidualStep
from .objectives import CodecNetworks


def parts(networks: CodecNetworks) -> dict[str, tuple[TrainedConv, list[tuple[str, Tensor]]]]:
    """Every convolution by its name in a model file, with its biases and their names: one of its own, one a step."""
    result: dict[str, tuple[TrainedConv, list[tuple[str, Tensor]]]] = {}
    for i, layer in enumerate(cast("list[PriorLayer]", networks.prior.layers)):
        steps = [(t, own) for t, own in enumerate(cast("list[PriorStep]", networks.prior.steps))
                 if networks.config.steps[t].layer == i]
        for role in ("embedding", "recurrence", "context"):
            result[f"prior.layers.{i}.{role}"] = getattr(layer, role), [
                (f"prior.steps.{t}.{role}", getattr(own, role)) for t, own in steps]
    for t, own in enumerate(cast("list[PriorStep]", networks.prior.steps)):
        result[f"prior.steps.{t}.rows"] = own.rows, [(f"prior.steps.{t}.rows.bias", own.bias)]
    forecast, estimator = networks.forecast, networks.estimator
    result["forecast.entry"] = forecast.entry, [("forecast.entry.bias", forecast.entry_bias)]
    result["forecast.mix"] = forecast.mix, [("forecast.biases", forecast.biases)]
    result["estimator.entry"] = estimator.entry, [("estimator.biases", estimator.biases)]
    for name, network in (("forecast", forecast), ("estimator", estimator)):
        for j, (conv, bias) in enumerate(zip(network.hidden, network.hidden_biases, strict=True)):
            result[f"{name}.hidden.{j}"] = cast(TrainedConv, conv), [(f"{name}.hidden.{j}.bias", bias)]
        result[f"{name}.exit"] = network.exit, [(f"{name}.exit.bias", network.exit_bias)]
    for i, step in enumerate(cast("list[ResidualStep]", networks.residual.steps)):
        names = ["entry", *(f"hidden.{j}" for j in range(len(step.hidden)))]
        for name, conv, bias in zip(names, [step.entry, *step.hidden], step.biases, strict=True):
            result[f"residual.{i}.{name}"] = cast(TrainedConv, conv), [(f"residual.{i}.{name}.bias", bias)]
        result[f"residual.{i}.exit"] = step.exit, [(f"residual.{i}.exit.bias", step.exit_bias)]
    return result


@torch.no_grad()
def arrays_of(networks: CodecNetworks) -> dict[str, np.ndarray]:
    """All arrays of a model file, see ``network.weights.layout``."""
    result = constant_tables() | transform_tables(networks.config)
    result["tables.frequencies"] = networks.prior.frequencies.cpu().numpy()
    for name, (conv, biases) in parts(networks).items():
        result[f"{name}.weight"], result[f"{name}.factor"] = conv.integers()
        for bias_name, bias in biases:
            result[bias_name] = conv.integer_bias(bias)
    for t, own in enumerate(cast("list[PriorStep]", networks.prior.steps)):
        result[f"prior.steps.{t}.signs"] = (own.factors() * FACTOR_UNIT).round().to(torch.int32).cpu().numpy()
    return result


def save(networks: CodecNetworks, path: str | PathLike[str]) -> None:
    """Write a model file. Raises ModelError, OSError."""
    save_model(networks.config, arrays_of(networks), path)


@torch.no_grad()
def restore(path: str | PathLike[str], networks: CodecNetworks) -> None:
    """Give networks the weights of a model file: they stand for the same whole numbers again. Raises ModelError if it
    holds a model of another configuration."""
    config, arrays = read_model(path)
    if vars(config) | {"name": ""} != vars(networks.config) | {"name": ""}:
        raise ModelError(f"{path} is a model of another configuration")
    for name, (conv, biases) in parts(networks).items():
        conv.thaw(arrays[f"{name}.weight"], arrays[f"{name}.factor"])
        for bias_name, bias in biases:
            bias.copy_(conv.real_bias(arrays[bias_name]))
    networks.prior.frequencies.copy_(torch.from_numpy(arrays["tables.frequencies"]))
    for t, own in enumerate(cast("list[PriorStep]", networks.prior.steps)):
        own.signs.copy_(torch.from_numpy(arrays[f"prior.steps.{t}.signs"]) / (FACTOR_UNIT * SIGN_GAIN))
