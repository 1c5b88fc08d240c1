"""Where the bytes of a .cdr file come from: bytes, a path, or an open file."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from os import PathLike
from typing import IO, TypeAlias, Union

Source: TypeAlias = Union[bytes, bytearray, memoryview, str, "PathLike[str]", IO[bytes]]
READ_BYTES = 2**16


def pieces(source: Source, largest: int = READ_BYTES) -> Iterator[bytes]:
    """What the source holds, as it comes, of files at most ``largest`` bytes at a time. Raises TypeError, OSError."""
    if isinstance(source, (str, PathLike)):
        with open(source, "rb") as file:
            yield from pieces(file, largest)
    elif hasattr(source, "read"):
        read = getattr(source, "read1", source.read)
        while (piece := read(largest) or source.read(1)) != b"":  # at a pause, read1 gives b"", and read None
            if piece is None:
                raise BlockingIOError(errno.EAGAIN, "its file has no bytes yet: it must be one that blocks")
            yield checked(piece)
    else:
        yield checked(source)


def content(source: Source) -> bytes:
    """All that the source holds; raises what ``pieces`` does."""
    return b"".join(pieces(source))


def checked(piece: object) -> bytes:
    """The piece, if it is bytes of any kind. Raises TypeError."""
    if not isinstance(piece, (bytes, bytearray, memoryview)):
        raise TypeError(f"a file is bytes, a path or an open binary file, not {type(piece).__name__}")
    return bytes(piece)
