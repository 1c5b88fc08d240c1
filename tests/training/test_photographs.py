"""Photographs: which ones, and what is cut from them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from convdraw_codec import ConfigError
from convdraw_codec.cli.train import find_config, train
from convdraw_codec.training.photographs import find_photographs, load, random_crops

from ..conftest import synthetic
from .short import SHORT


def test_photographs_are_sought_in_folders(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"0\.png is no folder"):
        train(SHORT, [photographs / "0.png"], tmp_path / "m.safetensors", print)


@pytest.mark.parametrize("kind", [np.float32, np.uint16])
def test_deep_and_real_photographs_are_no_longer_black_or_white(tmp_path: Path, kind: type) -> None:
    levels = synthetic(6, 10, grey=True)
    values = levels.astype(np.uint16) * 257 if kind is np.uint16 else levels.astype(np.float32) / 255
    Image.fromarray(values).save(tmp_path / "p.tif")
    with pytest.warns(UserWarning, match="depth beyond 8 bits"):
        assert np.array_equal(load(tmp_path / "p.tif"), np.stack([levels] * 3, axis=-1))


def test_values_that_are_no_levels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[-1, 5]], np.float32)).save(tmp_path / "p.tif")
    with pytest.raises(ConfigError, match=r"p\.tif cannot be read as a photograph: its values"):
        load(tmp_path / "p.tif")


def test_every_sixth_photograph_is_held_out(photographs: Path) -> None:
    used, held_out = find_photographs([photographs])
    assert (len(used), len(held_out)) == (18, 4)
    assert not set(used) & set(held_out)


def test_crops_are_reproducible_and_in_range() -> None:
    source = [synthetic(50, 60, s) for s in range(3)]
    whole, part = random_crops(source, 16, range(5), seed=3), random_crops(source, 16, range(2, 5), seed=3)
    batches = [next(whole) for _ in range(3)]
    assert torch.equal(next(random_crops(source, 16, range(5), seed=3, iteration=2)), batches[2])
    assert not torch.equal(batches[0], batches[1])
    for a in batches:
        assert torch.equal(a[2:], next(part))
        assert a.shape == (5, 3, 16, 16)
        assert a.min() >= 0
        assert a.max() <= 255


def test_photographs_that_are_too_small_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(2):
        Image.fromarray(synthetic(9, 12, i)).save(tmp_path / "photos" / f"{i}.png")
    with pytest.raises(ConfigError, match="16 pixels on each side"):
        train(SHORT, [tmp_path / "photos"], tmp_path / "m.safetensors", print)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_no_photographs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no photograph"):
        train(SHORT, [tmp_path], tmp_path / "m.safetensors", print)
    with pytest.raises(ConfigError, match="photo, "):
        find_config("nothing")
