"""What ``convdraw_codec`` offers, and exceptions that cross processes."""

import copy
import importlib
import inspect
import pickle
import pkgutil

import pytest

import convdraw_codec
from convdraw_codec import TruncatedError


def exception_classes() -> list[type[Exception]]:
    """Every class of exception that a module of the package defines."""
    modules = [importlib.import_module(found.name) for found in
               pkgutil.walk_packages(convdraw_codec.__path__, "convdraw_codec.") if not found.name.endswith("__main__")]
    found = {kind for module in modules for kind in vars(module).values() if inspect.isclass(kind)
             and issubclass(kind, Exception) and kind.__module__.startswith("convdraw_codec")}
    return sorted(found, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", exception_classes())
def test_exceptions_survive_pickle_and_copy(kind: type[Exception]) -> None:
    error = kind("it is damaged")
    vars(error).update(steps=2, note="seen")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (type(again), str(again), vars(again)) == (kind, "it is damaged", vars(error))


def test_the_steps_of_a_cut_file_cross_processes() -> None:
    assert pickle.loads(pickle.dumps(TruncatedError("it ends", 2))).steps == 2


def test_every_public_name_is_there_and_listed() -> None:
    assert dir(convdraw_codec) == sorted({*convdraw_codec.__all__, "__version__"})
    assert all(getattr(convdraw_codec, name) for name in convdraw_codec.__all__)
    assert issubclass(convdraw_codec.MachineError, convdraw_codec.CdrawError)
