"""The codecs under comparison."""

import pytest
from PIL import Image

from bench.shared.codecs import make
from convdraw_codec.pictures.metrics import psnr

from ...conftest import synthetic


@pytest.mark.parametrize("name", ["jpeg", "jpeg2000", "webp", "cdraw"])
def test_as_good_as_so_many_bytes_allow(name: str) -> None:
    image = Image.fromarray(synthetic(64, 96))
    codec = make(name)
    assert codec.within(image, 30) is None
    some, more = (codec.within(image, size) for size in (1000, 1700))
    assert 700 < some[0] <= 1000 < 1300 < more[0] <= 1700
    assert psnr(image, some[1]) < psnr(image, more[1])
