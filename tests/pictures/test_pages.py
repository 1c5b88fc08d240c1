"""Files that hold more than one picture."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convdraw_codec.errors import ImageError
from convdraw_codec.pictures.conversion import open_picture, read_picture

from ..conftest import synthetic

MAIN, OTHER, SMALL = synthetic(20, 30), synthetic(20, 30, seed=1), synthetic(10, 15)


def tiff(*pages: tuple[np.ndarray, dict[int, int]]) -> io.BytesIO:
    """A TIFF file with pages, and tags of each."""
    file = io.BytesIO()
    with_tags: list[Image.Image] = []
    for pixels, tags in pages:
        image = Image.fromarray(pixels)
        image.encoderinfo = {"tiffinfo": tags}
        with_tags.append(image)
    with_tags[0].save(file, "TIFF", save_all=True, append_images=with_tags[1:], tiffinfo=pages[0][1])
    return file


def test_overviews_and_thumbnails_are_passed_over() -> None:
    for order in ((MAIN, SMALL), (SMALL, MAIN)):
        for tag, value in ((254, 1), (254, 5), (255, 2)):
            file = tiff(*((pixels, {tag: value} if pixels is SMALL else {}) for pixels in order))
            assert np.array_equal(np.asarray(read_picture(file).pixels), MAIN)


def test_pages_are_called_pages() -> None:
    file = tiff((MAIN, {}), (OTHER, {}), (SMALL, {254: 1}))
    with pytest.raises(ImageError, match=r"^it has 2 pages, and a \.cdr file holds one picture: --page chooses"):
        read_picture(file)
    for page, pixels in ((1, MAIN), (2, OTHER), (3, SMALL)):
        assert np.array_equal(np.asarray(read_picture(file, page=page).pixels), pixels)
    with pytest.raises(ImageError, match="it has no page 4: there are 3"):
        read_picture(file, page=4)
    with Image.open(file) as image:
        image.seek(1)
        assert np.array_equal(np.asarray(open_picture(image).pixels), OTHER)  # the one that is shown


def test_a_file_of_one_picture_has_page_1() -> None:
    file = io.BytesIO()
    Image.fromarray(MAIN).save(file, "PNG")
    assert np.array_equal(np.asarray(read_picture(file, page=1).pixels), MAIN)
    with pytest.raises(ImageError, match="it has no page 2: there is 1"):
        read_picture(file, page=2)


def test_photoshop_files_give_all_layers_together() -> None:
    def layer(pixels: np.ndarray) -> tuple[bytes, bytes]:
        height, width, _ = pixels.shape
        record = struct.pack(">4iH", 0, 0, height, width, 3)
        record += b"".join(struct.pack(">hI", channel, 2 + height * width) for channel in range(3))
        record += b"8BIMnorm" + bytes([255, 0, 0, 0]) + struct.pack(">I", 12) + struct.pack(">II", 0, 0) + b"\0\0\0\0"
        return record, b"".join(bytes(2) + pixels[..., channel].tobytes() for channel in range(3))

    layers = [layer(OTHER), layer(OTHER)]
    info = struct.pack(">h", 2) + b"".join(record for record, _ in layers) + b"".join(data for _, data in layers)
    section = struct.pack(">I", len(info)) + info + struct.pack(">I", 0)
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 20, 30, 8, 3) + struct.pack(">II", 0, 0)
    data = header + struct.pack(">I", len(section)) + section + bytes(2) + MAIN.transpose(2, 0, 1).tobytes()
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PSD" and getattr(image, "n_frames", 1) > 1  # as Pillow says
    assert np.array_equal(np.asarray(read_picture(io.BytesIO(data)).pixels), MAIN)


def test_a_jpeg_that_brings_a_preview() -> None:
    file = io.BytesIO()
    Image.fromarray(MAIN).save(file, "MPO", save_all=True, append_images=[Image.fromarray(SMALL)], quality=95)
    assert read_picture(file).pixels.size == (30, 20)
    assert read_picture(file, page=2).pixels.size == (15, 10)


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "AVIF"])
def test_animations_are_refused(format: str) -> None:
    file = io.BytesIO()
    options: dict[str, Any] = {"save_all": True, "append_images": [Image.fromarray(OTHER)], "duration": 100}
    Image.fromarray(MAIN).save(file, format, **options)
    for page in (None, 1):
        with pytest.raises(ImageError, match="it is animated"):
            read_picture(file, page=page)
