"""A web server for trying things out: a folder, with ranges of files, as the browser decoder asks for them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")  # more digits than files have bytes are none
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
TYPES = {".cdr": "image/x-cdr", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"}


class Handler(SimpleHTTPRequestHandler):
    """Sends files, or the one range of them that is asked for. isolated: with the headers that threads of WebAssembly
    need. report: is told of each answer."""

    protocol_version = "HTTP/1.1"  # one connection for many ranges
    extensions_map = SimpleHTTPRequestHandler.extensions_map | TYPES

    def __init__(self, *args: Any, isolated: bool, report: Callable[[str], None], **options: Any):
        self._isolated, self._report = isolated, report
        super().__init__(*args, **options)

    def handle(self) -> None:
        """Answer until the browser goes away, as it does where it has enough."""
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        """Send a file, a range of it, or what is in a folder."""
        asked = RANGE.fullmatch(self.headers.get("Range", ""))
        self._begun = False
        try:
            file = Path(self.translate_path(self.path))
            if not asked or not file.is_file() or not self._send_range(file, *asked.groups()):
                super().do_GET()
        except (OSError, ValueError):  # a file that cannot be read; a name that none can have
            if not self._begun:
                self.send_error(HTTPStatus.NOT_FOUND)
            self.close_connection = True  # so that the browser sees where an answer ends that had begun

    def _send_range(self, file: Path, first: str, last: str) -> bool:
        """Whether there is such a range; an answer then says what it holds, or that it lies beyond the file."""
        if not (first or last) or (first and last and int(last) < int(first)):
            return False
        with file.open("rb") as source:
            status = os.fstat(source.fileno())
            begin = int(first) if first else max(status.st_size - int(last), 0)
            end = min(int(last) + 1, status.st_size) if first and last else status.st_size
            there = begin < end
            source.seek(begin)
            part = source.read(end - begin) if there else b""  # before an answer says that it comes
            self.send_response(HTTPStatus.PARTIAL_CONTENT if there else HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Type", self.guess_type(str(file)))
            self.send_header("Content-Range", f"bytes {f'{begin}-{end - 1}' if there else '*'}/{status.st_size}")
            self.send_header("Content-Length", str(len(part)))
            self.send_header("Last-Modified", formatdate(status.st_mtime, usegmt=True))
            self.end_headers()
            self.wfile.write(part)
        return True

    def end_headers(self) -> None:
        """The last of them; the answer has begun."""
        self._begun = True
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "no-cache")
        for name, value in (ISOLATED if self._isolated else {}).items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Tell of an answer, and of the range that was asked for; control characters do not reach a terminal."""
        told = f"{format % args} {self.headers.get('Range', '') if hasattr(self, 'headers') else ''}".strip()
        self._report("".join(letter if letter.isprintable() else "?" for letter in told))


def file_server(folder: Path, host: str, port: int, *, isolated: bool, report: Callable[[str], None]
                ) -> ThreadingHTTPServer:
    """A server that is bound and waits for ``serve_forever``. port: 0 takes one that is free. Raises OSError."""
    handler = partial(Handler, directory=str(folder), isolated=isolated, report=report)
    return ThreadingHTTPServer((host, port), handler)
