"""Convolutions of bytes: every path is exact, at the limits as well."""

import os
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convdraw_codec.errors import MachineError
from convdraw_codec.network.convolution import (
    GRAPHS,
    SUM_LIMIT,
    WEIGHT_LIMIT,
    ZERO_POINT,
    ByteConv,
    Convolver,
    expected,
    fastest_exact,
    is_exact,
)
from convdraw_codec.network.prior import strips
from convdraw_codec.training.networks.byte_conv import Output, TrainedConv

PATHS = [path for path in GRAPHS if is_exact(path)]


def conv_of(inputs: int, outputs: int, kernel: int, seed: int, limit: int = WEIGHT_LIMIT) -> ByteConv:
    rng = np.random.default_rng(seed)
    weight = rng.integers(-limit, limit + 1, (outputs, inputs, kernel, kernel), np.int8)
    factor = (rng.uniform(0.1, 4, outputs) * 255 / (limit * 255 * inputs * kernel**2)).astype(np.float32)
    return ByteConv(weight, factor, rng.integers(-2**18, 2**18, outputs, np.int32))


def slowly(conv: ByteConv, x: np.ndarray) -> np.ndarray:
    """In Python's integers, and float32 for the factor alone."""
    outputs, _, kernel, _ = conv.weight.shape
    height, width = x.shape[0] - kernel + 1, x.shape[1] - kernel + 1
    result = np.empty((height, width, outputs), np.uint8)
    for o in range(outputs):
        for y in range(height):
            for z in range(width):
                window = x[y:y + kernel, z:z + kernel].astype(int).transpose(2, 0, 1)
                total = int((window * conv.weight[o].astype(int)).sum()) + int(conv.bias[o])
                product = np.float32(total) * conv.factor[o]
                result[y, z, o] = np.rint(min(max(product, np.float32(0)), np.float32(255)))
    return result


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(PATHS), st.integers(1, 40), st.integers(1, 20), st.sampled_from((1, 3)), st.integers(3, 9),
       st.integers(3, 9), st.integers(0, 999))
def test_every_path_computes_the_definition(path: str, inputs: int, outputs: int, kernel: int, height: int, width: int,
                                            seed: int) -> None:
    conv, rng = conv_of(inputs, outputs, kernel, seed), np.random.default_rng(seed)
    x = rng.choice([0, 255, 128, 1], (height, width, inputs)).astype(np.uint8) if seed % 2 else rng.integers(
        0, 256, (height, width, inputs), np.uint8)
    assert np.array_equal(Convolver(path, 1)(conv, x), expected(conv, x))


def test_the_definition_in_whole_numbers() -> None:
    conv, x = conv_of(5, 3, 3, 0), np.random.default_rng(1).integers(0, 256, (6, 7, 5), np.uint8)
    assert np.array_equal(expected(conv, x), slowly(conv, x))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_threads_change_nothing(path: str, threads: int) -> None:
    conv, x = conv_of(60, 40, 3, 5), np.random.default_rng(2).integers(0, 256, (70, 80, 60), np.uint8)
    assert np.array_equal(Convolver(path, threads)(conv, x), expected(conv, x))


@pytest.mark.parametrize("path", PATHS)
def test_halves_are_rounded_to_even(path: str) -> None:
    conv = ByteConv(np.array([[[[1]]], [[[-1]]]], np.int8), np.full(2, 0.5, np.float32), np.array([0, 301], np.int32))
    x = np.arange(256, dtype=np.uint8)[:, None, None]
    found = Convolver(path, 1)(conv, x)[:, 0]
    assert found[:6, 0].tolist() == [0, 0, 1, 2, 2, 2]
    assert np.array_equal(found[:, 1], np.rint((301 - np.arange(256)) / 2))


@pytest.mark.parametrize("path", PATHS)
def test_a_bias_in_place_of_the_own_one(path: str) -> None:
    conv, x = conv_of(4, 3, 1, 7), np.random.default_rng(3).integers(0, 256, (5, 5, 4), np.uint8)
    other = np.array([5, -700, 90000], np.int32)
    changed = ByteConv(conv.weight, conv.factor, other)
    assert np.array_equal(Convolver(path, 1)(conv, x, other), expected(changed, x))


def test_the_largest_sum() -> None:
    conv = conv_of(9, 4, 3, 1)
    loudest = np.where(conv.weight > 0, 255, 0), np.where(conv.weight < 0, 255, 0)
    reached = max(abs(int((conv.weight[o].astype(int) * x[o]).sum()) + int(conv.bias[o]))
                  for x in loudest for o in range(4))
    assert reached <= conv.largest_sum() < SUM_LIMIT


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_computes_as_well() -> None:
    convolver, conv = Convolver(PATHS[0], 2), conv_of(30, 20, 3, 4)
    x = np.random.default_rng(2).integers(0, 256, (40, 50, 30), np.uint8)
    right = expected(conv, x)

    def works() -> bool:
        found = convolver.each(lambda strip: convolver(conv, x[strip.start:strip.stop + 2]), strips(38, 9, 2))
        return np.array_equal(np.concatenate(list(found)), right)

    assert works()
    child = os.fork()
    if not child:
        os._exit(0 if works() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_strips_come_in_order_whichever_is_done_first(threads: int) -> None:
    last_is_done = threading.Event()

    def function(strip: slice) -> int:
        if strip.start == threads - 1:
            last_is_done.set()
        if strip.start < threads - 1:
            assert last_is_done.wait(60)
        if strip.start == 6:
            raise ValueError("the seventh")
        return strip.start

    found = Convolver("float32", threads).each(function, [slice(i, i + 1) for i in range(10)])
    assert [next(found) for _ in range(6)] == list(range(6))
    with pytest.raises(ValueError, match="the seventh"):
        next(found)


def test_devices_that_are_not_there() -> None:
    assert fastest_exact() in PATHS
    assert not is_exact("float32", "cuda")
    with pytest.raises(MachineError, match="no convolution of this machine's cuda"):
        fastest_exact("cuda")


def test_an_output_that_sees_nothing_is_its_offset() -> None:
    """However small the weights are, to which the bias is relative."""
    conv = TrainedConv(2, [(3, Output(64, ZERO_POINT))], 1)
    with torch.no_grad():
        conv.weight.mul_(torch.tensor([[1.0], [1e-8], [0.0]]))
    weight, factor = conv.integers()
    byte_conv = ByteConv(weight, factor, conv.integer_bias(torch.zeros(3)))
    found = expected(byte_conv, np.zeros((1, 1, 2), np.uint8))
    assert np.array_equal(found[0, 0], [ZERO_POINT] * 3)
