"""Convolutions of bytes, exact on every machine: whole numbers multiplied and added by ONNX Runtime.

A convolution takes bytes 0..255 and gives bytes: the sum of products with whole weights of at most 63 in magnitude, and
a bias, times one float32 factor an output, rounded half to even, and cut off at 0 and 255. No product of two bytes
with its neighbour leaves 16 bits, and no sum leaves 24, so kernels for bytes (with VNNI or without) and float32 ones
give the same. What IEEE 754 leaves open does not occur.
"""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np

from ..errors import MachineError
from .onnx_graph import MICROSOFT, Node, pack_model

SUM_LIMIT = 2**24  # float32 holds every integer up to here
WEIGHT_LIMIT = 63  # pmaddubsw adds two products of u8 and s8 in int16: 2 * 255 * 63 fits
ZERO_POINT = 128  # the byte that stands for 0, where numbers have signs


Result = TypeVar("Result")


@dataclass(frozen=True)
class ByteConv:
    """weight: (outputs, inputs, kernel, kernel) int8. factor: (outputs,) float32. bias: (outputs,) int32."""

    weight: np.ndarray
    factor: np.ndarray
    bias: np.ndarray

    def largest_sum(self) -> int:
        """The largest magnitude that any sum can reach, whatever the bytes."""
        weights = np.abs(self.weight.astype(np.int16)).reshape(len(self.weight), -1)
        return int((weights.sum(1, dtype=np.int64) * 255 + np.abs(self.bias.astype(np.int64))).max())


INPUTS = {"x": (np.uint8, 4), "weight": (np.int8, 4), "factor": (np.float32, 1), "bias": (np.int32, 1)}


def _graph_of_bytes() -> tuple[list[Node], dict[str, np.ndarray]]:
    """By ONNX Runtime's kernels for bytes."""
    constants: dict[str, np.ndarray] = {"one": np.ones((), np.float32), "none": np.zeros((), np.uint8),
                                        "signed none": np.zeros((), np.int8)}
    inputs = ["x", "one", "none", "weight", "factor", "signed none", "one", "none", "bias"]
    return [Node("QLinearConv", inputs, "y", {"channels_last": 1}, MICROSOFT)], constants


def _graph_of_floats() -> tuple[list[Node], dict[str, np.ndarray]]:
    """By kernels for float32, which add whole numbers exactly up to 2**24."""
    real, whole, byte = {"to": 1}, np.zeros((), np.float32), {"to": 2}
    nodes = [Node("Cast", ["x"], "real x", real), Node("Transpose", ["real x"], "planes", {"perm": [0, 3, 1, 2]}),
             Node("Cast", ["weight"], "real weight", real), Node("Cast", ["bias"], "real bias", real),
             Node("Conv", ["planes", "real weight", "real bias"], "sums"),
             Node("Transpose", ["sums"], "positions", {"perm": [0, 2, 3, 1]}),
             Node("Mul", ["positions", "factor"], "product"), Node("Clip", ["product", "lowest", "highest"], "inside"),
             Node("Round", ["inside"], "whole"), Node("Cast", ["whole"], "y", byte)]
    return nodes, {"lowest": whole, "highest": whole + np.float32(255)}


GRAPHS = {"int8": _graph_of_bytes, "float32": _graph_of_floats}  # the fastest first
DEVICES = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
MOST_THREADS = 8  # more do not help with convolutions of this size


