"""``cdraw serve``."""

import http.client
import io
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from convdraw_codec.cli.file_server import Handler, file_server

from ..runner import assert_fails, run

DATA = bytes(range(256)) * 4


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, list[str]]]:
    """The port of a server, and what it reports."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "photo.cdr").write_bytes(DATA)
    (folder / "page.html").write_text("<p>page")
    (tmp_path / "secret").write_text("not served")
    report: list[str] = []
    with file_server(folder, "127.0.0.1", 0, isolated=True, report=report.append) as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found.server_port, report
        found.shutdown()
        thread.join()


def get(port: int, path: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())


@pytest.mark.parametrize(("asked", "status", "first", "last"), [
    ("bytes=0-99", 206, 0, 99), ("bytes=100-", 206, 100, 1023), ("bytes=-24", 206, 1000, 1023),
    ("bytes=1000-5000", 206, 1000, 1023), ("bytes=0-0", 206, 0, 0)])
def test_ranges(server: tuple[int, list[str]], asked: str, status: int, first: int, last: int) -> None:
    port, report = server
    found, body, headers = get(port, "/photo.cdr", Range=asked)
    assert (found, body) == (status, DATA[first:last + 1])
    assert headers["Content-Range"] == f"bytes {first}-{last}/1024"
    assert headers["Content-Type"] == "image/x-cdr"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert asked in report[-1]


def test_whole_files_and_what_is_not_there(server: tuple[int, list[str]]) -> None:
    port, _ = server
    assert get(port, "/photo.cdr")[:2] == (200, DATA)
    assert get(port, "/photo.cdr", Range="lines=1-2")[:2] == (200, DATA)
    assert get(port, "/page.html")[1] == b"<p>page"
    assert b"photo.cdr" in get(port, "/")[1]
    assert get(port, "/photo.cdr", Range="bytes=1024-")[0] == 416
    for path in ("/other.cdr", "/../secret", "/%2e%2e/secret"):
        assert get(port, path, Range="bytes=0-9")[0] == 404


@pytest.mark.parametrize("asked", ["bytes=-", "bytes=5-2", "bytes=0-" + 5000 * "9"])
def test_ranges_that_are_none_are_ignored(server: tuple[int, list[str]], asked: str) -> None:
    assert get(server[0], "/photo.cdr", Range=asked)[:2] == (200, DATA)


def test_a_browser_that_goes_away_and_names_that_no_file_has(server: tuple[int, list[str]],
                                                             capfd: pytest.CaptureFixture[str]) -> None:
    port, report = server
    for path in (b"/photo.cdr", b"/a%00b", b"/\x1b]0;title\x07"):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset as it closes
            connection.sendall(b"GET " + path + b" HTTP/1.1\r\nRange: bytes=0-9\r\n\r\n")
            assert connection.recv(12) in (b"HTTP/1.1 206", b"HTTP/1.1 404")
    assert get(port, "/photo.cdr")[:2] == (200, DATA)
    assert capfd.readouterr().err == ""
    assert all(letter.isprintable() for line in report for letter in line)


class Unreadable(io.FileIO):
    def read(self, size: int | None = -1) -> bytes:
        raise OSError("the disk is broken")


def test_files_that_cannot_be_read(server: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    port, _ = server

    def broken(handler: Handler, source: Any, target: Any) -> None:
        target.write(source.read(100))
        raise OSError("the disk is broken")

    monkeypatch.setattr(Handler, "copyfile", broken)
    with pytest.raises(http.client.IncompleteRead) as cut:  # no second answer behind the first one
        get(port, "/photo.cdr")
    assert cut.value.partial == DATA[:100]
    monkeypatch.setattr(Path, "open", lambda path, mode: Unreadable(path, mode))
    assert get(port, "/photo.cdr", Range="bytes=0-99")[0] == 404


def test_what_cannot_be_served(folder: Path, server: tuple[int, list[str]]) -> None:
    assert_fails(run("serve", "nowhere"), "nowhere", code=2)
    assert_fails(run("serve", ".", "--port", str(server[0])), "cannot listen at", "in use")
