"""Range coding of latents, against an independent coder and against the entropy."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from convdraw_codec import CdrError
from convdraw_codec.coding.range_coder import LatentCoder
from convdraw_codec.coding.scale_offsets import LIMIT, UNIT, Shifts, shift_frequencies
from convdraw_codec.format.constants import ESCAPE, LARGEST, PRECISION, SYMBOLS
from convdraw_codec.network.priors import SHIFT_GROUPS, frequency_table

FREQUENCIES = frequency_table(SYMBOLS, PRECISION).numpy()
CODER = LatentCoder(FREQUENCIES, SHIFT_GROUPS)
SHIFTS = Shifts(SHIFT_GROUPS, 64)


def draw(seed: int, maps: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Rows at random, latents that mostly follow them; kinds of maps."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(FREQUENCIES), (maps, height, width)).astype(np.uint8)
    latents = CODER.sample(rows, seed, 0)
    odd = rng.random(latents.shape) < 0.02
    latents[odd] = rng.integers(-63, 64, odd.sum())
    return latents, rows, rng.integers(0, 2, maps).tolist()


def decode_by_hand(data: bytes, rows: np.ndarray, kinds: list[int]) -> np.ndarray:
    """The range decoder of docs/format.md with Python's integers."""
    words = iter(np.frombuffer(data + b"\0" * (-len(data) % 4), ">u4").tolist())
    point = next(words, 0) << 32 | next(words, 0)
    lower, span = 0, 2**64 - 1

    def symbol(frequencies: list[int]) -> int:
        nonlocal point, lower, span
        scale = span >> PRECISION
        quantile = ((point - lower) % 2**64) // scale
        value = start = 0
        while quantile >= start + frequencies[value]:
            start += frequencies[value]
            value += 1
        frequency = frequencies[value]
        lower, span = (lower + scale * start) % 2**64, scale * frequency
        if span < 2**32:
            lower, span = (lower << 32) % 2**64, span << 32
            point = (point << 32) % 2**64 | next(words, 0)
        return value

    latents = np.zeros(rows.shape, dtype=np.int32)
    groups = np.where(rows >= 128, 0, 1 + np.array(kinds)[:, None, None])
    shifts = {group: symbol(shift_frequencies(PRECISION).tolist()) - 7 for group in np.unique(groups).tolist()}
    for latent_map, row_map, group_map in zip(latents, rows, groups, strict=True):
        scale = np.clip(row_map % 64 + 2 * np.vectorize(shifts.get)(group_map), 0, 63)
        flat, row_flat = latent_map.reshape(-1), (row_map // 64 * 64 + scale).reshape(-1)
        for row in sorted(set(row_flat.tolist())):
            for position in np.flatnonzero(row_flat == row):
                flat[position] = symbol(FREQUENCIES[row].tolist())
        escaped = flat == ESCAPE
        flat -= LARGEST
        for position in np.flatnonzero(escaped):
            flat[position] = symbol([2**16] * 256) - 128
    return latents


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))
def test_round_trip(seed: int, maps: int, height: int, width: int) -> None:
    latents, rows, kinds = draw(seed, maps, height, width)
    assert np.array_equal(list(CODER.decode(CODER.encode(latents, rows, kinds), rows, kinds)), latents)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))
def test_not_a_byte_to_spare(seed: int, maps: int, height: int, width: int) -> None:
    latents, rows, kinds = draw(seed, maps, height, width)
    data = CODER.encode(latents, rows, kinds)
    assume(data)
    assert not data.endswith(b"\0")
    try:
        shorter = list(CODER.decode(data[:-1], rows, kinds))
    except CdrError:
        return
    assert not np.array_equal(shorter, latents)


@settings(deadline=None, max_examples=50)
@example(381996, 5, b"")  # an escape whose latent has not come yet
@given(st.integers(0, 10**6), st.integers(0, 300), st.binary(max_size=9))
def test_what_is_known_of_a_cut_is_true(seed: int, length: int, other: bytes) -> None:
    """Whatever follows the cut, the known maps are those that were encoded; more bytes never know less."""
    latents, rows, kinds = draw(seed, 6, 4, 5)
    data = CODER.encode(latents, rows, kinds)
    part = list(CODER.decode(data[:length], rows, kinds, cut=True))
    assert all(map(np.array_equal, part, latents))
    assert len(list(CODER.decode(data[:length + 4], rows, kinds, cut=True))) >= len(part)
    if length >= len(data):
        assert len(part) >= len(latents) - 1  # the very end may be open
        return
    try:
        continued = list(CODER.decode(data[:length] + other, rows, kinds))
    except CdrError:
        return
    assert all(map(np.array_equal, part, continued))