class Convolver:
    """Computes convolutions by one of ``GRAPHS``, and whole strips of a picture on several threads.

    threads: at most so many; None is one a core, up to 8. device: "cpu", or "cuda" where ONNX Runtime has it. Raises
    MachineError for a device that is not there.
    """

    def __init__(self, path: str, threads: int | None = None, device: str = "cpu"):
        import onnxruntime  # here, since it takes 0.1 s

        self.path = path
        self.threads = threads or min(available_cores(), MOST_THREADS)
        self._pool, self._process = ThreadPoolExecutor(self.threads), os.getpid()
        if DEVICES[device] not in onnxruntime.get_available_providers():
            raise MachineError(f"ONNX Runtime has no {device} here")
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        nodes, constants = GRAPHS[path]()
        provider = (DEVICES[device], {"use_tf32": "0"} if device == "cuda" else {})
        model = pack_model(nodes, constants, INPUTS, ("y", np.uint8, 4))
        self._session = onnxruntime.InferenceSession(model, options, providers=[provider])

    def __call__(self, conv: ByteConv, x: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
        """(H, W, inputs) uint8 -> (H - kernel + 1, W - kernel + 1, outputs) uint8. bias: in place of the own one."""
        bias = conv.bias if bias is None else bias
        given = {"x": x[None], "weight": conv.weight, "factor": conv.factor, "bias": bias}
        return cast(np.ndarray, self._session.run(None, given)[0][0])

    def each(self, function: Callable[[slice], Result], strips: Iterable[slice]) -> Iterator[Result]:
        """What the function makes of each strip, in order: some are on their way while one is awaited."""
        if self._process != os.getpid():  # a fork has none of the threads
            self._pool, self._process = ThreadPoolExecutor(self.threads), os.getpid()
        first, *others = strips
        if not others or self.threads == 1:
            yield from map(function, [first, *others])
            return
        waiting = deque[Future[Result]]()
        try:
            for strip in [first, *others]:
                waiting.append(self._pool.submit(function, strip))
                if len(waiting) > self.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def for_all(self, function: Callable[[slice], None], strips: Iterable[slice]) -> None:
        """Call the function for each strip."""
        for _ in self.each(function, strips):
            pass


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# inputs, outputs, kernel and size of the convolutions that are tried: kernels are chosen by shape
PROBES = [(64, 48, 1, 12), (64, 48, 1, 28), (64, 48, 3, 12), (64, 48, 3, 28), (1, 32, 3, 24), (12, 32, 3, 24),
          (32, 2, 3, 24), (96, 180, 1, 1), (7, 3, 3, 3), (195, 72, 1, 9), (168, 128, 3, 9)]


@functools.cache
def is_exact(path: str, device: str = "cpu") -> bool:
    """Whether one of ``GRAPHS`` computes on this machine what ``expected`` says."""
    rng = np.random.default_rng(0)
    try:
        convolver = Convolver(path, device=device)
        return all(_is_exact(convolver, *probe, rng) for probe in PROBES)
    except Exception as error:  # whatever this ONNX Runtime lacks
        if isinstance(error, MemoryError) or "allocate" in str(error):
            raise
        return False


def fastest_exact(device: str = "cpu") -> str:
    """The first of ``GRAPHS`` that is exact on this machine. Raises MachineError if there is none."""
    if path := next((path for path in GRAPHS if is_exact(path, device)), None):
        return path
    raise MachineError(f"no convolution of this machine's {device} adds whole numbers exactly")


def _is_exact(convolver: Convolver, inputs: int, outputs: int, kernel: int, size: int, rng: np.random.Generator
              ) -> bool:
    """Up to the largest sums, and products that lie in the middle between two bytes."""
    weight = rng.integers(-WEIGHT_LIMIT, WEIGHT_LIMIT + 1, (outputs, inputs, kernel, kernel), np.int8)
    x = rng.integers(0, 256, (size, size + 4, inputs), np.uint8)
    weight[0], x[:, 4:8] = WEIGHT_LIMIT, 255
    if outputs > 1:
        weight[1] = -WEIGHT_LIMIT
    factor = rng.uniform(1, 200, outputs).astype(np.float32) / (WEIGHT_LIMIT * inputs * kernel**2)
    factor[outputs // 2:] = 2.0**-14  # halves occur
    conv = ByteConv(weight, factor, rng.integers(-2**20, 2**20, outputs, np.int32))
    return np.array_equal(convolver(conv, x), expected(conv, x))


def expected(conv: ByteConv, x: np.ndarray) -> np.ndarray:
    """What a convolution is, by matrix products in float64."""
    outputs, _, kernel, _ = conv.weight.shape
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), (kernel, kernel), axis=(0, 1))
    matrix = conv.weight.astype(np.float64).reshape(outputs, -1)
    sums = windows.reshape(*windows.shape[:2], -1) @ matrix.T + conv.bias
    return np.rint(np.clip(sums.astype(np.float32) * conv.factor, 0, 255)).astype(np.uint8)
