"""States in which a caller may have left torch."""

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def whatever(setting: str) -> Iterator[None]:
    """One of them: a default type or device, or a mode."""
    with contextlib.ExitStack() as stack:
        if setting in ("float64", "bfloat16"):
            torch.set_default_dtype(getattr(torch, setting))
            stack.callback(torch.set_default_dtype, torch.float32)
        else:
            modes: dict[str, contextlib.AbstractContextManager[object]] = {
                "meta": torch.device("meta"), "no_grad": torch.no_grad(), "inference": torch.inference_mode(),
                "autocast": torch.autocast("cpu", torch.bfloat16)}
            stack.enter_context(modes[setting])
        yield
