"""Model files: a trained ConvDRAW <-> safetensors.

The decoder is stored as the integers with which it computes (int8 weights, float32 multipliers, int32 biases)
together with its look-up tables; the encoder as float16. The fingerprint that a .cdr file carries is a hash of
everything that decides what a file decodes to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from ..atomic_write import write_output
from ..errors import ModelError
from ..format.constants import FINGERPRINT_BYTES, PRECISION, RESIDUAL_STEPS, SYMBOLS
from . import lossless
from .config import SQUARE, Config
from .conv_draw import CANVAS_MARGIN, CANVAS_UNIT, COLOUR_UNIT, ConvDRAW
from .exact_conv import SUM_LIMIT, UNIT
from .lstm import IntegerConvLSTM, gate_tables
from .priors import FAMILIES, SCALES, frequency_table
from .transform.nested_dct import coefficient_counts

FORMAT = "cdraw model 6"
LARGEST_FACTOR = 1e9  # of a stored real number: products with sums stay finite
DOUBLE_SUM_LIMIT = 2**53  # float64 holds every integer up to here
DECODER, ENCODER, TABLES = "decoder.", "encoder.", "tables."


def check_sums(model: ConvDRAW) -> None:
    """Raise ModelError if any sum could leave the range in which it is exact, whatever the input."""
    for name, convolution in model.integer_convolutions():
        largest = convolution.largest_sum()
        if not largest < SUM_LIMIT:
            raise ModelError(f"the sums of {name} can reach {largest:.0f}, and 2**24 is where exactness ends")
    sums, result = model.overlap.largest_sum()
    colour = 255 + 2 * (255 + CANVAS_MARGIN + 255)  # in levels: turns do not make entries twice as large
    across = colour * COLOUR_UNIT * model.lapping.abs().sum(0).max().item() ** 2
    if not (max(sums, across) < DOUBLE_SUM_LIMIT and result < SUM_LIMIT):
        raise ModelError(f"the sums across blocks can reach {max(sums, across, result):.0f}, beyond exactness")


def fingerprint(config: Config, tensors: dict[str, Tensor]) -> str:
    """16 hexadecimal digits over the configuration and all tensors of the decoder."""
    digest = hashlib.sha256(json.dumps(asdict(config) | {"name": ""}, sort_keys=True).encode())
    for name in sorted(tensors):
        if not name.startswith(ENCODER):
            array = tensors[name].contiguous().numpy()
            digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()[:2 * FINGERPRINT_BYTES]


def save_model(model: ConvDRAW, path: str | PathLike[str]) -> None:
    """Write a trained model. Raises ModelError, and writes nothing, if it could leave the exact range."""
    check_sums(model)
    tensors: dict[str, Tensor] = {}
    with torch.no_grad():
        exact = []
        for name, convolution in model.integer_convolutions():
            weight, multiplier, bias = convolution.quantised()
            exact.append(name)
            tensors[f"{DECODER}{name}.weight"] = weight.to(torch.int8)
            tensors[f"{DECODER}{name}.multiplier"] = multiplier.float()
            if bias is not None:
                tensors[f"{DECODER}{name}.bias"] = bias.to(torch.int32)
        tensors[f"{DECODER}initial_canvas"] = model.first_canvas().to(torch.int32)
        for name, parameter in model.named_parameters():
            if name.rpartition(".")[0] not in exact and name != "initial_canvas":
                tensors[f"{ENCODER}{name}"] = parameter.to(torch.float16)
    logistic, tanh = gate_tables()
    tensors[f"{TABLES}logistic"], tensors[f"{TABLES}tanh"] = logistic.to(torch.int16), tanh.to(torch.int16)
    for layer, luma in enumerate(model.luma):
        tensors[f"{TABLES}luma.{layer}"] = luma.to(torch.uint8)
    tensors[f"{TABLES}lapping"] = model.lapping.to(torch.int16)
    for level, (shrink, across) in enumerate(zip(model.overlap.shrink, model.overlap.filters, strict=True)):
        tensors[f"{TABLES}shrink.{level}"], tensors[f"{TABLES}overlap.{level}"] = shrink.short(), across.short()
    tensors[f"{TABLES}frequencies"] = frequency_table(SYMBOLS, PRECISION).to(torch.int32)
    tensors[f"{TABLES}information"] = model.information.to(torch.int16)
    tensors[f"{TABLES}residual"] = lossless.frequency_table(SYMBOLS, PRECISION).to(torch.int32)
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"format": FORMAT, "config": json.dumps(asdict(model.config))}
    write_output(str(path), save(tensors, metadata))


@dataclass(frozen=True)
class Loaded:
    """A model file: the frozen model; the frequency tables (rows, 32) of latents and of residuals; the fingerprint."""

    model: ConvDRAW
    latents: Tensor
    residuals: Tensor
    fingerprint: str


def read_tensors(path: str | PathLike[str]) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a safetensors file. Raises SafetensorError if it is none, OSError if it cannot be read.

    ``safe_open`` makes no tensor here: torch, called from there, takes ^C for a storage of the wrong shape.
    """
    with open(path, "rb"):  # else safetensors would say in its own words what is wrong
        pass
    with safe_open(path, "np") as file:
        metadata = file.metadata() or {}
    return metadata, load(Path(path).read_bytes())


