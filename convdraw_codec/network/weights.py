"""Model files: a trained ConvDRAW <-> safetensors.

The decoder is stored as the integers with which it computes (int8 weights, float32 multipliers, int32 biases) and its
look-up tables; the encoder as float16. The fingerprint in a .cdr file is a hash of all that decides what it decodes to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from ..atomic_write import write_output
from ..configuration import from_table
from ..errors import ModelError
from ..format.constants import FINGERPRINT_BYTES, MODEL_FORMAT, PRECISION, SYMBOLS
from . import lossless
from .config import Config
from .conv_draw import CANVAS_MARGIN, CANVAS_UNIT, COLOUR_UNIT, ConvDRAW
from .exact_conv import SUM_LIMIT, UNIT, FrozenConv, Integers
from .lstm import IntegerConvLSTM, gate_tables
from .priors import frequency_table
from .untrained import widen_cells

LARGEST_FACTOR = 1e9  # of a stored real number: products with sums stay finite
DOUBLE_SUM_LIMIT = 2**53  # float64 holds every integer up to here
DECODER, ENCODER, TABLES = "decoder.", "encoder.", "tables."
FREQUENCIES, RESIDUAL = f"{TABLES}frequencies", f"{TABLES}residual"


def check_sums(name: str, integers: Integers, input_limit: int) -> None:
    """Raise ModelError if some input could take a convolution's sums out of the range in which they are exact."""
    largest = integers.largest_sum(input_limit)
    if not largest < SUM_LIMIT:
        raise ModelError(f"the sums of {name} can reach {largest:.0f}, and 2**24 is where exactness ends")


def check_transforms(model: ConvDRAW) -> None:
    """Raise ModelError if the sums of the transforms between canvas and picture could leave their exact range."""
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


def _tables(model: ConvDRAW) -> Iterator[tuple[str, str, torch.dtype]]:
    """Of each buffer of a model: name in a file, name in the model, type in a file."""
    for layer in range(len(model.cores)):
        yield f"{TABLES}luma.{layer}", f"luma_{layer}", torch.uint8
    for level in range(model.overlap.levels):
        yield f"{TABLES}shrink.{level}", f"overlap.shrink_{level}", torch.int16
        yield f"{TABLES}overlap.{level}", f"overlap.filter_{level}", torch.int16
    yield f"{TABLES}lapping", "lapping", torch.int16
    yield f"{TABLES}information", "information", torch.int16


def constant_tables() -> dict[str, Tensor]:
    """The look-up tables of the recurrence, and the frequencies for the range coders."""
    logistic, tanh = (table.to(torch.int16) for table in gate_tables())
    frequencies, residual = (table(SYMBOLS, PRECISION).to(torch.int32)
                             for table in (frequency_table, lossless.frequency_table))
    return {f"{TABLES}logistic": logistic, f"{TABLES}tanh": tanh, FREQUENCIES: frequencies, RESIDUAL: residual}


def save_model(model: ConvDRAW, path: str | PathLike[str]) -> None:
    """Write a trained model. Raises ModelError, and writes nothing, if it could leave the exact range."""
    check_transforms(model)
    tensors: dict[str, Tensor] = {}
    with torch.no_grad():
        exact = []
        for name, convolution in model.integer_convolutions():
            weight, multiplier, bias = integers = convolution.quantised()
            check_sums(name, integers, convolution.input_limit)
            exact.append(name)
            tensors[f"{DECODER}{name}.weight"] = weight.to(torch.int8)
            tensors[f"{DECODER}{name}.multiplier"] = multiplier.float()
            if bias is not None:
                tensors[f"{DECODER}{name}.bias"] = bias.to(torch.int32)
        tensors[f"{DECODER}initial_canvas"] = model.first_canvas().to(torch.int32)
        for name, parameter in model.named_parameters():
            if name.rpartition(".")[0] not in exact and name != "initial_canvas":
                tensors[f"{ENCODER}{name}"] = parameter.to(torch.float16)
    for table, buffer, dtype in _tables(model):
        tensors[table] = model.get_buffer(buffer).to(dtype)
    tensors = {name: tensor.cpu().contiguous() for name, tensor in (tensors | constant_tables()).items()}
    metadata = {"format": MODEL_FORMAT, "config": json.dumps(asdict(model.config))}
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
    data = Path(path).read_bytes()
    with safe_open(path, "np") as file, torch.device("cpu"):
        return file.metadata() or {}, load(data)


