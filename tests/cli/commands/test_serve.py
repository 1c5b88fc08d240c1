"""``cdraw serve``."""

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from convdraw_codec.cli.file_server import file_server

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
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body, dict(answer.getheaders())


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


def test_what_cannot_be_served(folder: Path, server: tuple[int, list[str]]) -> None:
    assert_fails(run("serve", "nowhere"), "nowhere", code=2)
    assert_fails(run("serve", ".", "--port", str(server[0])), "cannot listen at", "in use")
