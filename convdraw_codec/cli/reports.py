"""What the command line says of .cdr files and of what became of them."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import counted
from ..format import bitstream, constants
from .console import name_of
from .files import Place


@dataclass(frozen=True)
class Done:
    """What became of one file.

    coded, picture: bytes of the .cdr file and of the other one. pixels: of the .cdr file. report: one line on the
    result. notes: what was lost or went wrong on the way. details: more, for those who ask.
    """

    coded: int
    picture: int
    pixels: int
    report: str
    notes: tuple[str, ...] = ()
    details: str = ""


def steps_of(header: bitstream.Header) -> str:
    """How many steps a file stores, in words."""
    if header.webp:
        return f"lossless, {counted(header.steps, 'step')} and WebP"
    if header.lossless:
        return f"lossless, {counted(header.total_steps, 'step')} and {constants.RESIDUAL_STEPS} residual steps"
    more, residual = "+" if header.cut else "", header.steps - header.total_steps
    if residual < 0 or not (residual or more):
        return f"{header.steps}{more} of {counted(header.total_steps, 'step')}"
    return f"{counted(header.total_steps, 'step')}, {residual}{more} of {constants.RESIDUAL_STEPS} residual steps"


def size_summary(data: bytes, header: bitstream.Header, quality: float | None = None) -> str:
    """Bytes, bits per pixel, steps and decibels of a whole file."""
    rate = 8 * len(data) / (header.width * header.height)
    reached = "" if quality is None else f", {quality:.2f} dB"
    return f"{counted(len(data), 'byte')} ({rate:.3f} bpp, {steps_of(header)}{reached})"


def step_sizes(contents: bitstream.Contents) -> str:
    """A line for each step: the bytes of its payload, and of a file cut after it."""
    lines = [f"step {step:3d}: {len(contents.segments[step - 1]):10,} bytes; "
             f"a file cut here has {len(bitstream.write(contents.first(step))):,}"
             for step in range(1, contents.header.steps + 1)]
    if contents.header.webp:
        lines.append(f"WebP    : {len(contents.segments[-1]):10,} bytes, the whole picture")
    if contents.header.cut:
        lines.append(f"step {len(lines) + 1:3d}: {len(contents.segments[-1]):10,} bytes, a part of it")
    return "\n".join(lines)


def shrunk(source: Place, before: int, target: Place, data: bytes, quality: float | None = None,
           notes: tuple[str, ...] = ()) -> Done:
    """What became of a file of ``before`` bytes, which is now the .cdr file ``data``."""
    contents = bitstream.read(data)
    header = contents.header
    report = made(source, counted(before, "byte"), target, size_summary(data, header, quality))
    return Done(len(data), before, header.width * header.height, report, notes, step_sizes(contents))


def made(source: Place, before: str, target: Place, after: str) -> str:
    """What became of which file."""
    return f"{name_of(source)}: {before} -> {name_of(target, 'output')}: {after}"


def summary_line(files: list[Done]) -> str:
    """Bytes of all .cdr files, their bits per pixel, and how many times smaller they are than the other ones."""
    coded, picture, pixels = (sum(getattr(done, name) for done in files) for name in ("coded", "picture", "pixels"))
    return f"{counted(len(files), 'file')}: {coded:,} bytes, {8 * coded / pixels:.3f} bpp, 1:{picture / coded:.1f}"
