"""What ``compress`` takes: every kind of picture, its metadata, its alpha channel, and what it refuses."""

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from convdraw_codec import Codec, ImageError, inspect, truncate
from convdraw_codec.coding.rotation_fit import colours_of
from convdraw_codec.format.bitstream import Header
from convdraw_codec.selftest import digest

from ..conftest import synthetic, with_alpha


def write_16_bits(path: Any, values: np.ndarray) -> None:
    """RGB of 16 bits, (H, W, 3) uint16, as a PNG or TIFF file, which Pillow cannot write."""
    height, width, _ = values.shape
    if path.suffix == ".png":
        lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
        chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(lines)),
                  (b"IEND", b""))
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in chunks))
        return
    data = values.astype("<u2").tobytes()
    bits = 8 + len(data)  # where the three depths lie, then the entries
    tags = ((256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, bits), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 8),
            (277, 3, 1, 3), (278, 3, 1, height), (279, 4, 1, len(data)))
    path.write_bytes(b"II*\0" + struct.pack("<I", bits + 6) + data + struct.pack("<3H", 16, 16, 16)
                     + struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4))


def test_inputs_of_every_kind_give_the_same_file(tiny: Codec, tmp_path: Path) -> None:
    array = synthetic(20, 30)
    image = Image.fromarray(array)
    image.save(tmp_path / "p.png")
    expected = tiny.compress(array)
    content = (tmp_path / "p.png").read_bytes()
    for same in (image, tmp_path / "p.png", str(tmp_path / "p.png"), content, bytearray(content), io.BytesIO(content),
                 np.asfortranarray(array), array[:, ::-1][:, ::-1]):
        assert tiny.compress(same) == expected
    with open(tmp_path / "p.png", "rb") as file:
        assert tiny.compress(file) == expected
    for no_picture in (b"bytes", io.BytesIO(b"bytes")):
        with pytest.raises(ImageError, match="no picture that Pillow can read"):
            tiny.compress(no_picture)
    assert tiny.compress(array[..., :1]) == tiny.compress(array[..., 0])
    for channels, mode in ((2, "LA"), (4, "RGBA")):
        several = np.concatenate([array, array], axis=2)[..., :channels]
        assert tiny.inspect(tiny.compress(several, 1)).mode == mode
        assert np.array_equal(np.asarray(tiny.decompress(tiny.compress(several, 1)).getchannel("A")), several[..., -1])
    (tmp_path / "p.cdr").write_bytes(expected)
    assert digest(tiny.decompress(tmp_path / "p.cdr")) == digest(tiny.decompress(expected))
    assert inspect(tmp_path / "p.cdr") == tiny.inspect(expected) == Header(30, 20, "RGB", 7, 7, tiny.fingerprint,
                                                                                  colours=colours_of(array))


@pytest.mark.parametrize(("mode", "stored", "lost"), [("1", "L", ""), ("P", "RGB", ""), ("RGBA", "RGBA", ""),
                                                      ("LA", "LA", ""), ("La", "LA", ""), ("RGBa", "RGBA", ""),
                                                      ("PA", "RGBA", ""), ("I;16", "L", "8 bits"),
                                                      ("CMYK", "RGB", "CMYK"), ("YCbCr", "RGB", "")])
def test_other_modes_are_converted_and_say_what_is_lost(tiny: Codec, recwarn: Any, mode: str, stored: str,
                                                        lost: str) -> None:
    grey = Image.fromarray(synthetic(9, 9, grey=True))
    image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey
    for step in {"La": ("LA", "La"), "RGBa": ("RGBA", "RGBa"), "PA": ("P", "PA"), "I;16": ()}.get(mode, (mode,)):
        image = image.convert(step)
    assert image.mode == mode
    data = tiny.compress(image, 1)
    assert tiny.inspect(data).mode == tiny.decompress(data).mode == stored
    assert [str(w.message) for w in recwarn] == ([f"{recwarn[0].message}"] if lost else [])
    assert not lost or lost in str(recwarn[0].message)


def test_the_transparent_value_of_a_deep_grey_png(tiny: Codec, tmp_path: Path) -> None:
    values = np.arange(54, dtype=np.uint16).reshape(6, 9) * 1200
    Image.fromarray(values).save(tmp_path / "p.png", transparency=2400)
    with pytest.warns(UserWarning, match="beyond 8 bits"):
        picture = tiny.decompress(tiny.compress(tmp_path / "p.png", 1))
    assert picture.mode == "LA"
    assert np.array_equal(np.asarray(picture.getchannel("A")), np.where(values == 2400, 0, 255))


