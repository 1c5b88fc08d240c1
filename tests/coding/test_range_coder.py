"""Range coding of symbols, against an independent coder and against the entropy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convdraw_codec import CdrError
from convdraw_codec.coding.range_coder import SymbolCoder
from convdraw_codec.network.tables import ALL_ROWS, FIRST, REFINE, ZERO, frequency_table, slope_table

from ..reference_decoder.segments import decoded

FREQUENCIES = frequency_table()
SLOPES = slope_table()
CODER = SymbolCoder(FREQUENCIES, SLOPES)


def encode(symbols: np.ndarray, rows: np.ndarray) -> bytes:
    return CODER.encode([(symbols, rows)])


def decode(data: bytes, rows: np.ndarray, cut: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
    [found] = CODER.decode(data, [rows], cut)
    return found


def draw(seed: int, count: int, odd: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """Rows at random, and symbols that follow them, but for a few of the first family."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(FREQUENCIES), count).astype(np.uint16)
    symbols = CODER.sample(rows, seed, 0)
    strange = (rng.random(count) < odd) & (rows < ZERO)
    symbols[strange] = rng.integers(-256, 256, strange.sum())
    return symbols, rows


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(0, 300), st.sampled_from((0.0, 0.02, 0.9)))
def test_symbols_come_back(seed: int, count: int, odd: float) -> None:
    symbols, rows = draw(seed, count, odd)
    data = encode(symbols, rows)
    found, known = decode(data, rows)
    assert known is None
    assert np.array_equal(found, symbols)
    assert not data or data[-1]  # zeros at the end are left out


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 200), st.sampled_from((0.02, 0.5)), st.data())
def test_a_second_decoder_finds_the_same(seed: int, count: int, odd: float, more: st.DataObject) -> None:
    """Whole, and cut at any byte."""
    symbols, rows = draw(seed, count, odd)
    data = encode(symbols, rows)
    whole, _ = decoded(FREQUENCIES, SLOPES, data, rows, cut=False)
    assert np.array_equal(whole, symbols)
    part = data[:more.draw(st.integers(0, len(data)))]
    found, known = decode(part, rows, cut=True)
    expected, there = decoded(FREQUENCIES, SLOPES, part, rows, cut=True)
    assert known is not None
    assert np.array_equal(known, there)
    assert np.array_equal(found[there], expected[there])
    assert np.array_equal(found[there], symbols[there])


@pytest.mark.parametrize("sizes", [(0, 200), (1, 0, 7, 192), (64, 64, 72)])
def test_parts_follow_one_another_in_every_row(monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...]) -> None:
    symbols, rows = draw(3, 200, 0.3)
    ends = np.cumsum(sizes)[:-1]
    data, of_parts = encode(symbols, rows), np.split(rows, ends)
    assert CODER.encode(zip(np.split(symbols, ends), of_parts, strict=True)) == data
    assert np.array_equal(np.concatenate([found for found, _ in CODER.decode(data, of_parts)]), symbols)
    part = data[:len(data) // 2]
    expected, sure = decode(part, rows, cut=True)
    assert sure is not None
    for piece in (4096, 3):
        monkeypatch.setattr("convdraw_codec.coding.range_coder.PIECE", piece)
        found, known = (np.concatenate(each) for each in zip(*CODER.decode(part, of_parts, cut=True), strict=True))
        assert np.array_equal(known, sure)
        assert np.array_equal(found[known], expected[known])


@pytest.mark.parametrize("family", [FIRST, ZERO, REFINE])
def test_the_size_is_the_entropy(family: int) -> None:
    rows = np.full(40_000, family + 30, np.uint16)
    symbols = CODER.sample(rows, 1, 2)
    share = FREQUENCIES[rows[0]] / 2**24
    bits = -np.log2(share[symbols.astype(int) + 15]).sum()
    assert 8 * len(encode(symbols, rows)) == pytest.approx(bits, abs=40, rel=1e-3)


def test_samples_follow_their_rows() -> None:
    rows = np.repeat(np.array([20, 300, 540], np.uint16), 30_000)
    drawn = CODER.sample(rows, 5, 1)
    for row in (20, 300, 540):
        share = np.bincount(drawn[rows == row] + 15, minlength=32) / 30_000
        assert np.abs(share - FREQUENCIES[row] / 2**24).max() < 0.01
    assert np.array_equal(drawn, CODER.sample(rows, 5, 1))
    assert not np.array_equal(drawn, CODER.sample(rows, 5, 2))


def test_no_symbols_take_no_bytes() -> None:
    none = np.empty(0, np.uint8)
    assert encode(none.astype(np.int16), none) == b""
    assert len(decode(b"", none)[0]) == 0


def test_data_that_no_encoder_made() -> None:
    rows = np.full(2000, REFINE, np.uint16)
    with pytest.raises(CdrError, match="not made by a cdraw encoder"):
        for seed in range(50):
            decode(np.random.default_rng(seed).bytes(40) + b"\xff" * 8, rows)


def test_a_cut_is_decoded_without_an_error_whatever_it_holds() -> None:
    rows = np.random.default_rng(0).integers(0, ALL_ROWS, 500).astype(np.uint16)
    for seed in range(60):
        _, known = decode(np.random.default_rng(seed).bytes(seed), rows, cut=True)
        assert known is not None


def test_what_is_next_to_certain_costs_next_to_nothing() -> None:
    """Rows in which 0 is next to certain: 64 symbols a bit, and a symbol that is not 0 makes one group larger."""
    rows = np.full(6400, ZERO, np.uint16)
    symbols = np.zeros(6400, np.int16)
    assert len(encode(symbols, rows)) <= 1
    symbols[[100, 6399]] = 1, -1
    data = encode(symbols, rows)
    assert len(data) < 10
    assert np.array_equal(decode(data, rows)[0], symbols)
