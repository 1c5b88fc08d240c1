"""What options of the command line may hold, beyond click's own types: functions of their words."""

from __future__ import annotations

import math
import os
import re

import click

from .files import Place, place

BYTE_UNITS = {"": 1, "K": 10**3, "M": 10**6, "KI": 2**10, "MI": 2**20}


def size_in_bytes(value: str) -> int:
    """A number of bytes, as 20000, 2e4, 20K or 20KB (thousands), 20Ki or 20KiB (1024)."""
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,15})?(?:E[0-9])?)\s*([KM]?I?)B?", value.strip().upper())
    size = int(float(match[1]) * BYTE_UNITS.get(match[2], 0)) if match else 0
    if not size:
        raise click.BadParameter(f"{value!r} is no size such as 20000, 20K, 20KB or 1.5MiB.")
    return size


def amount(value: str) -> float:
    """A number above 0, up to 1000."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number <= 1000:
        raise click.BadParameter(f"{value!r} is no number above 0, up to 1000.")
    return number


def numbers(value: str, count: int | None = None) -> tuple[int, ...]:
    """Whole numbers with commas between them; ``count`` of them, if that is given."""
    if not re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9})*", value) or count not in (None, value.count(",") + 1):
        raise click.BadParameter(f"{value!r} is not {count or 'some'} numbers with commas between them.")
    return tuple(map(int, value.split(",")))


def box(value: str) -> tuple[int, ...]:
    """Four numbers: left, top, right and bottom."""
    return numbers(value, 4)


def colour(value: str) -> str:
    """A colour, as CSS writes it."""
    from PIL.ImageColor import getrgb

    try:
        getrgb(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no colour such as white or #ffcc00.") from None
    return value


def source(value: str) -> Place:
    """An input: a path, or "-" for standard input."""
    if not os.path.lexists(value):
        if not value:
            raise click.BadParameter("an input without a name.")
        if "://" in value:
            raise click.BadParameter(f"{value} is an address, and no file: download it first.")
        if value.startswith("~"):
            raise click.BadParameter(f"{value} is no file: the shell leaves a ~ in quotes as it is.")
    return place(value)
