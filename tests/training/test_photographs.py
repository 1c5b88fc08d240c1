"""Photographs for training are read as ``compress`` reads them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convdraw_codec.errors import ConfigError
from convdraw_codec.training.photographs import load

from ..conftest import synthetic


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
