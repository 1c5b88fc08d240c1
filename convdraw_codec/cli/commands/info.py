"""``cdraw info``: what .cdr files hold."""

from __future__ import annotations

import json

import click

from ...errors import CdrError, counted
from ...format import bitstream
from ...format.bitstream import Contents, Header
from ..console import Chatter, Failure, failing, name_of, print_out
from ..files import Place, read_input
from ..options import INPUTS, JSON, chatter_options
from ..reports import size_summary, step_sizes

CHUNKS = {"ALPH": "alpha channel", "ICCP": "ICC profile", "XMP ": "XMP"}  # the names of others speak for themselves


def described(source: Place, as_json: bool, chatter: Chatter) -> tuple[list[str], Failure | None]:
    """Lines on a file, as far as it can be read, and what is wrong with it."""
    lines: list[str] = []
    try:
        with failing("read", source):
            data = read_input(source, chatter)
            header, contents, wrong = bitstream.parse_header(data), None, ""
            try:
                contents = bitstream.read(data, allow_truncated=True)
                bitstream.read(data)
            except CdrError as error:
                wrong = str(error)
            if as_json:
                lines.append(as_object(source, data, header, contents, wrong))
            else:
                lines += as_text(source, data, header, contents, chatter.verbose > 0)
            if wrong:
                raise CdrError(wrong)
    except Failure as failure:
        return lines, failure
    return lines, None


def as_text(source: Place, data: bytes, header: Header, contents: Contents | None, verbose: bool) -> list[str]:
    """A line on the file, one on its chunks, and with ``verbose`` one on each step."""
    lines = [f"{name_of(source)}: {header.width}x{header.height} {header.mode}, {size_summary(data, header)}, "
             f"model {header.model}"]
    if contents and contents.chunks:
        lines.append("  with " + ", ".join(f"{CHUNKS.get(name, name.strip())} ({counted(len(chunk), 'byte')})"
                                           for name, chunk in contents.chunks.items()))
    if contents and verbose:
        lines.append(step_sizes(contents))
    return lines


def as_object(source: Place, data: bytes, header: Header, contents: Contents | None, wrong: str) -> str:
    """One JSON object. chunks and segments: their bytes, null where they cannot be read."""
    chunks = {name.strip(): len(chunk) for name, chunk in contents.chunks.items()} if contents else None
    return json.dumps({
        "file": str(source), "bytes": len(data), "bpp": 8 * len(data) / (header.width * header.height),
        "width": header.width, "height": header.height, "mode": header.mode, "model": header.model,
        "steps": min(header.steps, header.total_steps), "total_steps": header.total_steps,
        "residual_steps": max(header.steps - header.total_steps, 0), "cut": header.cut, "lossless": header.lossless,
        "chunks": chunks, "segments": [len(segment) for segment in contents.segments] if contents else None,
        "error": wrong or None})


@click.command()
@INPUTS
@JSON
@chatter_options
def info(inputs: tuple[Place, ...], as_json: bool, chatter: Chatter) -> None:
    """Say what the .cdr files INPUT hold; with -v, the bytes of each step.

    Of a damaged file, what can be read is shown before the failure.
    """
    failed = False
    for source in inputs:
        lines, failure = described(source, as_json, chatter)
        for line in lines:
            print_out(line)
        if failure:
            failure.show()
            failed = True
    if failed:
        raise SystemExit(1)