def test_an_independent_range_decoder_agrees() -> None:
    latents, rows, kinds = draw(3, 5, 12, 17)
    assert np.array_equal(decode_by_hand(CODER.encode(latents, rows, kinds), rows, kinds), latents)


def test_size_is_the_entropy() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(FREQUENCIES), (8, 100, 100)).astype(np.uint8)
    latents = CODER.sample(rows, 1, 0)
    frequency = FREQUENCIES[rows, np.minimum(latents + LARGEST, ESCAPE)]
    ideal = -np.log2(frequency / 2.0**PRECISION).sum() / 8 + (np.abs(latents) > LARGEST).sum()
    assert 0.999 * ideal < len(CODER.encode(latents, rows, [0, 1] * 4)) < 1.001 * ideal + 8


def test_literal_bytes() -> None:
    rows = np.array([[[20, 90, 150], [20, 90, 150]]], dtype=np.uint8)
    latents = np.array([[[0, 1, -1], [-2, 0, 40]]])
    assert CODER.encode(latents, rows, [0]).hex() == "6bfdf93b21f9"


def test_samples_depend_on_seed_and_step_alone() -> None:
    rows = np.full((2, 6, 6), 40, dtype=np.uint8)
    first = CODER.sample(rows, 1, 2)
    assert np.array_equal(first, CODER.sample(rows, 1, 2))
    assert not np.array_equal(first, CODER.sample(rows, 2, 2))
    assert not np.array_equal(first, CODER.sample(rows, 1, 3))


def test_samples_follow_the_prior() -> None:
    rows = np.full((1, 200, 200), 30, dtype=np.uint8)
    counts = np.bincount(CODER.sample(rows, 5, 0).reshape(-1) + LARGEST, minlength=SYMBOLS) / rows.size
    assert np.abs(counts - FREQUENCIES[30] / 2.0**PRECISION).max() < 0.01



def test_shifts_have_probabilities_of_their_own() -> None:
    frequencies = shift_frequencies(PRECISION)
    assert frequencies.sum() == 2**PRECISION
    assert frequencies.tolist() == frequencies[::-1].tolist()
    assert (np.log2(frequencies[LIMIT:]) - PRECISION).round(2).tolist() == [-0.99, -3, -4, -5, -6, -7, -8, -9]


@pytest.mark.parametrize("by", [-5, 0, 3])
def test_a_prior_that_is_off_is_put_right(by: int) -> None:
    """Latents of other scales than the rows say, in one group; the others stay as they are."""
    rng = np.random.default_rng(4)
    rows, kinds = rng.integers(20, 40, (6, 60, 60)).astype(np.uint8), [0, 1, 0, 1, 0, 1]
    off = rows + (UNIT * by * (np.array(kinds) == 1)[:, None, None]).astype(np.uint8)
    latents = CODER.sample(off, 2, 0)
    symbols = np.minimum(latents + LARGEST, ESCAPE)
    groups = SHIFTS.there(rows, kinds)
    assert groups.tolist() == [1, 2]
    assert SHIFTS.best(symbols, rows, kinds, groups, FREQUENCIES).tolist() == [0, by]
    assert len(CODER.encode(latents, rows, kinds)) <= len(CODER.encode(latents, off, kinds)) + 2


def test_shifts_end_where_a_family_does() -> None:
    rows = np.arange(192, dtype=np.uint8)
    moved = SHIFTS.shifted(np.array([0, 1, 2]), np.array([7, -7, 0]))
    assert np.array_equal(moved // 64, np.stack([rows // 64] * 2))
    assert moved[0, [0, 63, 64, 127, 128, 177, 191]].tolist() == [0, 49, 64, 113, 142, 191, 191]
    assert np.array_equal(moved[1, :128], rows[:128])


def test_a_few_latents_are_not_worth_a_shift() -> None:
    rows = np.full((1, 2, 2), 30, np.uint8)
    assert SHIFTS.best(np.full((1, 4), LARGEST), rows, [0], np.array([1]), FREQUENCIES).tolist() == [0]
