"""The container: round trips, truncation, damage."""

import itertools
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.robustness.sealing import seal
from convdraw_codec import CdrError, TruncatedError, inspect, truncate
from convdraw_codec.format.bitstream import HEADER_BYTES, Contents, Header, Incoming, read, write
from convdraw_codec.format.constants import MODES
from convdraw_codec.format.rotation import Colours

colours = st.builds(Colours, st.tuples(*[st.integers(0, 255)] * 3), st.tuples(*[st.integers(-128, 127)] * 3))
headers = st.builds(Header, width=st.integers(1, 65535), height=st.integers(1, 65535), mode=st.sampled_from(MODES),
                    steps=st.just(0), total_steps=st.just(255), model=st.binary(min_size=8, max_size=8).map(bytes.hex),
                    colours=colours)
chunks = st.dictionaries(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=4, max_size=4),
                         st.binary(max_size=200), max_size=4)
payloads = st.lists(st.binary(max_size=300), min_size=1, max_size=6)


def file_of(header: Header, segments: list[bytes], chunks: dict[str, bytes] | None = None) -> tuple[Contents, bytes]:
    chunks = chunks or {}
    contents = Contents(replace(header, steps=len(segments), chunks=len(chunks)), segments, chunks)
    return contents, write(contents)


@given(headers, payloads, chunks)
def test_what_is_written_is_read(header, segments, chunks):
    contents, data = file_of(header, segments, chunks)
    assert read(data) == contents
    assert inspect(data) == contents.header


@given(headers, payloads)
def test_truncating_equals_writing_fewer_steps(header, segments):
    _, data = file_of(header, segments)
    for steps in range(1, len(segments) + 1):
        assert truncate(data, steps) == file_of(header, segments[:steps])[1]


@given(headers, payloads, chunks, st.integers(1, 2500))
def test_cutting_to_a_size(header, segments, chunks, size):
    """At most that many bytes, as many as there are but for a part too short to hold one, and a beginning."""
    contents, data = file_of(header, segments, chunks)
    try:
        cut = truncate(data, size=size)
    except CdrError:
        assert size < len(write(replace(contents, segments=[b"x"])))
        return
    assert min(size, len(data)) - 6 <= len(cut) <= size
    kept = read(cut)
    assert kept.chunks == contents.chunks
    assert (kept.header.steps + kept.header.cut) == len(kept.segments)
    *whole, last = kept.segments
    assert whole == segments[:len(whole)]
    assert last == segments[len(whole)][:len(last)]
    assert kept.header.cut or last == segments[len(whole)]
    assert truncate(cut, size=size) == cut


@given(headers, payloads)
@example(Header(1, 1, "L", 1, 1, "0123456789abcdef"), [bytes(2**21 - 1)])
def test_overhead(header, segments):
    _, data = file_of(header, segments)
    assert len(data) - sum(map(len, segments)) <= 32 + 6 * len(segments)


SAMPLE = file_of(Header(40, 30, "RGB", 0, 9, "0123456789abcdef"), [b"one", b"", b"three" * 40, b"4"],
                 {"EXIF": b"e" * 9, "XMP ": b""})[1]


def test_layout_of_a_whole_file():
    header = Header(258, 3, "L", 1, 2, "0011223344556677", cut=True, colours=Colours((1, 2, 255), (3, -1, -128)))
    small = write(Contents(header, [b"\xaa", b""], {"XMP ": b"<>"}))
    assert small.hex() == "cd434452" "05" "0011223344556677" "01" "0201" "0300" "02" "01" "0102ff" "03ff80" "01" "01" \
                          "8dfeeeab" "584d5020" "02" "3c3e" "9ecc82" "01aa" "c5a0d1" "00" "12081f"


def test_every_flipped_bit_is_noticed():
    for position in range(8 * len(SAMPLE)):
        damaged = bytearray(SAMPLE)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(CdrError):
            read(bytes(damaged))


def test_every_cut_is_noticed_and_keeps_its_whole_steps():
    header, segments = (contents := read(SAMPLE)).header, contents.segments
    ends = [len(truncate(SAMPLE, steps)) for steps in range(1, header.steps + 1)]
    for length in range(len(SAMPLE)):
        whole = sum(end <= length for end in ends)
        with pytest.raises(CdrError) as caught:
            read(SAMPLE[:length])
        if length >= HEADER_BYTES:
            assert isinstance(caught.value, TruncatedError)
            assert caught.value.steps == whole
        if whole:
            kept = read(SAMPLE[:length], allow_truncated=True)
            assert (kept.header.steps, kept.segments, kept.chunks) == (whole, segments[:whole], contents.chunks)


def test_what_follows_a_part_of_a_step_does_not_count_as_one():
    data = truncate(SAMPLE, size=len(SAMPLE) - 2)
    whole = read(data).header.steps
    with pytest.raises(TruncatedError, match="4 bytes follow") as caught:
        read(data + b"more")
    assert caught.value.steps == whole == read(SAMPLE).header.steps - 1
    with pytest.raises(TruncatedError, match="more bytes follow") as caught:
        list(Incoming([data + b"more"]).segments())
    assert caught.value.steps == whole


def test_what_follows_the_last_step_is_not_waited_for():
    pieces = itertools.chain([SAMPLE], itertools.repeat(b"more"))
    with pytest.raises(TruncatedError, match="more bytes follow"):
        list(Incoming(pieces).segments())


@pytest.mark.parametrize("cut", [0, 2])
def test_sealing_makes_checksums_right(cut):
    """What hostile inputs of the bench are made with."""
    data = truncate(SAMPLE, size=len(SAMPLE) - cut)
    assert seal(data) == data
    wrong = bytearray(data)
    wrong[HEADER_BYTES - 9] ^= 1  # a colour
    wrong[-5] ^= 1  # the last byte of a payload
    with pytest.raises(CdrError):
        read(bytes(wrong))
    assert read(seal(bytes(wrong))).segments[-1] != read(data).segments[-1]
    assert seal(data[:9]) == data[:9]


def test_truncating_a_path(tmp_path):
    (tmp_path / "s.cdr").write_bytes(SAMPLE)
    assert truncate(tmp_path / "s.cdr", 2) == truncate(str(tmp_path / "s.cdr"), 2) == truncate(SAMPLE, 2)
    with pytest.raises(FileNotFoundError):
        truncate(tmp_path / "absent.cdr", 2)


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
    with pytest.raises(CdrError, match="stores 4 whole steps"):
        truncate(SAMPLE, steps)


def test_the_container_needs_no_torch():
    program = ("import sys; from convdraw_codec import truncate, inspect; "
               "from convdraw_codec.format import bitstream; import convdraw_codec.cli.commands; "
               "sys.exit(bool({'torch', 'numpy', 'PIL'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
