"""A web server for trying things out: a folder, with ranges of files, as the browser decoder asks for them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

RANGE = re.compile(r"bytes=(\d*)-(\d*)")
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

    def do_GET(self) -> None:
        """Send a file, a range of it, or what is in a folder."""
        file = Path(self.translate_path(self.path))
        asked = RANGE.fullmatch(self.headers.get("Range", ""))
        if asked and file.is_file():
            self._send_range(file, *asked.groups())
        else:
            super().do_GET()

    def _send_range(self, file: Path, first: str, last: str) -> None:
        size = file.stat().st_size
        begin = int(first) if first else max(size - int(last or 0), 0)
        end = min(int(last) + 1, size) if first and last else size
        if begin >= end:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Type", self.guess_type(str(file)))
        self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
        self.send_header("Content-Length", str(end - begin))
        self.send_header("Last-Modified", formatdate(file.stat().st_mtime, usegmt=True))
        self.end_headers()
        with file.open("rb") as source:
            source.seek(begin)
            self.copyfile(BytesIO(source.read(end - begin)), self.wfile)

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """Send what there is; a browser that has enough of it goes away."""
        try:
            shutil.copyfileobj(source, outputfile)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def end_headers(self) -> None:
        """The last of them."""
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "no-cache")
        for name, value in (ISOLATED if self._isolated else {}).items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Tell of an answer, and of the range that was asked for."""
        self._report(f"{format % args} {self.headers.get('Range', '') if hasattr(self, 'headers') else ''}".strip())


def file_server(folder: Path, host: str, port: int, *, isolated: bool, report: Callable[[str], None]
                ) -> ThreadingHTTPServer:
    """A server that is bound and waits for ``serve_forever``. port: 0 takes one that is free. Raises OSError."""
    handler = partial(Handler, directory=str(folder), isolated=isolated, report=report)
    return ThreadingHTTPServer((host, port), handler)
