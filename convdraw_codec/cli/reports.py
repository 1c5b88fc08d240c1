"""What the command line says of .cdr files and of what became of them."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import counted
from ..format import bitstream, constants


@dataclass(frozen=True)
class Done:
    """What became of one file.

    coded, picture: bytes of the .cdr file and of the other one. pixels: of the .cdr file. report: one line on the
    result. notes: what was lost or went wrong on the way. details: more, for those who ask. failure: why there is no
    result.
    """

    coded: int = 0
    picture: int = 0
    pixels: int = 0
    report: str = ""
    notes: tuple[str, ...] = ()
    details: str = ""
    failure: str = ""


def steps_of(header: bitstream.Header) -> str:
    """How many steps a file stores, in words."""
    if header.lossless:
        return "lossless"
    more, residual = "+" if header.cut else "", header.steps - header.total_steps
    if residual < 0 or not (residual or more):
        return f"{header.steps}{more} of {counted(header.total_steps, 'step')}"
    return f"{counted(header.total_steps, 'step')}, {residual}{more} of {constants.RESIDUAL_STEPS} residual steps"


def size_summary(data: bytes, header: bitstream.Header) -> str:
    """Bytes, bits per pixel and steps of a whole file."""
    rate = 8 * len(data) / (header.width * header.height)
    return f"{counted(len(data), 'byte')} ({rate:.3f} bpp, {steps_of(header)})"


def step_sizes(data: bytes) -> str:
    """A line for each step: the bytes of its payload, and of a file cut after it."""
    contents = bitstream.read(data)
    lines = [f"step {step:3d}: {len(contents.segments[step - 1]):10,} bytes; "
             f"a file cut here has {len(bitstream.truncate(data, step)):,}"
             for step in range(1, contents.header.steps + 1)]
    if contents.header.cut:
        lines.append(f"step {len(lines) + 1:3d}: {len(contents.segments[-1]):10,} bytes, a part of it")
    return "\n".join(lines)


def summary_line(name: str, done: Done) -> str:
    """Bytes of the .cdr file, its bits per pixel, and how many times smaller it is than the other one."""
    return f"{name}: {done.coded:,} bytes, {8 * done.coded / done.pixels:.3f} bpp, 1:{done.picture / done.coded:.1f}"
