"""The container: round trips, truncation, damage."""

import itertools
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

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
def test_what_is_written_is_read(header: Any, segments: Any, chunks: Any) -> None:
    contents, data = file_of(header, segments, chunks)
    assert read(data) == contents
    assert inspect(data) == contents.header


@given(headers, payloads)
def test_truncating_equals_writing_fewer_steps(header: Any, segments: Any) -> None:
    _, data = file_of(header, segments)
    for steps in range(1, len(segments) + 1):
        assert truncate(data, steps) == file_of(header, segments[:steps])[1]


@given(headers, payloads, chunks, st.integers(1, 2500))
def test_cutting_to_a_size(header: Any, segments: Any, chunks: Any, size: int) -> None:
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
def test_overhead(header: Any, segments: Any) -> None:
    _, data = file_of(header, segments)
    assert len(data) - sum(map(len, segments)) <= 32 + 6 * len(segments)


SAMPLE = file_of(Header(40, 30, "RGB", 0, 9, "0123456789abcdef"), [b"one", b"", b"three" * 40, b"4"],
                 {"EXIF": b"e" * 9, "XMP ": b""})[1]


def test_layout_of_a_whole_file() -> None:
    header = Header(258, 3, "L", 1, 2, "0011223344556677", cut=True, colours=Colours((1, 2, 255), (3, -1, -128)))
    small = write(Contents(header, [b"\xaa", b""], {"XMP ": b"<>"}))
    assert small.hex() == "cd434452" "06" "0011223344556677" "01" "0201" "0300" "02" "01" "0102ff" "03ff80" "01" "01" \
                          "a557f0f3" "584d5020" "02" "3c3e" "f2a78a" "01aa" "b699f9" "00" "ad0000"


def test_every_flipped_bit_is_noticed() -> None:
    for position in range(8 * len(SAMPLE)):
        damaged = bytearray(SAMPLE)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(CdrError):
            read(bytes(damaged))


def test_every_cut_is_noticed_and_keeps_its_whole_steps() -> None:
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


def test_what_follows_a_part_of_a_step_does_not_count_as_one() -> None:
    data = truncate(SAMPLE, size=len(SAMPLE) - 2)
    whole = read(data).header.steps
    with pytest.raises(TruncatedError, match="4 bytes behind its last step") as caught:
        read(data + b"more")
    assert caught.value.steps == whole == read(SAMPLE).header.steps - 1
    with pytest.raises(TruncatedError, match="more bytes behind") as caught:
        list(Incoming([data + b"more"]).segments())
    assert caught.value.steps == whole


def test_what_follows_the_last_step_is_not_waited_for() -> None:
    pieces = itertools.chain([SAMPLE], itertools.repeat(b"more"))
    with pytest.raises(TruncatedError, match="more bytes behind"):
        list(Incoming(pieces).segments())


@pytest.mark.parametrize("cut", [0, 2])
def test_sealing_makes_checksums_right(cut: int) -> None:
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


def test_truncating_a_path(tmp_path: Path) -> None:
    (tmp_path / "s.cdr").write_bytes(SAMPLE)
    assert truncate(tmp_path / "s.cdr", 2) == truncate(str(tmp_path / "s.cdr"), 2) == truncate(SAMPLE, 2)
    with pytest.raises(FileNotFoundError):
        truncate(tmp_path / "absent.cdr", 2)


def test_segments_out_of_order_are_noticed() -> None:
    _, data = file_of(Header(4, 4, "RGB", 0, 2, "00" * 8), [b"first", b"other"])
    body = data[HEADER_BYTES:]
    with pytest.raises(CdrError):
        read(data[:HEADER_BYTES] + body[len(body) // 2:] + body[:len(body) // 2])


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(50), b"\xcdCD", SAMPLE + b"more", SAMPLE * 2])
def test_what_is_no_file_is_refused(data: Any) -> None:
    with pytest.raises(CdrError):
        read(data)


@pytest.mark.parametrize("steps", [0, 5, -1])
def test_steps_that_are_not_there(steps: int) -> None:
    with pytest.raises(CdrError, match="stores 4 whole steps"):
        truncate(SAMPLE, steps)


