"""What options of the command line may hold, beyond click's own types."""

from __future__ import annotations

import math
import re
from typing import Any

import click

from .files import Place, place

BYTE_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "KIB": 2**10, "MIB": 2**20}


class Bytes(click.ParamType):
    """A number of bytes, as 20000, 20KB (thousands) or 20KiB (1024)."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """To a whole number of bytes."""
        match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([A-Z]*)", str(value).strip().upper())
        if not match or match[2] not in BYTE_UNITS or not float(match[1]):
            self.fail(f"{value!r} is no size such as 20000, 20KB or 1.5MiB.", param, ctx)
        return int(float(match[1]) * BYTE_UNITS[match[2]])


class Amount(click.ParamType):
    """A number above 0, up to 1000."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """To a float."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 < number <= 1000:
            self.fail(f"{value!r} is no number above 0, up to 1000.", param, ctx)
        return number


class Numbers(click.ParamType):
    """Whole numbers with commas between them; ``count`` of them, if that is given."""

    name = "numbers"

    def __init__(self, count: int | None = None):
        self.count = count

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """To a tuple."""
        if not re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9})*", value) or self.count not in (None, value.count(",") + 1):
            self.fail(f"{value!r} is not {self.count or 'some'} numbers with commas between them.", param, ctx)
        return tuple(map(int, value.split(",")))


class Source(click.ParamType):
    """An input: a file, or - for standard input."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        """To a path, or "-" as it is."""
        return place(value)