def load_model(path: str | PathLike[str], convolution: str = "float32") -> Loaded:
    """Read a model file. Raises ModelError if it is none of this format or could leave the exact range, OSError."""
    try:
        metadata, tensors = read_tensors(path)
        if metadata.get("format") != MODEL_FORMAT:
            raise ValueError(f"its format is not {MODEL_FORMAT!r}")
        config = from_table(Config, json.loads(metadata["config"]), "[model]")
    except (SafetensorError, KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not a cdraw model: {error}") from error
    try:
        with torch.device("meta"):  # sizes alone: nothing is allocated for what the file does not hold
            model = ConvDRAW(config)
        with torch.device("cpu"), torch.no_grad():
            freeze(model, tensors, convolution)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} does not hold what its configuration promises: {error}") from error
    model.eval().requires_grad_(False)
    return Loaded(model, tensors[FREQUENCIES], tensors[RESIDUAL], fingerprint(config, tensors))


def thaw(path: str | PathLike[str], model: ConvDRAW) -> None:
    """Give the weights of a file to a model that is to be trained. They are quantised to the same integers again,
    unless steps have other quantisers than in the file: then what they say in cells moves along. Raises ModelError if
    the file holds a model of another configuration; the rest as ``load_model``."""
    frozen = load_model(path).model
    sizes, others = ((c.layers, [(step.layer, step.first, step.last) for step in c.steps], c.retouch, c.residual)
                     for c in (frozen.config, model.config))
    if sizes != others:
        raise ModelError(f"{path} is a model of another configuration")
    with torch.no_grad():
        for name, module in model.integer_convolutions():
            weight, multiplier, bias = cast(FrozenConv, frozen.get_submodule(name)).integers
            module.weight.copy_(weight * (multiplier / module.input_unit)[:, None, None, None])
            if module.bias is not None and bias is not None:
                module.bias.copy_(bias * multiplier)
        for name, parameter in frozen.named_parameters():
            model.get_parameter(name).copy_(parameter)
    widen_cells(model, [new.quantiser / old.quantiser
                        for new, old in zip(model.config.steps, frozen.config.steps, strict=True)])


def freeze(model: ConvDRAW, tensors: dict[str, Tensor], convolution: str) -> None:
    """Give a model on the meta device the stored integers and tables. Raises ValueError or KeyError where they do not
    fit, ModelError where they could leave the exact range."""
    unknown = set(tensors)

    def take(name: str, dtype: torch.dtype, shape: torch.Size | tuple[int, ...]) -> Tensor:
        tensor = tensors[name]
        unknown.discard(name)
        if tensor.dtype != dtype or tensor.shape != torch.Size(shape):
            raise ValueError(f"{name} is {tensor.dtype} {tuple(tensor.shape)}, not {dtype} {tuple(shape)}")
        if dtype.is_floating_point and not tensor.abs().max() < LARGEST_FACTOR:
            raise ValueError(f"{name} holds what is no number, or is too large")
        return tensor

    for name, module in list(model.integer_convolutions()):
        shape = module.weight.shape
        integers = Integers(take(f"{DECODER}{name}.weight", torch.int8, shape),
                            take(f"{DECODER}{name}.multiplier", torch.float32, shape[:1]),
                            None if module.bias is None else take(f"{DECODER}{name}.bias", torch.int32, shape[:1]))
        check_sums(name, integers, module.input_limit)
        model.set_submodule(name, FrozenConv(module, integers, convolution))
    canvas = take(f"{DECODER}initial_canvas", torch.int32, model.initial_canvas.shape)
    if canvas.abs().max() > 255 * CANVAS_UNIT:
        raise ValueError("the first canvas is no colour")
    real = {name: take(f"{ENCODER}{name}", torch.float16, parameter.shape).float()
            for name, parameter in model.named_parameters() if name != "initial_canvas"}
    model.load_state_dict(real | {"initial_canvas": canvas.float() / CANVAS_UNIT}, assign=True)
    for table, buffer, dtype in _tables(model):
        owner, _, name = buffer.rpartition(".")
        old = model.get_buffer(buffer)
        setattr(model.get_submodule(owner), name, take(table, dtype, old.shape).to(old.dtype))
    check_transforms(model)
    if model.information.min() < 0:
        raise ValueError("the table of information has negative entries")
    logistic, tanh, *frequencies = (take(name, table.dtype, table.shape) for name, table in constant_tables().items())
    if max(logistic.abs().max(), tanh.abs().max()) > UNIT:
        raise ValueError(f"the tables of logistic and tanh go beyond {UNIT}")
    for recurrence in model.modules():
        if isinstance(recurrence, IntegerConvLSTM):
            recurrence.look_up(logistic.float(), tanh.float())
    for name, counts in zip((FREQUENCIES, RESIDUAL), frequencies, strict=True):
        if (counts < 1).any() or (counts.sum(1) != 1 << PRECISION).any():
            raise ValueError(f"the frequencies of {name} do not sum to 2**{PRECISION}, or are below 1")
    if unknown:
        raise ValueError(f"it holds {', '.join(sorted(unknown))}, which no model has")