def test_the_container_needs_no_torch() -> None:
    program = ("import sys; from convdraw_codec import truncate, inspect; "
               "from convdraw_codec.format import bitstream; import convdraw_codec.cli.commands; "
               "sys.exit(bool({'torch', 'numpy', 'PIL'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def endless(start: bytes, taken: list[int]) -> Iterator[bytes]:
    """A stream that never ends; how many pieces were taken is left in ``taken``."""
    yield start
    for number in itertools.count():
        taken.append(number)
        yield bytes(2**16)


@pytest.mark.parametrize("length", [b"\xff" * 6, b"\xff\xff\xff\xff\x7f", b"\xff\xff\xff\x7f", b"\x80" * 6])
@pytest.mark.parametrize("chunk", [False, True])
def test_lengths_that_are_too_long_or_too_large_are_refused_at_once(length: bytes, chunk: bool) -> None:
    header = replace(Header(40, 30, "RGB", 2, 9, "0123456789abcdef"), chunks=int(chunk))
    data, taken = header.pack() + (b"XMP " if chunk else b"") + length, list[int]()
    with pytest.raises(TruncatedError, match="nothing in it is so long") as caught:
        list(Incoming(endless(data, taken)).segments())
    assert caught.value.steps == 0
    assert len(taken) <= 1
    with pytest.raises(TruncatedError, match="nothing in it is so long"):
        read(data)


def test_the_largest_part_depends_on_the_picture() -> None:
    small, large = (Header(side, side, "RGB", 1, 9, "00" * 8) for side in (1, 4000))
    length = b"\x80\x80\x80\x40"  # 2^27
    with pytest.raises(TruncatedError, match="so long"):
        read(small.pack() + length)
    with pytest.raises(TruncatedError, match="it ends inside step 1"):
        read(large.pack() + length)


def test_what_would_be_refused_is_not_written() -> None:
    header = Header(1, 1, "RGB", 1, 9, "00" * 8)
    with pytest.raises(CdrError, match="XMP takes 16,777,233 bytes, and 16,777,232 are the most"):
        write(Contents(header, [b""], {"XMP ": bytes(header.largest + 1)}))
    assert read(write(Contents(header, [b""], {"XMP ": bytes(header.largest)}))).segments == [b""]


def test_a_header_may_be_refused_before_what_follows_is_read() -> None:
    def refuse(header: Header) -> None:
        raise CdrError(f"{header.width} pixels")

    taken: list[int] = []
    with pytest.raises(CdrError, match="40 pixels"):
        Incoming(endless(SAMPLE[:HEADER_BYTES], taken), refuse)
    assert not taken


def test_truncating_to_bits_per_pixel() -> None:
    assert truncate(SAMPLE, bpp=1) == truncate(SAMPLE, size=150)
    for wrong in ({}, {"bpp": 1, "size": 5}, {"bpp": -1}, {"bpp": math.nan}, {"size": math.inf}):
        with pytest.raises(ValueError, match=r"give one of|numbers from 0 on"):
            truncate(SAMPLE, **wrong)


def webp_file(steps: int, stream: bytes = b"stream" * 30, mode: str = "RGB") -> bytes:
    """The picture itself behind so many steps."""
    contents = Contents(Header(40, 30, mode, 0, 9, "0123456789abcdef"), [b"one", b"two"][:steps], {"EXIF": b"e"})
    return write(replace(contents, header=replace(contents.header, steps=steps)).with_step(stream, webp=True))


@pytest.mark.parametrize("steps", [0, 2])
def test_a_picture_stored_as_webp_is_kept_whole_or_left_out(steps: int) -> None:
    data = webp_file(steps)
    contents = read(data)
    assert (contents.header.steps, contents.header.webp, contents.header.lossless) == (steps, True, True)
    assert contents.segments[-1] == b"stream" * 30
    assert list(Incoming([data]).segments()) == contents.segments
    assert truncate(data, size=len(data)) == data
    if not steps:
        with pytest.raises(CdrError, match=f"{len(data)} are the least"):
            truncate(data, size=len(data) - 1)
        with pytest.raises(CdrError, match="stores 0 whole steps"):
            truncate(data, 1)
        return
    cut = read(truncate(data, size=len(data) - 1))
    assert (cut.segments, cut.header.webp, cut.header.lossless) == ([b"one", b"two"], False, False)
    assert truncate(data, 2) == write(cut)
    assert read(truncate(data, 1)).segments == [b"one"]
    with_part = read(truncate(data, size=len(truncate(data, 2)) - 1))
    assert (with_part.header.cut, with_part.segments) == (True, [b"one", b"tw"])


@pytest.mark.parametrize("steps", [0, 2])
def test_a_damaged_webp_stream_leaves_the_steps_before_it(steps: int) -> None:
    damaged = webp_file(steps)[:-9]
    for attempt in (lambda: read(damaged), lambda: list(Incoming([damaged]).segments())):
        with pytest.raises(TruncatedError, match="ends inside its lossless picture") as caught:
            attempt()
        assert caught.value.steps == steps
    if steps:
        assert write(read(damaged, allow_truncated=True)) == truncate(webp_file(steps), steps)
    else:
        with pytest.raises(TruncatedError, match="nothing can be decoded"):
            read(damaged, allow_truncated=True)


@pytest.mark.parametrize(("position", "value"), [(27, 3), (13, 2)])
def test_headers_of_webp_files_that_make_no_sense(position: int, value: int) -> None:
    """An unknown byte there; steps of a picture with alpha."""
    wrong = bytearray(webp_file(2))
    wrong[position] = value
    with pytest.raises(CdrError, match="makes no sense"):
        read(seal(bytes(wrong)))
