"""Reading safetensors files as tensors of torch."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load
from torch import Tensor


def read_tensors(path: str | PathLike[str]) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a safetensors file. Raises SafetensorError if it is none, OSError if it cannot be read.

    ``safe_open`` makes no tensor here: torch, called from there, takes ^C for a storage of the wrong shape.
    """
    data = Path(path).read_bytes()
    with safe_open(path, "np") as file, torch.device("cpu"):
        return file.metadata() or {}, load(data)
