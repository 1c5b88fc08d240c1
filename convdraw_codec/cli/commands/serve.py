"""``cdraw serve``: a folder over HTTP, for the browser decoder."""

from __future__ import annotations

from pathlib import Path

import click

from ..console import Chatter, failing
from ..file_server import file_server
from ..options import chatter_options


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; 0.0.0.0 is every one.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True,
              help="Port to listen at; 0 takes one that is free.")
@click.option("--isolated", is_flag=True, help="Send the headers with which the browser decoder may use threads.")
@chatter_options
def serve(folder: Path, host: str, port: int, isolated: bool, chatter: Chatter) -> None:
    """Serve FOLDER over HTTP, with ranges, until it is interrupted: to try out .cdr files in a browser.

    Each answer is told on standard error, with the range that was asked for. Not meant for the open internet.
    """
    with failing("listen at", f"{host}:{port}"):
        server = file_server(folder, host, port, isolated=isolated, report=chatter.say)
    with server:
        chatter.say(f"{folder} is at http://{host}:{server.server_port}/; ^C ends it")
        server.serve_forever()
