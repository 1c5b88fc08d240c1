"""^C is ^C wherever it arrives: never a damaged model."""

import sys
from types import FrameType
from typing import Any

from convdraw_codec.training.tensors import read_tensors

from ..tiny import TINY_MODEL


def loading_interrupted(at: int) -> BaseException | None:
    """What ``read_tensors`` raises if ^C arrives as Python code of torch begins or returns for the ``at``-th time."""
    events = 0

    def on_event(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal events
        if event in ("call", "return") and frame.f_code.co_filename.endswith(("torch/storage.py", "torch.py")):
            events += 1
            if events == at:
                raise KeyboardInterrupt

    try:
        sys.setprofile(on_event)
        read_tensors(TINY_MODEL)
    except BaseException as error:
        return error
    finally:
        sys.setprofile(None)
    return None


def test_wherever_a_model_is_interrupted_as_its_tensors_are_made() -> None:
    at = 1
    while (error := loading_interrupted(at)) is not None:
        assert type(error) is KeyboardInterrupt
        at += 7
    assert at > 100