def load_model(path: str | PathLike[str], convolution: str = "float32") -> Loaded:
    """Read a model file.

    Raises ModelError if the file is no model of this format or could leave the exact range, OSError if it
    cannot be read.
    """
    try:
        metadata, tensors = read_tensors(path)
        if metadata.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}")
        config = Config.from_dict(json.loads(metadata["config"]))
    except (SafetensorError, KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not a cdraw model: {error}") from error
    try:
        _check_sizes(config, tensors)
        with torch.random.fork_rng(devices=[]):  # its initial weights are not needed: leave the caller's seed alone
            model = ConvDRAW(config)
        freeze(model, tensors, convolution)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} does not hold what its configuration promises: {error}") from error
    return Loaded(model.eval().requires_grad_(False), tensors[f"{TABLES}frequencies"], tensors[f"{TABLES}residual"],
                  fingerprint(config, tensors))


def _check_sizes(config: Config, tensors: dict[str, Tensor]) -> None:
    """Raise ValueError or KeyError where a configuration asks for a larger model than the file holds."""
    for name, shape in _large_shapes(config):  # one after the other: a configuration may claim any number of them
        if tensors[name].shape != torch.Size(shape):
            raise ValueError(f"{name} is {tuple(tensors[name].shape)}, not {shape}")


