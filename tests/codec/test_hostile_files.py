"""Crafted and wrong .cdr files: decoded or refused, and nothing is allocated for what they claim."""

import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convdraw_codec import CdrError, Codec, ImageError
from convdraw_codec.coding.sessions import Session
from convdraw_codec.format.bitstream import Contents, Header, read, write

from ..conftest import synthetic, with_alpha
from ..tiny import TINY_MODEL


def test_arguments_of_decompress_that_make_no_sense(tiny: Codec) -> None:
    data = tiny.compress(synthetic(6, 9))
    for arguments, error in (((data, 2.5), TypeError), ((5,), TypeError),
                             ((data, 3, "prior", 2**64), ValueError), ((data, 3, "prior", -1), ValueError)):
        with pytest.raises(error):
            tiny.decompress(*arguments)


def test_a_file_of_another_model(tiny: Codec) -> None:
    other = Header(8, 8, "RGB", 1, 7, "00" * 8)
    for call in (tiny.decompress, tiny.progressive):
        with pytest.raises(CdrError, match="made with model 0000000000000000"):
            call(write(Contents(other, [b""])))


@pytest.mark.parametrize("alpha", [b"", b"no picture", None])
def test_an_alpha_channel_that_does_not_fit_is_refused(tiny: Codec, alpha: Any) -> None:
    contents = read(tiny.compress(with_alpha(8, 9), 1))
    other = read(tiny.compress(with_alpha(9, 9), 1)).chunks["ALPH"]
    damaged = write(replace(contents, chunks={"ALPH": other if alpha is None else alpha}))
    with pytest.raises(CdrError, match="alpha channel"):
        tiny.decompress(damaged)


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=60))
def test_crafted_payloads_decode_or_are_refused(tiny: Codec, payload: bytes) -> None:
    """With valid checksums, whatever is inside."""
    data = write(Contents(Header(9, 9, "RGB", 1, 7, tiny.fingerprint), [payload]))
    try:
        assert tiny.decompress(data).size == (9, 9)
    except CdrError as error:
        assert "not made by a cdraw encoder" in str(error)


def test_coefficients_that_no_picture_has_are_refused(tiny: Codec) -> None:
    header = Header(16, 16, "RGB", 1, 7, tiny.fingerprint)
    [(part, rows)] = Session(tiny.network, header).parts(0)
    payload = tiny.network.symbols(0).encode([(part.flat(np.full(rows.shape, 250)), part.flat(rows))])
    with pytest.raises(CdrError, match="step 1 holds a coefficient that no picture has"):
        tiny.decompress(write(Contents(header, [payload])))


def test_a_huge_header_allocates_nothing(tiny: Codec) -> None:
    huge = Header(65535, 65535, "RGB", 1, 7, tiny.fingerprint)
    with pytest.raises(CdrError, match="allowed"):
        tiny.decompress(write(Contents(huge, [b""])))


def test_how_many_pixels_a_codec_takes_is_its_own_choice(tiny: Codec) -> None:
    small, picture = Codec(TINY_MODEL, max_pixels=90), synthetic(9, 10)
    data = small.compress(picture)
    assert small.decompress(data).size == (10, 9)
    assert pickle.loads(pickle.dumps(small)).max_pixels == 90
    with pytest.raises(ImageError, match=r"more than the 90 pixels allowed: .*max_pixels="):
        small.compress(synthetic(10, 10))
    larger = tiny.compress(synthetic(10, 10))
    for refuses in (small.decompress, small.progressive, lambda data: small.progressive(iter([data]))):
        with pytest.raises(CdrError, match=r"10x10 pixels are more than the 90 allowed: .*max_pixels="):
            refuses(larger)


def test_pixels_are_counted_before_chunks_are_read(tiny: Codec) -> None:
    header = Header(65535, 65535, "RGB", 1, 7, tiny.fingerprint, chunks=1).pack()

    def arriving() -> Iterator[bytes]:
        yield header
        raise AssertionError("nothing behind the header matters")

    with pytest.raises(CdrError, match="allowed"):
        tiny.progressive(arriving())