@pytest.mark.parametrize("kind", ["png", "tif", "ppm", "pgm"])
def test_depth_that_pillow_drops_is_lost_all_the_same(tiny: Codec, tmp_path: Path, kind: str) -> None:
    path, values = tmp_path / f"p.{kind}", synthetic(6, 9).astype(np.uint16) * 257
    if kind in ("png", "tif"):
        write_16_bits(path, values)
    else:
        values = values if kind == "ppm" else values[..., 0]
        path.write_bytes(b"P%d 9 6 65535\n" % (6 if kind == "ppm" else 5) + values.astype(">u2").tobytes())
    with pytest.warns(UserWarning, match="beyond 8 bits"):
        data = tiny.compress(path)
    with Image.open(path) as image:
        expected = tiny.compress(synthetic(6, 9) if image.mode == "RGB" else (values // 257).astype(np.uint8))
    assert data == expected
    with pytest.warns(UserWarning), pytest.raises(ImageError, match="beyond 8 bits"):
        tiny.compress(path, lossless=True)


def test_portable_maps_of_few_bits_and_of_floats(tiny: Codec, tmp_path: Path) -> None:
    bits, levels = np.eye(6, dtype=np.uint8), synthetic(6, 9, grey=True)
    (tmp_path / "p.pbm").write_text("P1 6 6\n" + "\n".join(" ".join(map(str, row)) for row in 1 - bits))
    assert tiny.compress(tmp_path / "p.pbm") == tiny.compress(255 * bits)
    (tmp_path / "p.pfm").write_bytes(b"Pf 9 6\n-1.0\n" + levels[::-1].astype("<f4").tobytes())
    with pytest.warns(UserWarning, match="8 bits"):
        assert tiny.compress(tmp_path / "p.pfm") == tiny.compress(levels)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_levels_in_larger_numbers(tiny: Codec, mode: str) -> None:
    levels = Image.fromarray(synthetic(9, 9, grey=True))
    with pytest.warns(UserWarning, match="8 bits"):
        assert tiny.compress(levels.convert(mode)) == tiny.compress(levels)
    for low, high in ((-1, 255), (0, 65536)):
        values = np.linspace(low, high, 9).reshape(3, 3).astype(np.int32 if mode == "I" else np.float32)
        with pytest.raises(ImageError, match="no levels"):
            tiny.compress(Image.fromarray(values), 1)


@pytest.mark.parametrize("no_picture", [None, [[1, 2]], 5])
def test_what_is_no_kind_of_picture(tiny: Codec, no_picture: Any) -> None:
    with pytest.raises(TypeError, match=f"a picture is .*, not {type(no_picture).__name__}"):
        tiny.compress(no_picture)


@pytest.mark.parametrize("closed", [True, False], ids=["whole", "not yet"])
def test_pictures_from_pipes(tiny: Codec, closed: bool) -> None:
    """Pillow goes back and forth, which they do not."""
    encoded = io.BytesIO()
    Image.fromarray(synthetic(6, 9)).save(encoded, "PNG")
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with open(reading, "rb") as pipe, open(writing, "wb", 0) as other:
        other.write(encoded.getvalue())
        if closed:
            other.close()
            assert tiny.compress(pipe) == tiny.compress(synthetic(6, 9))
        else:
            with pytest.raises(BlockingIOError, match="must be one that blocks"):
                tiny.compress(pipe)


def test_text_is_no_picture(tiny: Codec, example: Path) -> None:
    with open(example, encoding="latin-1") as file, pytest.raises(TypeError, match="binary file, not str"):
        tiny.compress(file)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="closed file"):
        tiny.compress(file)  # type: ignore[arg-type]


def test_what_is_compressed_already(tiny: Codec, tmp_path: Path) -> None:
    (tmp_path / "p.cdr").write_bytes(tiny.compress(synthetic(6, 9)))
    with pytest.raises(ImageError, match="already"):
        tiny.compress(tmp_path / "p.cdr")


def test_orientation_is_applied_or_kept(tiny: Codec, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.fromarray(synthetic(10, 20)).save(tmp_path / "p.jpg", exif=exif)
    turned = tiny.decompress(tiny.compress(tmp_path / "p.jpg", 1))
    assert (turned.size, turned.getexif().get(0x0112)) == ((10, 20), None)
    kept = tiny.decompress(tiny.compress(tmp_path / "p.jpg", 1, keep_orientation=True))
    assert (kept.size, kept.getexif()[0x0112]) == ((20, 10), 6)


def test_damaged_exif_costs_no_picture(tiny: Codec) -> None:
    image = Image.fromarray(synthetic(10, 20))
    image.info["exif"] = b"Exif\0\0II*\0\x08\0\0"  # Pillow's parser fails
    with pytest.warns(UserWarning, match="EXIF is damaged"):
        data = tiny.compress(image, 1)
    back = tiny.decompress(data)
    assert (back.size, back.info["exif"]) == ((20, 10), image.info["exif"])


def test_other_damage_is_not_taken_for_that_of_exif(tiny: Codec, tmp_path: Path) -> None:
    """A bad chunk behind the pixels must not leave the picture on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(synthetic(10, 20)).save(tmp_path / "p.png", exif=exif)
    data = (tmp_path / "p.png").read_bytes()
    chunk = b"pHYs" + bytes(3)  # too short
    bad = struct.pack(">I", 3) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "p.png").write_bytes(data[:-12] + bad + data[-12:])
    with pytest.raises(ImageError, match="damaged"):
        tiny.compress(tmp_path / "p.png", 1)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_a_damaged_avif_is_one(tiny: Codec, tmp_path: Path) -> None:
    """Its decoder has errors of its own."""
    Image.fromarray(synthetic(40, 60)).save(tmp_path / "p.avif")
    data = bytearray((tmp_path / "p.avif").read_bytes())
    data[-40:] = bytes(40)
    (tmp_path / "p.avif").write_bytes(data[:-20])
    with pytest.raises(ImageError, match="damaged"):
        tiny.compress(tmp_path / "p.avif", 1)


@pytest.mark.parametrize("bad", [np.zeros((4, 4, 5), np.uint8), np.zeros((4, 4), np.float32),
                                 np.zeros((0, 4), np.uint8), np.zeros((1, 70000), np.uint8)])
def test_arrays_that_are_no_pictures(tiny: Codec, bad: Any) -> None:
    with pytest.raises(ImageError):
        tiny.compress(bad)


def test_a_jpeg_that_brings_a_preview_is_no_animation(tiny: Codec, tmp_path: Path) -> None:
    frames = [Image.fromarray(synthetic(8, 8, seed)) for seed in range(2)]
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:])
    assert tiny.inspect(tiny.compress(tmp_path / "a.jpg", 1)).width == 8


def test_animations_are_refused(tiny: Codec, tmp_path: Path) -> None:
    frames = [Image.fromarray(synthetic(8, 8, seed)) for seed in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="animated"):
        tiny.compress(tmp_path / "a.gif")


@pytest.mark.parametrize("grey", [False, True])
def test_alpha_is_lossless_at_every_cut(tiny: Codec, grey: bool) -> None:
    image = with_alpha(20, 30, grey)
    data = tiny.compress(image)
    for steps in (1, 7):
        decoded = tiny.decompress(truncate(data, steps))
        assert decoded.mode == image.mode
        assert decoded.getchannel("A").tobytes() == image.getchannel("A").tobytes()
    bare = tiny.compress(image, drop_alpha=True)
    assert tiny.decompress(bare).mode == image.mode[:-1]
    assert len(bare) < len(data) - 600


def test_metadata_go_along_unless_stripped(tiny: Codec) -> None:
    image = Image.fromarray(synthetic(8, 8))
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.info |= {"icc_profile": profile, "exif": exif.tobytes(), "xmp": b"<x:xmpmeta/>"}
    data = tiny.compress(image)
    assert {k: tiny.decompress(truncate(data, 1)).info[k] for k in image.info} == image.info
    assert tiny.decompress(tiny.compress(image, strip=True)).info == {}
    assert tiny.inspect(data).chunks == 3


def test_a_grey_picture_sends_no_chroma(tiny: Codec) -> None:
    """Every map of chroma is left out, so even a picture that the encoder sees in colour stays grey."""
    array = synthetic(24, 24, grey=True)
    grey, colour = tiny.compress(array), tiny.compress(np.stack([array] * 3, axis=-1))
    assert len(grey) < len(colour)
    error = [np.square(np.asarray(tiny.decompress(d).convert("L"), float) - array).mean() for d in (grey, colour)]
    assert error[0] < 1.1 * error[1]


def test_a_picture_may_be_very_wide(tiny: Codec) -> None:
    array = np.tile(synthetic(3, 300), (1, 100, 1))
    assert tiny.decompress(tiny.compress(array, 1)).size == (30_000, 3)
