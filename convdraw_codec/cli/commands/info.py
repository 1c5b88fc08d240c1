"""``cdraw info``: what a .cdr file holds."""

from __future__ import annotations

import click

from ...format import bitstream
from ..console import Chatter, failing, name_of, print_out
from ..files import Place, read_input
from ..options import INPUT, chatter_options
from ..reports import size_summary, step_sizes


@click.command()
@INPUT
@chatter_options
def info(input: Place, chatter: Chatter) -> None:
    """Say what the .cdr file INPUT holds; with -v, the bytes of each step."""
    with failing("read", input):
        data = read_input(input, chatter)
        header = bitstream.read(data).header
    print_out(f"{name_of(input)}: {header.width}x{header.height} {header.mode}, {size_summary(data, header)}, "
              f"model {header.model}")
    if chatter.verbose:
        print_out(step_sizes(data))
