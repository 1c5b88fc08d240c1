"""The container: round trips, truncation, damage."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convdraw_codec import CdrError, TruncatedError, inspect, truncate
from convdraw_codec.bitstream import HEADER_BYTES, MODES, Header, read, write

headers = st.builds(Header, width=st.integers(1, 65535), height=st.integers(1, 65535), mode=st.sampled_from(MODES),
                    steps=st.just(0), total_steps=st.just(255), model=st.binary(min_size=8, max_size=8).map(bytes.hex))
payloads = st.lists(st.binary(max_size=300), min_size=1, max_size=6)


def file_of(header: Header, segments: list[bytes]) -> tuple[Header, bytes]:
    header = Header(header.width, header.height, header.mode, len(segments), header.total_steps, header.model)
    return header, write(header, segments)


@given(headers, payloads)
def test_what_is_written_is_read(header, segments):
    header, data = file_of(header, segments)
    assert read(data) == (header, segments)
    assert inspect(data) == header


@given(headers, payloads)
def test_truncating_equals_writing_fewer_steps(header, segments):
    _, data = file_of(header, segments)
    for steps in range(1, len(segments) + 1):
        assert truncate(data, steps) == file_of(header, segments[:steps])[1]


@given(headers, payloads)
def test_overhead(header, segments):
    _, data = file_of(header, segments)
    assert len(data) - sum(map(len, segments)) <= 32 + 6 * len(segments)


SAMPLE = file_of(Header(40, 30, "RGB", 0, 9, "0123456789abcdef"), [b"one", b"", b"three" * 40, b"4"])[1]


def test_layout_of_a_whole_file():
    small = file_of(Header(258, 3, "L", 0, 2, "0011223344556677"), [b"\xaa", b""])[1]
    assert small.hex() == "cd434452" "01" "0011223344556677" "01" "0201" "0300" "02" "02" "fbe28f6b" \
                          "01aa" "ce5228e5" "00" "68283bae"


def test_every_flipped_bit_is_noticed():
    for position in range(8 * len(SAMPLE)):
        damaged = bytearray(SAMPLE)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(CdrError):
            read(bytes(damaged))


def test_every_cut_is_noticed_and_keeps_its_whole_steps():
    header, segments = read(SAMPLE)
    ends = [len(truncate(SAMPLE, steps)) for steps in range(1, header.steps + 1)]
    for length in range(len(SAMPLE)):
        whole = sum(end <= length for end in ends)
        with pytest.raises(CdrError) as caught:
            read(SAMPLE[:length])
        if length >= HEADER_BYTES:
            assert isinstance(caught.value, TruncatedError)
            assert caught.value.steps == whole
        if whole:
            kept, some = read(SAMPLE[:length], allow_truncated=True)
            assert (kept.steps, some) == (whole, segments[:whole])


def test_segments_out_of_order_are_noticed():
    _, data = file_of(Header(4, 4, "RGB", 0, 2, "00" * 8), [b"first", b"other"])
    body = data[HEADER_BYTES:]
    with pytest.raises(CdrError):
        read(data[:HEADER_BYTES] + body[len(body) // 2:] + body[:len(body) // 2])


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(50), b"\xcdCD", SAMPLE + b"more", SAMPLE * 2])
def test_what_is_no_file_is_refused(data):
    with pytest.raises(CdrError):
        read(data)


@pytest.mark.parametrize("steps", [0, 5, -1])
def test_steps_that_are_not_there(steps):
    with pytest.raises(CdrError, match="stores 4 steps"):
        truncate(SAMPLE, steps)


def test_the_container_needs_no_torch():
    program = ("import sys; from convdraw_codec import truncate, inspect, bitstream; import convdraw_codec.cli; "
               "sys.exit(bool({'torch', 'numpy', 'PIL'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
