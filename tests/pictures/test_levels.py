"""Samples of more than 8 bits, and real ones."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convdraw_codec.errors import ImageError
from convdraw_codec.pictures.conversion import open_picture, read_picture

from ..conftest import synthetic

LEVELS = synthetic(6, 10, grey=True)


def as_file(values: np.ndarray, format: str) -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(values).save(file, format)
    return file


@pytest.mark.parametrize("format", ["image", "TIFF"])
def test_real_values_up_to_one_go_from_black_to_white(format: str) -> None:
    values = LEVELS.astype(np.float32) / 255
    with pytest.warns(UserWarning, match=r"^not kept: depth beyond 8 bits \(0 to 1 became 0 to 255\)$"):
        picture = open_picture(Image.fromarray(values)) if format == "image" else read_picture(as_file(values, format))
    assert np.array_equal(np.asarray(picture.pixels), LEVELS)


@pytest.mark.parametrize(("values", "levels"), [
    (LEVELS.astype(np.float32), LEVELS), (LEVELS.astype(np.int32), LEVELS), (LEVELS.astype(np.int32) * 257, LEVELS),
    (LEVELS.astype(np.uint16) * 257, LEVELS), (LEVELS.astype(np.uint16), 0 * LEVELS)])
def test_other_values(values: np.ndarray, levels: np.ndarray) -> None:
    with pytest.warns(UserWarning, match="^not kept: depth beyond 8 bits$"):
        assert np.array_equal(np.asarray(open_picture(Image.fromarray(values)).pixels), levels)


@pytest.mark.parametrize(("values", "kind"), [
    ([-0.5, 1], np.float32), ([0, 300], np.float32), ([np.nan, 1], np.float32), ([np.inf, 1], np.float32),
    ([-1, 5], np.int32), ([0, 70000], np.int32)])
def test_values_that_are_no_levels(values: list[float], kind: type) -> None:
    with pytest.raises(ImageError, match="no levels"):
        open_picture(Image.fromarray(np.array([values], kind)))


def test_twelve_bits(tmp_path: Path) -> None:
    """Pillow gives them as they are, in a mode of 16 bits."""
    values = -(-LEVELS.astype(int) * 4095 // 255)  # rounded up, as they are rounded down
    pairs = values.reshape(-1, 2)
    data = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs)
    tags = ((256, 3, 1, 10), (257, 3, 1, 6), (258, 3, 1, 12), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
            (277, 3, 1, 1), (278, 3, 1, 6), (279, 4, 1, len(data)))
    (tmp_path / "p.tif").write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags))
                                     + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4))
    with pytest.warns(UserWarning, match="depth"):
        assert np.array_equal(np.asarray(read_picture(tmp_path / "p.tif").pixels), LEVELS)
