"""Where bytes may come from: one check for every function that takes a file."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convdraw_codec import Codec, inspect, truncate
from convdraw_codec.format.bitstream import HEADER_BYTES
from convdraw_codec.format.source import content, pieces

from ..conftest import synthetic


@pytest.fixture(scope="module")
def data(tiny: Codec) -> bytes:
    return tiny.compress(synthetic(9, 9))


@pytest.fixture(params=["inspect", "truncate", "decompress", "progressive"])
def takes_a_file(request: pytest.FixtureRequest, tiny: Codec) -> Callable[[Any], object]:
    """Every public function that takes a .cdr file; it returns what can be compared."""
    return {"inspect": inspect, "truncate": lambda source: truncate(source, 2),
            "decompress": lambda source: tiny.decompress(source).tobytes(),
            "progressive": lambda source: [picture.tobytes() for picture in tiny.progressive(source)]}[request.param]


def test_bytes_paths_and_open_files(takes_a_file: Callable[[Any], object], data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "p.cdr"
    path.write_bytes(data)
    expected = takes_a_file(data)
    for same in (bytearray(data), memoryview(data), path, str(path), io.BytesIO(data)):
        assert takes_a_file(same) == expected
    with open(path, "rb") as buffered, open(path, "rb", buffering=0) as raw:
        assert takes_a_file(buffered) == takes_a_file(raw) == expected


@pytest.mark.parametrize("wrong", [None, 5, 2.5, object()])
def test_what_is_no_file_is_named(takes_a_file: Callable[[Any], object], wrong: object) -> None:
    with pytest.raises(TypeError, match=f"binary file, not {type(wrong).__name__}"):
        takes_a_file(wrong)


def test_a_file_of_text_is_none(takes_a_file: Callable[[Any], object], tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("text")
    with open(tmp_path / "p.txt") as file, pytest.raises(TypeError, match="not str"):
        takes_a_file(file)


def test_pieces_of_the_wrong_kind_are_named(tiny: Codec, data: bytes) -> None:
    with pytest.raises(TypeError, match="not str"):
        list(tiny.progressive(iter([data[:40], "text"])))  # type: ignore[arg-type]


def test_a_path_that_is_not_there(takes_a_file: Callable[[Any], object], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        takes_a_file(tmp_path / "absent.cdr")


def test_a_file_that_does_not_wait_is_no_end(takes_a_file: Callable[[Any], object], data: bytes) -> None:
    """An end would be taken for damage."""
    for buffering in (-1, 0):
        out, into = os.pipe()
        os.set_blocking(out, False)
        with open(out, "rb", buffering=buffering) as file, open(into, "wb") as sender:
            sender.write(data[:HEADER_BYTES - 1])
            sender.flush()
            with pytest.raises(BlockingIOError, match="one that blocks"):
                takes_a_file(file)


def test_an_open_file_is_read_no_further_than_its_header(data: bytes) -> None:
    file = io.BytesIO(data)
    inspect(file)
    assert file.tell() == HEADER_BYTES


def test_large_files_come_in_pieces() -> None:
    large = os.urandom(200_000)
    assert content(io.BytesIO(large)) == large
    assert max(map(len, pieces(io.BytesIO(large)))) == 2**16
