"""Photographs for training: random crops from a folder, and fixed crops of a held-out part."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import ConfigError, ImageError
from ..pictures.conversion import read_picture

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm"}
HELD_OUT = 6  # every 6th photograph validates


def find_photographs(folders: list[Path]) -> tuple[list[Path], list[Path]]:
    """Files below the folders, sorted by name: those to train on, and those held out."""
    files = sorted((path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES),
                   key=lambda path: (path.name, str(path)))
    return [f for i, f in enumerate(files) if i % HELD_OUT], files[::HELD_OUT]


def load(path: Path) -> np.ndarray:
    """A photograph as (H, W, 3) uint8, as ``compress`` takes it. Raises ConfigError if it cannot be read."""
    try:
        return np.asarray(read_picture(path, strip=True).pixels.convert("RGB"))
    except (OSError, ImageError) as error:
        raise ConfigError(f"{path} cannot be read as a photograph: {error}") from error


def to_batch(crops: list[np.ndarray]) -> Tensor:
    """Crops (H, W, 3) uint8 -> (B, 3, H, W) float32 in 0..255."""
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()


def random_crops(photographs: list[np.ndarray], size: int, places: range, seed: int, iteration: int = 0
                 ) -> Iterator[Tensor]:
    """Endless batches of crops, flipped, turned and down-scaled by 0.6 to 1 at random, from ``iteration`` on.

    A photograph is drawn with probability proportional to its area. ``places`` of the whole batch are given:
    a crop depends on seed, iteration and place alone. Raises ConfigError, at once, if none is large enough.
    """
    usable = [p for p in photographs if min(p.shape[:2]) >= size]
    if not usable:
        raise ConfigError(f"no photograph has {size} pixels on each side")
    area = np.array([p.shape[0] * p.shape[1] for p in usable], dtype=np.float64)
    share = area / area.sum()

    def crop(rng: np.random.Generator) -> np.ndarray:
        photograph = usable[rng.choice(len(usable), p=share)]
        height, width = photograph.shape[:2]
        source = min(round(size / rng.uniform(0.6, 1.0)) if rng.random() < 0.7 else size, height, width)
        y, x = rng.integers(height - source + 1), rng.integers(width - source + 1)
        patch = photograph[y:y + source, x:x + source]
        if source != size:
            patch = np.asarray(Image.fromarray(patch).resize((size, size), Image.Resampling.LANCZOS))
        if rng.random() < 0.5:
            patch = patch[:, ::-1]
        if rng.random() < 0.25:
            patch = patch.transpose(1, 0, 2)
        return np.ascontiguousarray(patch)

    return (to_batch([crop(np.random.default_rng((seed, i, place))) for place in places])
            for i in itertools.count(iteration))


def centre_crops(photographs: list[np.ndarray], size: int) -> list[Tensor]:
    """One crop from the middle of each photograph that is large enough."""
    result = []
    for p in photographs:
        y, x = (p.shape[0] - size) // 2, (p.shape[1] - size) // 2
        if y >= 0 and x >= 0:
            result.append(to_batch([p[y:y + size, x:x + size]]))
    return result
