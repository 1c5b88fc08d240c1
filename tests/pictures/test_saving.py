"""What a picture becomes in other formats, and metrics."""

import io
import math
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from convdraw_codec.errors import ImageError
from convdraw_codec.pictures.metrics import psnr
from convdraw_codec.pictures.saving import encode, without_alpha

from ..conftest import synthetic

PICTURE = Image.fromarray(synthetic(60, 80))


def with_hole(mode: str = "RGBA") -> Image.Image:
    picture = PICTURE.convert(mode)
    alpha = np.full((60, 80), 255, np.uint8)
    alpha[:30, :40], alpha[30:, :40] = 0, 128
    picture.putalpha(Image.fromarray(alpha))
    return picture


def opened(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image


@pytest.mark.parametrize(("format", "least"), [("JPEG", 41), ("AVIF", 43), ("WEBP", 36)])
def test_lossy_formats_say_so_and_are_good_by_default(example: Path, format: str, least: float) -> None:
    with Image.open(example) as image:
        picture = image.reduce(3)
    data, said = encode(picture, format)
    quality = psnr(picture, opened(data).convert("RGB"))
    assert quality > least
    assert said == f"{format} is lossy: {quality:.1f} dB from what was decoded"
    assert len(encode(picture, format, 30)[0]) < len(data) / 2


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "PPM", "JPEG2000", "TGA", "QOI"])
def test_exact_formats_say_nothing(format: str) -> None:
    data, said = encode(PICTURE, format)
    assert (opened(data).convert("RGB").tobytes(), said) == (PICTURE.tobytes(), "")


def test_few_colours_are_said() -> None:
    assert encode(PICTURE, "GIF")[1].startswith("GIF holds 256 colours at most: ")
    assert encode(PICTURE.convert("L"), "GIF")[1] == ""


def test_what_pillow_only_writes() -> None:
    data, said = encode(PICTURE, "PDF")
    assert (data[:4], said) == (b"%PDF", "what PDF loses is not known")
    assert len(data) > len(encode(PICTURE, "PDF", 50)[0])


@pytest.mark.parametrize("format", ["JPEG", "BMP", "PPM"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_lost_alpha_channel_is_refused_with_advice(format: str, mode: str) -> None:
    with pytest.raises(ImageError, match=r"alpha|mode (RGB|L)A"):
        encode(with_hole(mode), format)


def test_hidden_colours_are_no_loss() -> None:
    """WebP and AVIF make them up."""
    said = encode(with_hole(), "WEBP")[1]
    assert float(re.findall(r"([\d.]+) dB", said)[0]) > 32


@pytest.mark.parametrize(("colour", "red"), [("white", 255), ("#ff0000", 255), ("black", 0)])
def test_a_picture_over_a_background(colour: str, red: int) -> None:
    picture = with_hole()
    picture.info["xmp"] = b"<x/>"
    flat = without_alpha(picture, colour)
    assert (flat.mode, flat.info["xmp"], np.asarray(flat)[0, 0, 0]) == ("RGB", b"<x/>", red)
    assert flat.getpixel((60, 9)) == PICTURE.getpixel((60, 9))
    assert np.asarray(flat)[40, 9, 0] == pytest.approx((int(np.asarray(PICTURE)[40, 9, 0]) + red) / 2, abs=2)
    assert without_alpha(with_hole("LA"), colour).mode == "L"


def test_a_picture_without_its_alpha_channel() -> None:
    assert without_alpha(with_hole()).tobytes() == PICTURE.tobytes()
    assert without_alpha(PICTURE, "white").tobytes() == PICTURE.tobytes()


def test_psnr_is_that_of_scikit_image() -> None:
    clean, noisy = (Image.fromarray(synthetic(300, 80, seed)) for seed in (0, 1))
    assert psnr(clean, noisy) == pytest.approx(peak_signal_noise_ratio(np.asarray(clean), np.asarray(noisy)), rel=1e-12)
    assert psnr(clean, clean) == math.inf
