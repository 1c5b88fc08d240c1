"""Drawings and screenshots in lossless files: stored as WebP, within a hundredth of a WebP file."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from convdraw_codec import CdrError, Codec, inspect, truncate
from convdraw_codec.format.bitstream import Contents, Header, read, write
from convdraw_codec.pictures import webp
from convdraw_codec.pictures.conversion import open_picture

from ..conftest import synthetic, with_alpha


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """WebP as small as it gets takes seconds."""
    monkeypatch.setattr(webp, "SMALLEST", (4, 75))


def drawing(mode: str, width: int = 160, height: int = 120) -> Image.Image:
    """Text, lines and flat colours."""
    image = Image.new("RGB", (width, height), "white")
    draw, rng = ImageDraw.Draw(image), np.random.default_rng(1)
    for y in range(0, height, 14):
        draw.text((4, y), "".join(map(chr, rng.integers(33, 126, width // 7))), tuple(rng.integers(0, 200, 3).tolist()))
    for _ in range(9):
        x, y, side = rng.integers(0, height, 3).tolist()
        draw.ellipse((x, y, x + side, y + side), outline="red", width=3, fill=tuple(rng.integers(0, 256, 3).tolist()))
    if mode == "P":
        return image.quantize(16)
    if mode.endswith("A"):
        image.putalpha(image.convert("L").point(lambda level: 0 if level > 240 else level))
    return image.convert(mode)


def webp_size(image: Image.Image) -> int:
    file = io.BytesIO()
    method, quality = webp.SMALLEST
    image.save(file, "WEBP", lossless=True, method=method, quality=quality, exact=True)
    return len(file.getvalue())


def test_webp_is_as_small_as_pillow_makes_it() -> None:
    assert webp.SMALLEST == (6, 100)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P"])
def test_drawings_take_a_hundredth_more_than_webp_at_most(tiny: Codec, mode: str) -> None:
    image = drawing(mode)
    data = tiny.compress(image, lossless=True)
    header, decoded = inspect(data), tiny.decompress(data)
    assert header.webp
    assert header.lossless
    assert len(data) <= 1.01 * webp_size(image)
    assert decoded.mode == image.mode.replace("P", "RGB")
    assert np.array_equal(np.asarray(decoded), np.asarray(image.convert(decoded.mode)))  # under alpha of 0 as well
    assert [picture.tobytes() for picture in tiny.progressive(data)][-1] == decoded.tobytes()


@pytest.mark.usefixtures("quick")
def test_photographs_stay_in_steps_and_so_does_whoever_asks_for_them(tiny: Codec) -> None:
    assert not inspect(tiny.compress(synthetic(90, 120), lossless=True)).webp
    data = tiny.compress(drawing("RGB", 50, 30), tiny.lossless_steps)
    assert (inspect(data).webp, inspect(data).lossless) == (False, True)


@pytest.mark.usefixtures("quick")
def test_steps_before_the_webp_stream_show_a_picture_where_it_is_cut(tiny: Codec) -> None:
    image = Image.effect_noise((128, 128), 90).convert("RGB")
    contents, steps = read(tiny.compress(synthetic(128, 128))), read(tiny.compress(np.zeros((128, 128, 3), np.uint8)))
    stored = webp.in_place_of_steps(replace(contents, segments=steps.segments), open_picture(image))
    data = write(stored)
    assert stored.header.steps >= 1
    assert len(data) <= 1.01 * webp_size(image)
    assert tiny.decompress(data).tobytes() == image.tobytes()
    shown = [picture.tobytes() for picture in tiny.progressive(io.BytesIO(data))]
    assert len(shown) == stored.header.steps + 1
    assert shown[-1] == image.tobytes()
    assert tiny.decompress(data, 1).tobytes() == tiny.decompress(truncate(data, 1)).tobytes() == shown[0]
    cut = truncate(data, size=len(data) - 1)
    assert tiny.decompress(cut).tobytes() == shown[-2]
    assert tiny.decompress(data[:-5], allow_truncated=True).tobytes() == shown[-2]
    assert tiny.decompress(data, reduce=2).size == (64, 64)


@pytest.mark.usefixtures("quick")
def test_metadata_go_along_and_alpha_is_not_stored_twice(tiny: Codec) -> None:
    image = drawing("RGBA")
    image.info["xmp"] = b"<x:xmpmeta/>"
    data = tiny.compress(image, lossless=True)
    assert read(data).chunks.keys() == {"XMP "}
    assert tiny.decompress(data).info == {"xmp": b"<x:xmpmeta/>"}
    bare = tiny.compress(image, lossless=True, strip=True, drop_alpha=True)
    assert (inspect(bare).mode, tiny.decompress(bare).info) == ("RGB", {})


def file_of(tiny: Codec, stream: bytes, mode: str = "RGB", width: int = 9) -> bytes:
    return write(Contents(Header(width, 8, mode, 0, 7, tiny.fingerprint), []).with_step(stream, webp=True))


def test_streams_of_another_size_are_refused_before_they_are_decoded(tiny: Codec,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    stream = webp.encode(open_picture(synthetic(8, 9)), webp.FASTEST)
    assert stream
    assert tiny.decompress(file_of(tiny, stream)).size == (9, 8)
    monkeypatch.setattr("PIL.WebPImagePlugin.WebPImageFile", None)
    huge = b"\x2f" + (2**28 - 1).to_bytes(4, "little") + stream[5:]
    for wrong in (file_of(tiny, stream, width=10), file_of(tiny, huge), file_of(tiny, b""), file_of(tiny, b"\x2f"),
                  file_of(tiny, b"\0" + stream[1:])):
        with pytest.raises(CdrError, match="does not fit its header"):
            tiny.decompress(wrong)


def test_damaged_streams_are_refused(tiny: Codec) -> None:
    stream = webp.encode(open_picture(synthetic(8, 9)), webp.FASTEST)
    assert stream
    version = stream[:4] + bytes([stream[4] | 0x80]) + stream[5:]
    for wrong in (stream[:5], stream[:-40], stream[:5] + bytes(len(stream) - 5), version):
        with pytest.raises(CdrError, match="lossless picture is damaged"):
            tiny.decompress(file_of(tiny, wrong))


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
def test_a_stream_of_any_kind_is_shown_in_the_mode_of_the_header(tiny: Codec, mode: str) -> None:
    """Grey is the stream's green; alpha that is missing is opaque."""
    for image in (Image.fromarray(synthetic(8, 9)), with_alpha(8, 9)):
        stream, rgba = webp.encode(open_picture(image), webp.FASTEST), image.convert("RGBA")
        shown = tiny.decompress(file_of(tiny, stream or b"", mode))
        expected = [rgba.getchannel("G" if band == "L" else band).tobytes() for band in mode]
        assert (shown.mode, [band.tobytes() for band in shown.split()]) == (mode, expected)


def test_what_webp_cannot_hold_stays_in_steps(tiny: Codec) -> None:
    assert webp.encode(open_picture(np.zeros((1, 16384, 3), np.uint8)), webp.FASTEST) is None
    assert not inspect(tiny.compress(np.zeros((1, 16384, 3), np.uint8), lossless=True)).webp
