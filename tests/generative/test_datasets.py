"""Files of small pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from convdraw_codec import ConfigError
from convdraw_codec.generative.datasets import load_pictures, pixels, some_of
from convdraw_codec.generative.output import Output

from .small import BITS, LEVELS, write_bits


def test_data_sets(tmp_path: Path) -> None:
    bits = write_bits(tmp_path / "bits.npz")
    read = load_pictures([tmp_path / "bits.npz"], BITS, "train", "valid")
    assert np.array_equal(pixels(read, BITS).numpy().reshape(40, 96), bits)
    assert len(load_pictures([tmp_path / "bits.npz"], BITS, "test")) == 8
    with pytest.raises(ConfigError, match="train, valid, test, and not tests"):
        load_pictures([tmp_path / "bits.npz"], BITS, "tests")
    grey = np.random.default_rng(1).integers(0, 256, (6, 8, 12), dtype=np.uint8)
    np.savez(tmp_path / "grey.npz", images=grey)
    assert np.array_equal(load_pictures([tmp_path / "grey.npz"], BITS, "train")[:, 0].numpy(), grey)
    sheet = np.random.default_rng(2).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    Image.fromarray(sheet).save(tmp_path / "sheet.webp", lossless=True)
    tiles = load_pictures([tmp_path / "sheet.webp"] * 2, LEVELS, "train")
    assert tiles.shape == (12, 3, 8, 8)
    assert np.array_equal(tiles[4].numpy(), sheet[8:16, 8:16].transpose(2, 0, 1))
    with pytest.raises(ConfigError, match="holds no 8x8 pictures"):
        load_pictures([tmp_path / "grey.npz"], LEVELS, "train")


def test_levels_become_bits_with_their_probability() -> None:
    grey = torch.full((1, 1, 100, 100), 64, dtype=torch.uint8)
    share = pixels(grey, Output(1, 100, 100, "bernoulli"), torch.Generator().manual_seed(0)).mean().item()
    assert share == pytest.approx(64 / 255, abs=0.02)


def test_some_pictures_are_spread_over_all() -> None:
    pictures = torch.arange(10).view(-1, 1, 1, 1)
    assert some_of(pictures, 4).flatten().tolist() == [0, 2, 5, 7]
    assert torch.equal(some_of(pictures, 20), pictures)
    assert torch.equal(some_of(pictures, None), pictures)


@pytest.mark.parametrize("damage", ["short", "empty", "array", "integers", "folder", "sheet"])
def test_data_that_cannot_be_read(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "data.npz"
    if damage == "short":
        write_bits(path)
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros((4, 12), np.uint8))
    elif damage == "integers":
        np.savez(path, images=np.zeros((4, 12), np.int64))
    elif damage == "folder":
        path.mkdir()
    else:
        path = tmp_path / "sheet.png"
        Image.new("RGB", (9, 9)).save(path)
    with pytest.raises(ConfigError, match=r"data\.npz|sheet\.png"):
        load_pictures([path], BITS, "train")
