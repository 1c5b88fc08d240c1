"""Small pictures for likelihoods, from the files in which the data sets are found.

An ``.npz`` file holds bits, (N, H*W/8) uint8 by ``numpy.packbits`` in the parts "train", "valid" and "test" (binarised
MNIST), or grey pictures, (N, H, W) uint8 (Omniglot); any other file is a sheet of pictures in rows (CIFAR-10).
"""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import ConfigError
from ..pictures.conversion import read_picture
from ..pictures.metadata import DAMAGE
from .output import LEVELS, Output

_DAMAGE = (*DAMAGE, OSError, AttributeError, BadZipFile, Image.DecompressionBombError)  # and of numpy


def load_pictures(paths: list[Path], picture: Output, *parts: str) -> Tensor:
    """All pictures of the files, (N, channels, H, W) uint8; of files with parts, those of ``parts``, in this order.

    Bits are levels 0 and 255. Raises ConfigError.
    """
    arrays = []
    for path in paths:
        if path.is_dir():
            raise ConfigError(f"{path} is a folder, and no file of pictures")
        try:
            arrays.append(_from_arrays(path, picture, parts) if path.suffix == ".npz" else _from_sheet(path, picture))
        except _DAMAGE as error:
            raise ConfigError(f"{path} holds no {picture.width}x{picture.height} pictures: {error}") from error
    return torch.from_numpy(np.concatenate(arrays))


def _from_arrays(path: Path, picture: Output, parts: tuple[str, ...]) -> np.ndarray:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        if "images" not in file.files and not set(parts) & set(file.files):
            raise ValueError(f"it has the parts {', '.join(file.files)}, and not {' or '.join(parts)}")
        array = np.concatenate([file[part] for part in parts if part in file.files] or [file["images"]])
    shape = picture.channels, picture.height, picture.width
    if array.dtype == np.uint8 and array.ndim == 2:
        bits = np.unpackbits(array, axis=1)
        if not 0 <= bits.shape[1] - picture.dimensions < 8:
            raise ValueError(f"it has {bits.shape[1]} bits a picture")
        return (bits[:, :picture.dimensions] * np.uint8(LEVELS - 1)).reshape(-1, *shape)
    if array.dtype != np.uint8 or array[:, None].shape[1:] != shape:
        raise ValueError(f"it holds {array.dtype} {array.shape}")
    return array[:, None]


def _from_sheet(path: Path, picture: Output) -> np.ndarray:
    sheet = np.asarray(read_picture(path, strip=True).pixels.convert("RGB" if picture.channels == 3 else "L"))
    rows, columns = sheet.shape[0] // picture.height, sheet.shape[1] // picture.width
    if sheet.shape[:2] != (rows * picture.height, columns * picture.width):
        raise ValueError(f"it is {sheet.shape[1]}x{sheet.shape[0]}")
    tiles = sheet.reshape(rows, picture.height, columns, picture.width, picture.channels)
    return tiles.transpose(0, 2, 4, 1, 3).reshape(-1, picture.channels, picture.height, picture.width)


def some_of(pictures: Tensor, count: int | None) -> Tensor:
    """So many of them, spread evenly, since data sets may be sorted; all, if there are no more, or for None."""
    count = len(pictures) if count is None else min(count, len(pictures))
    return pictures[[len(pictures) * i // count for i in range(count)]]


def pixels(pictures: Tensor, picture: Output, generator: torch.Generator | None = None) -> Tensor:
    """Levels (B, channels, H, W) -> what a model explains: levels, or 0 and 1 drawn with each level's probability."""
    if picture.output != "bernoulli":
        return pictures.float()
    drawn = torch.rand(pictures.shape, generator=generator, dtype=torch.float32, device=pictures.device)
    return (drawn < pictures.float() / (LEVELS - 1)).float()
