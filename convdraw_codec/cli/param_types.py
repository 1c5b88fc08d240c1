"""What options of the command line may hold, beyond click's own types."""

from __future__ import annotations

import math
import os
import re
from typing import Any

import click

from .files import Place, place

BYTE_UNITS = {"": 1, "K": 10**3, "M": 10**6, "KI": 2**10, "MI": 2**20}


class Bytes(click.ParamType):  # type: ignore[type-arg]  # click 8.2 has no parameters here
    """A number of bytes, as 20000, 2e4, 20K or 20KB (thousands), 20Ki or 20KiB (1024)."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """To a whole number of bytes."""
        match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,15})?(?:E[0-9])?)\s*([KM]?I?)B?", str(value).strip().upper())
        size = int(float(match[1]) * BYTE_UNITS.get(match[2], 0)) if match else 0
        if not size:
            self.fail(f"{value!r} is no size such as 20000, 20K, 20KB or 1.5MiB.", param, ctx)
        return size


class Amount(click.ParamType):  # type: ignore[type-arg]  # click 8.2 has no parameters here
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


class Numbers(click.ParamType):  # type: ignore[type-arg]  # click 8.2 has no parameters here
    """Whole numbers with commas between them; ``count`` of them, if that is given."""

    name = "numbers"

    def __init__(self, count: int | None = None):
        self.count = count

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """To a tuple."""
        if not re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9})*", value) or self.count not in (None, value.count(",") + 1):
            self.fail(f"{value!r} is not {self.count or 'some'} numbers with commas between them.", param, ctx)
        return tuple(map(int, value.split(",")))


class Colour(click.ParamType):  # type: ignore[type-arg]  # click 8.2 has no parameters here
    """A colour, as CSS writes it."""

    name = "colour"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """To itself."""
        from PIL.ImageColor import getrgb

        try:
            getrgb(value)
        except ValueError:
            self.fail(f"{value!r} is no colour such as white or #ffcc00.", param, ctx)
        return value


class Source(click.ParamType):  # type: ignore[type-arg]  # click 8.2 has no parameters here
    """An input: a file, or - for standard input."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        """To a path, or "-" as it is."""
        if not os.path.lexists(value):
            if not value:
                self.fail("an input without a name.", param, ctx)
            if "://" in value:
                self.fail(f"{value} is an address, and no file: download it first.", param, ctx)
            if value.startswith("~"):
                self.fail(f"{value} is no file: the shell leaves a ~ in quotes as it is.", param, ctx)
        return place(value)
