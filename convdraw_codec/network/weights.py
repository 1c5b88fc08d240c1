"""Model files: the whole numbers of a model as safetensors, checked before any of them is used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from ..atomic_write import write_output
from ..configuration import from_table
from ..errors import ModelError
from ..format.constants import FINGERPRINT_BYTES, MODEL_FORMAT, PRECISION, RESIDUAL_STEPS, SYMBOLS
from . import lossless, tables
from .config import LARGEST_QUANTISER, SQUARE, Config
from .convolution import SUM_LIMIT, WEIGHT_LIMIT, ByteConv
from .estimator import Estimator
from .features import LOW_CHANNELS
from .forecast import LOW_LIMIT, LOW_PIXELS, Forecast
from .lapped_pyramid import LARGEST_COEFFICIENT, MATRIX_UNIT, UNIT, Pyramid, colour_axes
from .lossless import ResidualStep
from .model import Model
from .prior import Prior, PriorLayer, PriorStep

Arrays = Mapping[str, np.ndarray]
Sized = TypeVar("Sized")
Layout = dict[str, tuple[type, tuple[int, ...]]]
DOUBLE_SUM_LIMIT = 2**53  # float64 holds every integer up to here
LARGEST_SLOPE = 2**30


def layout(config: Config) -> Layout:
    """Type and shape of every array in a model file, by name."""
    result: Layout = {}
    conv = partial(lay_out, result)
    counts, layers, steps = config.coefficients, config.layers, len(config.steps)
    pyramid = Pyramid.of(config.strides)
    for i, (layer, count) in enumerate(zip(layers, counts, strict=True)):
        seen = count + (LOW_CHANNELS if i else 0)
        around = sum(layers[j].state for j in (i - 1, i, i + 1) if 0 <= j < len(layers))
        conv(f"prior.layers.{i}.embedding", seen, layer.embedding, 1, bias=False)
        conv(f"prior.layers.{i}.recurrence", around + layer.embedding, 4 * layer.state, 3, bias=False)
        conv(f"prior.layers.{i}.context", layer.state, layer.state, 3, bias=False)
        functions, filters, places = (each[i] for each in (pyramid.functions, pyramid.filters, pyramid.places))
        result[f"tables.functions.{i}"] = np.int16, functions.shape
        result[f"tables.filters.{i}"] = np.int16, filters.shape
        result[f"tables.places.{i}"] = np.int16, places.shape
    for t, step in enumerate(config.steps):
        layer = layers[step.layer]
        outputs = (step.last - step.first) * (1 if config.seen_first(t).all() else 2)
        result[f"prior.steps.{t}.embedding"] = np.int32, (layer.embedding,)
        result[f"prior.steps.{t}.recurrence"] = np.int32, (4 * layer.state,)
        result[f"prior.steps.{t}.context"] = np.int32, (layer.state,)
        told = 2 if config.expects(t) else 1
        conv(f"prior.steps.{t}.rows", layer.state + told * counts[step.layer], outputs, 1)
        result[f"prior.steps.{t}.signs"] = np.int32, (step.last - step.first,)
    channels, smaller = config.forecast.channels, len(layers) > 1
    conv("forecast.entry", counts[-1], 4 * channels, 1)
    conv("forecast.mix", channels + (3 if smaller else 0), channels, 3, bias=False)
    for j in range(config.forecast.layers - 1):
        conv(f"forecast.hidden.{j}", channels, channels, 3)
    conv("forecast.exit", 4 * channels, counts[-1] + (LOW_PIXELS if smaller else 0), 1)
    result["forecast.biases"] = np.int32, (steps, channels)
    patch, channels = 3 * config.estimator.stride**2, config.estimator.channels
    conv("estimator.entry", patch, channels, 3, bias=False)
    for j in range(config.estimator.layers - 2):
        conv(f"estimator.hidden.{j}", channels, channels, 3)
    conv("estimator.exit", channels, patch, 3)
    result["estimator.biases"] = np.int32, (steps, channels)
    for i in range(RESIDUAL_STEPS):
        channels, hidden = config.residual.channels, config.residual.layers - 2
        conv(f"residual.{i}.entry", 3 * SQUARE**2 + i, channels, 3)
        for j in range(hidden):
            conv(f"residual.{i}.hidden.{j}", channels, channels, 3)
        conv(f"residual.{i}.exit", channels, 2, 3)
    result["tables.frequencies"] = np.int32, (len(config.passes), tables.ALL_ROWS, SYMBOLS)
    return result | {name: (array.dtype.type, array.shape) for name, array in constant_tables().items()}


def lay_out(result: Layout, name: str, inputs: int, outputs: int, kernel: int, bias: bool = True) -> None:
    """Add the arrays of a convolution."""
    result[f"{name}.weight"] = np.int8, (outputs, inputs, kernel, kernel)
    result[f"{name}.factor"] = np.float32, (outputs,)
    if bias:
        result[f"{name}.bias"] = np.int32, (outputs,)


def conv_of(arrays: Arrays, name: str) -> ByteConv:
    """That convolution; without a bias of its own, it is 0."""
    weight = arrays[f"{name}.weight"]
    return ByteConv(weight, arrays[f"{name}.factor"], arrays.get(f"{name}.bias", np.zeros(len(weight), np.int32)))


def constant_tables() -> dict[str, np.ndarray]:
    """The tables that every model starts with."""
    return {"tables.slopes": tables.slope_table(), "tables.residual_frequencies": lossless.frequency_table(),
            "tables.known": tables.known_table(), "tables.quotients": tables.quotient_table(),
            "tables.axes": np.rint(colour_axes() * MATRIX_UNIT).astype(np.int16)}


def transform_tables(config: Config) -> dict[str, np.ndarray]:
    """Those of the transform."""
    pyramid = Pyramid.of(config.strides)
    return {f"tables.{name}.{i}": array.astype(np.int16) for name in ("functions", "filters", "places")
            for i, array in enumerate(getattr(pyramid, name))}


def fingerprint(config: Config, arrays: Arrays) -> str:
    """16 hexadecimal digits over the configuration and all arrays."""
    digest = hashlib.sha256(json.dumps(asdict(config) | {"name": ""}, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:2 * FINGERPRINT_BYTES]


def save_model(config: Config, arrays: Arrays, path: str | PathLike[str]) -> None:
    """Write the model of all those arrays. Raises ModelError, and writes nothing, if a decoder would refuse it."""
    assemble(config, arrays)
    save_arrays(arrays, path, {"format": MODEL_FORMAT, "config": json.dumps(asdict(config))})


def save_arrays(arrays: Arrays, path: str | PathLike[str], metadata: dict[str, str]) -> None:
    """Write arrays, whole or not at all. Raises OSError."""
    write_output(str(path), save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata))


def load_model(path: str | PathLike[str]) -> Model:
    """Read a model file. Raises ModelError if it is none of this format or could leave the exact range, OSError."""
    return assemble(*read_model(path), path)


def read_model(path: str | PathLike[str]) -> tuple[Config, dict[str, np.ndarray]]:
    """Configuration and arrays of a model file, unchecked but for the former. Raises ModelError, OSError."""
    config, _, arrays = read_arrays(path, MODEL_FORMAT, Config, "cdraw model")
    return config, arrays


def read_arrays(path: str | PathLike[str], form: str, kind: type[Sized], what: str
                ) -> tuple[Sized, dict[str, str], dict[str, np.ndarray]]:
    """Configuration, all metadata and unchecked arrays of a file of that format. Raises ModelError if it is no such
    ``what``, OSError."""
    data = Path(path).read_bytes()
    try:
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
        if metadata.get("format") != form:
            raise ValueError(f"its format is not {form!r}")
        return from_table(kind, json.loads(metadata["config"]), "[model]"), metadata, load(data)
    except (SafetensorError, KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not a {what}: {error}") from error


def assemble(config: Config, arrays: Arrays, path: str | PathLike[str] = "the model") -> Model:
    """A model of arrays that were checked. Raises ModelError."""
    try:
        check_layout(layout(config), arrays)
        model = _model(config, arrays)
        check_sums(arrays, _biases(config, arrays))
        _check_tables(model, arrays)
    except ValueError as error:
        raise ModelError(f"{path} does not hold what its configuration promises: {error}") from error
    return model


def _model(config: Config, arrays: Arrays) -> Model:
    conv = partial(conv_of, arrays)

    def hidden(name: str, layers: int) -> list[ByteConv]:
        return [conv(f"{name}.hidden.{j}") for j in range(layers - 2)]

    count, quotients = range(len(config.layers)), arrays["tables.quotients"]
    pyramid = Pyramid([arrays[f"tables.functions.{i}"].astype(np.float64) for i in count],
                      [arrays[f"tables.filters.{i}"].astype(np.float64) for i in count],
                      [arrays[f"tables.places.{i}"].astype(np.int64) for i in count])
    shared = [PriorLayer(*(conv(f"prior.layers.{i}.{name}") for name in ("embedding", "recurrence", "context")))
              for i in count]
    steps = [PriorStep(arrays[f"prior.steps.{t}.embedding"], arrays[f"prior.steps.{t}.recurrence"],
                       arrays[f"prior.steps.{t}.context"], conv(f"prior.steps.{t}.rows"),
                       tables.sign_thresholds(arrays[f"prior.steps.{t}.signs"]))
             for t in range(len(config.steps))]
    forecast = Forecast(config, conv("forecast.entry"), conv("forecast.mix"),
                        hidden("forecast", config.forecast.layers + 1), conv("forecast.exit"),
                        arrays["forecast.biases"])
    estimator = Estimator(config, conv("estimator.entry"), hidden("estimator", config.estimator.layers),
                          conv("estimator.exit"), arrays["estimator.biases"])
    residual = [ResidualStep(conv(f"residual.{i}.entry"), hidden(f"residual.{i}", config.residual.layers),
                             conv(f"residual.{i}.exit")) for i in range(RESIDUAL_STEPS)]
    return Model(config, pyramid, arrays["tables.axes"].astype(np.float64), Prior(config, shared, steps, quotients),
                 forecast, estimator, residual, arrays["tables.frequencies"], arrays["tables.residual_frequencies"],
                 arrays["tables.slopes"], arrays["tables.known"],
                 fingerprint(config, arrays))


def check_layout(expected: Layout, arrays: Arrays) -> None:
    """Raise ValueError unless they are those, and finite."""
    if odd := sorted(set(expected) ^ set(arrays)):
        raise ValueError(f"it {'lacks' if odd[0] in expected else 'holds'} {odd[0]}")
    for name, (kind, shape) in expected.items():
        array = arrays[name]
        if array.dtype != kind or array.shape != shape:
            raise ValueError(f"{name} is {array.dtype} {array.shape}, not {np.dtype(kind)} {shape}")
        if kind is np.float32 and not ((array >= 0) & (array < SUM_LIMIT)).all():
            raise ValueError(f"{name} holds what is no factor")


def check_sums(arrays: Arrays, biases: Iterable[tuple[str, np.ndarray]]) -> None:
    """Raise ValueError if a convolution could leave its exact range, with any of the biases given by its name."""
    for name, array in arrays.items():
        if name.endswith(".weight") and np.abs(array.astype(np.int16)).max() > WEIGHT_LIMIT:
            raise ValueError(f"{name} goes beyond {WEIGHT_LIMIT}")
    for name, bias in biases:
        conv = ByteConv(arrays[f"{name}.weight"], arrays[f"{name}.factor"], bias)
        if (largest := conv.largest_sum()) >= SUM_LIMIT:
            raise ValueError(f"the sums of {name} can reach {largest}, and 2**24 is where exactness ends")


def _biases(config: Config, arrays: Arrays) -> Iterator[tuple[str, np.ndarray]]:
    """The biases that each convolution is used with, and its name."""
    for t, step in enumerate(config.steps):
        for role in ("embedding", "recurrence", "context"):
            yield f"prior.layers.{step.layer}.{role}", arrays[f"prior.steps.{t}.{role}"]
    for name, biases in (("forecast.mix", "forecast.biases"), ("estimator.entry", "estimator.biases")):
        yield name, np.abs(arrays[biases].astype(np.int64)).max(0)
    yield from ((name.removesuffix(".bias"), bias) for name, bias in arrays.items() if name.endswith(".bias"))


def _check_tables(model: Model, arrays: Arrays) -> None:
    """Raise ValueError for tables with which a decoder could fail or leave the exact range."""
    cells = [step.cell for step in model.config.steps]
    largest = model.pyramid.largest_sum(LARGEST_COEFFICIENT)
    coarser = (each[:-1] for each in (model.pyramid.functions, model.pyramid.filters, model.pyramid.places))
    looked_at = Pyramid(*coarser).largest_sum(LOW_LIMIT, towards_pixels=False)
    if not max(largest, looked_at) < DOUBLE_SUM_LIMIT or max(cells) > UNIT * LARGEST_QUANTISER:
        raise ValueError(f"the sums across blocks can reach {largest:.0f}, beyond exactness")
    if not np.abs(model.axes).max() <= MATRIX_UNIT:
        raise ValueError("the axes of colour are no unit vectors")
    for functions, places in zip(model.pyramid.functions, model.pyramid.places, strict=True):
        inside = (places >= 0) & (places < 3 * len(functions) ** 2)
        if not inside.all() or len(set(places.tolist())) < len(places):
            raise ValueError("the places of coefficients make no sense")
    for name in ("tables.frequencies", "tables.residual_frequencies"):
        counts = arrays[name].reshape(-1, SYMBOLS)
        there = np.diff(np.pad(counts > 0, ((0, 0), (1, 1))).astype(int), axis=1)
        if (counts < 0).any() or (counts.sum(1, dtype=np.int64) != 1 << PRECISION).any() or (
                np.abs(there).sum(1) != 2).any() or ((counts > 0).sum(1) < 2).any():
            raise ValueError(f"{name} holds rows that do not sum to 2**{PRECISION}, or have gaps")
    allowed = tables.frequency_table() > 0
    if ((arrays["tables.frequencies"] > 0) != allowed).any():
        raise ValueError("tables.frequencies has symbols that its rows cannot have")
    if not ((model.slopes >= 0) & (model.slopes < LARGEST_SLOPE)).all():
        raise ValueError("tables.slopes makes no sense")
