"""Serve a folder of .cdr files, each in the size that is asked for: python serve.py FOLDER [PORT]

/photo.cdr sends the whole file, /photo.cdr?size=20000 at most 20,000 bytes of it. Cutting needs no model.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from convdraw_codec import CdrError, truncate


def answer(folder: Path, request: str) -> tuple[int, bytes]:
    """The status and the body for a path such as ``/photo.cdr?size=20000``."""
    asked = urlsplit(request)
    file = folder / Path(asked.path).name  # no way out of the folder
    if file.suffix != ".cdr" or not file.is_file():
        return 404, b"no such file\n"
    size = parse_qs(asked.query).get("size", [""])[0]
    try:
        return 200, truncate(file, size=int(size)) if size else file.read_bytes()
    except (CdrError, ValueError) as error:
        return 400, f"{error}\n".encode()


class Handler(BaseHTTPRequestHandler):
    """Answers GET."""

    folder: Path

    def do_GET(self) -> None:
        """Send the file, or say why not."""
        status, body = answer(self.folder, self.path)
        self.send_response(status)
        self.send_header("Content-Type", "image/x-cdr" if status == 200 else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    Handler.folder = Path(sys.argv[1])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 8000), Handler).serve_forever()
