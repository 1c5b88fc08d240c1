"""Shared fixtures: the two codecs, and pictures made from formulas."""

import os
import signal
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}  # before torch; subprocesses inherit it

import numpy as np
import pytest
from PIL import Image

from convdraw_codec import Codec

from .tiny import TINY_MODEL

signal.signal(signal.SIGINT, signal.default_int_handler)  # also under nohup and in the background
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "docs" / "example.jpg"


@pytest.fixture(scope="session")
def tiny() -> Codec:
    return Codec(TINY_MODEL, threads=1)


@pytest.fixture(scope="session")
def photo() -> Codec:
    return Codec(threads=1)


@pytest.fixture
def example() -> Path:
    """The photograph that ships with the project."""
    return EXAMPLE


def synthetic(height: int, width: int, seed: int = 0, grey: bool = False) -> np.ndarray:
    """A picture with slopes, an edge and some noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    base = 120 + 60 * np.sin(x / 9 + seed) + 40 * np.cos(y / 7) + 50 * (x + y > (height + width) / 2)
    planes = np.stack([base, base * 0.8 + 20, 255 - base], axis=-1) + rng.normal(0, 6, (height, width, 3))
    pixels = planes.clip(0, 255).astype(np.uint8)
    return pixels[..., 0] if grey else pixels


def with_alpha(height: int, width: int, grey: bool = False) -> Image.Image:
    """A picture whose alpha channel is noise."""
    image = Image.fromarray(synthetic(height, width, grey=grey))
    image.putalpha(Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width), np.uint8)))
    return image


def psnr(a: object, b: object) -> float:
    """In decibels, of two pictures or arrays."""
    return float(10 * np.log10(255**2 / np.mean((np.asarray(a, float) - np.asarray(b, float)) ** 2)))
