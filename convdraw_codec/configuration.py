"""Dataclasses from tables of TOML or JSON: every key is known and every value has its type, or an error says where."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

from .errors import ConfigError

T = TypeVar("T")
NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false", dict: "a table"}


class Sizes:
    """Base of dataclasses with sizes: each field of type int is a whole number from 1 to 2**16, or within other bounds
    that go with its name; the size of a kernel is odd. Raises ConfigError."""

    BOUNDS: ClassVar = {"stride": (1, 256), "kernel": (1, 63), "layers": (2, 64), "read": (0, 256), "write": (0, 256)}

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            value, (least, most) = getattr(self, field.name), self.BOUNDS.get(field.name, (1, 2**16))
            if field.type == "int" and not (type(value) is int and least <= value <= most):
                raise ConfigError(f"{field.name} is a whole number from {least} to {most}, not {value!r}")
            if field.name == "kernel" and value % 2 == 0:
                raise ConfigError(f"kernels have an odd size, not {value}")


def from_table(kind: type[T], table: object, where: str, **given: object) -> T:
    """A dataclass whose fields are the keys of ``table``: numbers, texts, dataclasses, and tuples of one type.

    where: what messages call the table. given: fields that do not come from it. Raises ConfigError.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where} is a table, not {reprlib.repr(table)}")
    types = get_type_hints(kind)
    keys = {field.name: field for field in fields(kind) if field.name not in given}  # type: ignore[arg-type]
    if unknown := [key for key in table if key not in keys]:
        raise ConfigError(f"{where} has no key {reprlib.repr(unknown[0])}: its keys are {', '.join(keys)}")
    if missing := [key for key, field in keys.items() if key not in table and field.default is MISSING]:
        raise ConfigError(f"{where} lacks the key {missing[0]}, {_name(types[missing[0]])}")
    values = {key: _value(types[key], value, f"{where} {key}") for key, value in table.items()}
    try:
        return kind(**given, **values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _name(kind: Any) -> str:
    return NAMES.get(get_origin(kind) or kind, "a list" if get_origin(kind) is tuple else "a table")


def _value(kind: Any, value: object, where: str) -> object:
    """A value of the type that a dataclass asks for. A whole number stays one where any number is asked for."""
    origin = get_origin(kind) or kind
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_value(get_args(kind)[0], item, f"{where} {i}") for i, item in enumerate(value, 1))
    if type(None) in get_args(kind):
        return None if value is None else _value(get_args(kind)[0], value, where)
    if is_dataclass(kind):
        return from_table(kind, value, where)  # type: ignore[arg-type]
    if origin is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        if abs(value) <= sys.float_info.max:  # finite
            return value
    elif type(value) is origin:
        return value
    raise ConfigError(f"{where} is {_name(kind)}, not {reprlib.repr(value)}")
