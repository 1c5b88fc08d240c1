"""``cdraw truncate``: a .cdr file in fewer bytes."""

from __future__ import annotations

import click

from ...format import bitstream
from ..console import Chatter, failing
from ..files import Place, choose_output, place, read_input, save
from ..options import BPP, FORCE, INPUT, SIZE, STEPS, chatter_options, only_one
from ..reports import size_summary, step_sizes


@click.command()
@INPUT
@click.option("-o", "--output", metavar="OUTPUT", required=True, help="File to write; - is standard output.")
@click.option("--steps", type=STEPS, help="Steps to keep.")
@SIZE
@BPP
@FORCE
@chatter_options
def truncate(input: Place, output: str, steps: int | None, size: int | None, bpp: float | None, force: bool,
             chatter: Chatter) -> None:
    """Cut the .cdr file INPUT to fewer steps or bytes. Needs no model and takes no time."""
    if not only_one(steps=steps, size=size, bpp=bpp):
        raise click.UsageError("give one of --steps, --size and --bpp.")
    target = choose_output(input, place(output), ".cdr", force)
    with failing("cut", input):
        data = read_input(input)
        if bpp is not None:
            header = bitstream.parse_header(data)
            size = int(bpp * header.width * header.height / 8)
        data = bitstream.truncate(data, steps, size=size)
    save(target, data)
    if chatter.verbose:
        chatter.say(step_sizes(data))
    chatter.say(f"Cut to {size_summary(data, bitstream.parse_header(data))}")