def _large_shapes(config: Config) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the tensors that bound every size of a configuration."""
    for i, layer in enumerate(config.layers):
        yield f"{DECODER}cores.{i}.canvas_embedding.weight", (layer.embedding, 3 * layer.stride**2, 1, 1)
    counts = coefficient_counts([layer.stride for layer in config.layers])
    for i, (layer, coefficients) in enumerate(zip(config.layers, counts, strict=True)):
        core, kernel = f"cores.{i}.", (layer.kernel, layer.kernel)
        yield f"{DECODER}{core}synthesis.weight", (3 * layer.stride**2, coefficients, 1, 1)
        yield f"{DECODER}{core}write.weight", (3 * layer.stride**2, layer.state, 1, 1)
        yield f"{DECODER}{core}decoder.gates_from_input.weight", (4 * layer.state, 2 * layer.embedding, *kernel)
        yield f"{DECODER}{core}decoder.gates_from_state.weight", (4 * layer.state, layer.state, *kernel)
        inputs = layer.embedding + layer.encoder_state + layer.state
        yield f"{ENCODER}{core}encoder_gates.weight", (4 * layer.encoder_state, inputs, *kernel)
    for t, step in enumerate(config.steps):
        layer = config.layers[step.layer]
        heads, kernel = f"{DECODER}steps.{t}.", (layer.kernel, layer.kernel)
        coarser = config.layers[step.layer - 1].state if step.layer else 0
        yield f"{heads}prior_context.weight", (layer.context, 2 * layer.embedding, *kernel)
        yield f"{heads}prior_state.weight", (layer.context, layer.state + coarser, *kernel)
        yield f"{heads}prior_index.weight", ((step.last - step.first) * (1 + config.refines(t)), layer.context, 1, 1)
    channels, square = config.retouch.channels, (3, 3)
    yield f"{DECODER}retouch.entry.weight", (channels, 3 * config.retouch.stride**2, *square)
    yield f"{DECODER}retouch.stored.weight", (channels, len(config.steps) + 1, 1, 1)
    for i in range(config.retouch.layers - 2):
        yield f"{DECODER}retouch.hidden.{i}.weight", (channels, channels, *square)
    channels = config.residual.channels
    for t in range(RESIDUAL_STEPS):
        yield f"{DECODER}residual.steps.{t}.look.weight", (channels, 3 * SQUARE**2, *square)
        for i in range(config.residual.layers - 2):
            yield f"{DECODER}residual.steps.{t}.hidden.{i}.weight", (channels, channels, *square)


def thaw(path: str | PathLike[str], model: ConvDRAW) -> None:
    """Give the weights of a file to a model that is to be trained; they are quantised to the same integers again,
    unless steps have other quantisers than in the file: then what the weights say in cells moves along.

    Raises ModelError if the file holds a model of another configuration; the rest as ``load_model``.
    """
    frozen = load_model(path).model
    if _but_quantisers(frozen.config) != _but_quantisers(model.config):
        raise ModelError(f"{path} is a model of another configuration")
    learned, known = dict(model.integer_convolutions()), dict(frozen.integer_convolutions())
    with torch.no_grad():
        for name, module in learned.items():
            weight, multiplier, bias = known[name].quantised()
            assert module.weight is not None  # until frozen
            module.weight.copy_(weight * (multiplier / module.input_unit)[:, None, None, None])
            if module.bias is not None and bias is not None:
                module.bias.copy_(bias * multiplier)
        for name, parameter in frozen.named_parameters():
            model.get_parameter(name).copy_(parameter)
    model.widen_cells([new.quantiser / old.quantiser
                       for new, old in zip(model.config.steps, frozen.config.steps, strict=True)])


def _but_quantisers(config: Config) -> Config:
    return replace(config, name="", steps=tuple(replace(step, quantiser=1.0) for step in config.steps))


def freeze(model: ConvDRAW, tensors: dict[str, Tensor], convolution: str = "float32") -> None:
    """Put the stored integers and tables into a model. Raises ValueError or KeyError where they do not fit."""

    unknown = set(tensors)

    def take(name: str, dtype: torch.dtype, shape: torch.Size | tuple[int, ...]) -> Tensor:
        tensor = tensors[name]
        unknown.discard(name)
        if tensor.dtype != dtype or tensor.shape != torch.Size(shape):
            raise ValueError(f"{name} is {tensor.dtype} {tuple(tensor.shape)}, not {dtype} {tuple(shape)}")
        if dtype.is_floating_point and not tensor.abs().max() < LARGEST_FACTOR:
            raise ValueError(f"{name} holds what is no number, or is too large")
        return tensor

    exact = dict(model.integer_convolutions())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.rpartition(".")[0] not in exact and name != "initial_canvas":
                parameter.copy_(take(f"{ENCODER}{name}", torch.float16, parameter.shape))
        canvas = take(f"{DECODER}initial_canvas", torch.int32, model.initial_canvas.shape)
        if canvas.abs().max() > 255 * CANVAS_UNIT:
            raise ValueError("the first canvas is no colour")
        model.initial_canvas.copy_(canvas / CANVAS_UNIT)
    for name, module in exact.items():
        weight = take(f"{DECODER}{name}.weight", torch.int8, module.shape)
        multiplier = take(f"{DECODER}{name}.multiplier", torch.float32, weight.shape[:1])
        bias = None if module.bias is None else take(f"{DECODER}{name}.bias", torch.int32, weight.shape[:1])
        module.freeze(weight, multiplier, bias, convolution)
    model.luma = [take(f"{TABLES}luma.{layer}", torch.uint8, luma.shape) > 0 for layer, luma in enumerate(model.luma)]
    model.lapping = take(f"{TABLES}lapping", torch.int16, model.lapping.shape).double()
    for name, matrices in (("shrink", model.overlap.shrink), ("overlap", model.overlap.filters)):
        for level, matrix in enumerate(matrices):
            matrices[level] = take(f"{TABLES}{name}.{level}", torch.int16, matrix.shape).double()
    check_sums(model)
    size = gate_tables()[0].shape
    tables = (take(f"{TABLES}logistic", torch.int16, size).float(), take(f"{TABLES}tanh", torch.int16, size).float())
    if any(table.abs().max() > UNIT for table in tables):
        raise ValueError(f"the tables of logistic and tanh go beyond {UNIT}")
    for recurrence in model.modules():
        if isinstance(recurrence, IntegerConvLSTM):
            recurrence.look_up(*tables)
    for name, indices in (("frequencies", FAMILIES * SCALES), ("residual", lossless.CENTRES * lossless.SCALES)):
        table = take(f"{TABLES}{name}", torch.int32, (indices, SYMBOLS))
        if (table < 1).any() or (table.sum(1) != 1 << PRECISION).any():
            raise ValueError(f"the frequencies of {TABLES}{name} do not sum to 2**{PRECISION}, or are below 1")
    model.information = take(f"{TABLES}information", torch.int16, (FAMILIES * SCALES,)).long()
    if model.information.min() < 0:
        raise ValueError("the table of information has negative entries")
    if unknown:
        raise ValueError(f"it holds {', '.join(sorted(unknown))}, which no model has")
