"""Photographs to train on."""

from pathlib import Path

import pytest
from PIL import Image

from ..conftest import synthetic


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder with 22 of 40x48 pixels."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for seed in range(22):
        Image.fromarray(synthetic(40, 48, seed)).save(folder / f"{seed}.png")
    return folder
