"""Pictures as they are measured."""

from pathlib import Path

import pytest
from PIL import Image

from bench.shared.pictures import mirrored, opened

from ...conftest import synthetic


@pytest.mark.parametrize(("width", "height"), [(30, 20), (100, 70), (300, 50)])
def test_a_picture_mirrored_to_any_size(example: Path, width: int, height: int) -> None:
    image = mirrored(example, width, height)
    assert image.size == (width, height)
    with Image.open(example) as picture:
        size = min(width, picture.width), min(height, picture.height)
        assert image.crop((0, 0, *size)).tobytes() == picture.convert("RGB").crop((0, 0, *size)).tobytes()


def test_pictures_are_upright_and_without_metadata(tmp_path: Path) -> None:
    picture, exif = Image.fromarray(synthetic(40, 60)), Image.Exif()
    exif[0x112] = 6  # a quarter turn
    picture.save(tmp_path / "p.png", exif=exif, icc_profile=b"profile")
    seen = opened(tmp_path / "p.png")
    assert seen.size == (40, 60)
    assert seen.tobytes() == picture.transpose(Image.Transpose.ROTATE_270).tobytes()
    assert not seen.info
