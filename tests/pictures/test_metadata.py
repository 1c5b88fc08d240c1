"""Of every format and every kind of metadata: it is kept, or one line names it."""

import io
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from convdraw_codec.pictures.conversion import assemble, read_picture
from convdraw_codec.pictures.metadata import metadata_in, orientation_of, to_info
from convdraw_codec.pictures.saving import encode

from ..conftest import synthetic

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF/></x:xmpmeta>'
WORDS = {"ICCP": "ICC profile", "EXIF": "EXIF", "XMP ": "XMP", "DPI ": "resolution"}
# What Pillow's writer, and the format, can hold.
HELD = {"PNG": {"ICCP", "EXIF", "XMP ", "DPI "}, "JPEG": {"ICCP", "EXIF", "XMP ", "DPI "},
        "MPO": {"ICCP", "EXIF", "XMP ", "DPI "}, "TIFF": {"ICCP", "EXIF", "XMP ", "DPI "},
        "WEBP": {"ICCP", "EXIF", "XMP "}, "AVIF": {"ICCP", "EXIF", "XMP "}, "BMP": {"DPI "}, "JPEG2000": set(),
        "GIF": set(), "PPM": set(), "TGA": set(), "SGI": set(), "QOI": set()}
LOSSY = {"JPEG", "MPO", "WEBP", "AVIF", "GIF"}


def exif(orientation: int = 1) -> Image.Exif:
    made, result = Image.Exif(), Image.Exif()
    made[0x010F], made[0x0112] = "a maker", orientation
    made.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"
    result.load(made.tobytes())  # as a camera's: Pillow writes no part to TIFF that it made itself
    return result


def written(format: str, mode: str = "RGB", size: tuple[int, int] = (24, 40), **options: Any) -> io.BytesIO:
    """A file with all metadata that Pillow writes in the format, or with the given one."""
    if not options:
        options = {"icc_profile": PROFILE, "exif": exif(), "xmp": XMP, "dpi": (300, 150)}
    if format == "PNG" and "xmp" in options:
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", options.pop("xmp").decode())
    if format == "TIFF" and "xmp" in options:
        options.setdefault("exif", Image.Exif())[700] = options.pop("xmp")
    file = io.BytesIO()
    Image.fromarray(synthetic(*size)).convert(mode).save(file, format, **options)
    return file


def read(file: io.BytesIO, **options: Any) -> tuple[dict[str, bytes], str]:
    """The chunks of a file's picture, and the one line that says what is not kept."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        picture = read_picture(file, **options)
    assert len(caught) <= 1
    return picture.chunks(), str(caught[0].message) if caught else ""


@pytest.mark.parametrize("format", HELD)
def test_every_format_brings_what_it_holds(format: str) -> None:
    chunks, said = read(written(format))
    assert chunks.keys() == HELD[format]
    assert not said
    info = to_info(chunks)
    if "EXIF" in chunks:
        back = Image.Exif()
        back.load(chunks["EXIF"])
        assert chunks["EXIF"].startswith(b"Exif\0\0")  # by one rule, whatever the format
        assert (back[0x010F], back.get_ifd(0x8769)[0x9003]) == ("a maker", "2026:01:02 03:04:05")
        assert (info["icc_profile"], info["xmp"]) == (PROFILE, XMP)
    if "DPI " in chunks:
        assert info["dpi"] == pytest.approx((300, 150), rel=1e-4)


@pytest.mark.parametrize("format", HELD)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_format_is_given_what_it_holds(format: str, mode: str) -> None:
    """And one line names the rest."""
    if (format, mode) == ("QOI", "L"):
        pytest.skip("QOI has no grey")
    picture = assemble(Image.fromarray(synthetic(24, 40)).convert(mode), mode, read(written("PNG"))[0])
    data, said = encode(picture, format)
    with Image.open(io.BytesIO(data)) as back:
        back.load()
        kept = metadata_in(back)
        assert kept.keys() == HELD[format]
        assert "EXIF" not in kept or back.getexif()[0x010F] == "a maker"  # readers find it
        assert kept.get("XMP ", XMP) == XMP and kept.get("ICCP", PROFILE) == PROFILE
    lost = [WORDS[name] for name in WORDS if name not in HELD[format]]
    assert (f"{format} does not keep {', '.join(lost)}" in said) == bool(lost)
    assert ("dB" in said) == (format in LOSSY and (mode, format) != ("L", "GIF"))
    assert "\n" not in said


def png(*chunks: tuple[bytes, bytes]) -> io.BytesIO:
    """A PNG file with chunks before its pixels."""
    data = written("PNG", compress_level=1).getvalue()
    packed = b"".join(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
                      for name, body in chunks)
    return io.BytesIO(data[:33] + packed + data[33:])


def hidden(kind: str, data: bytes) -> tuple[bytes, bytes]:
    """As ImageMagick writes a profile."""
    text = f"\n{kind}\n{len(data):8}\n{data.hex()}\n".encode()
    return b"zTXt", f"Raw profile type {kind}".encode() + b"\0\0" + zlib.compress(text)


@pytest.mark.parametrize(("kind", "data", "name", "kept"), [
    ("exif", exif(6).tobytes(), "EXIF", exif(6).tobytes()), ("APP1", exif(6).tobytes(), "EXIF", exif(6).tobytes()),
    ("xmp", XMP, "XMP ", XMP), ("APP1", b"http://ns.adobe.com/xap/1.0/\0" + XMP, "XMP ", XMP),
    ("icc", PROFILE, "ICCP", PROFILE)], ids=["exif", "exif in APP1", "xmp", "xmp in APP1", "icc"])
def test_profiles_in_the_text_of_png(kind: str, data: bytes, name: str, kept: bytes) -> None:
    chunks, said = read(png(hidden(kind, data)), keep_orientation=True)
    assert (chunks, said) == ({name: kept}, "")


SRGB_PRIMARIES = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


@pytest.mark.parametrize(("chunks", "said"), [
    ([(b"gAMA", struct.pack(">I", 100000))], "not kept: gamma (1)"),
    ([(b"gAMA", struct.pack(">I", 45455)), (b"cHRM", SRGB_PRIMARIES)], ""),  # sRGB, as every picture
    ([(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100000))], ""),  # sRGB goes first
    ([(b"cHRM", struct.pack(">8I", *[31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000]))],
     "not kept: primaries (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)"),
    ([(b"cICP", bytes([9, 16, 0, 1]))], "not kept: cICP (9, 16, 0, 1)"),
    ([(b"cICP", bytes([1, 13, 0, 1]))], ""),
    ([(b"tEXt", b"Title\0a"), (b"tEXt", b"Author\0b")], "not kept: text (Title, Author)"),
    ([(b"tEXt", b"Title\0a"), (b"cICP", bytes([9, 16, 0, 1]))], "not kept: cICP (9, 16, 0, 1), text (Title)")])
def test_what_png_says_beyond_that(chunks: list[tuple[bytes, bytes]], said: str) -> None:
    assert read(png(*chunks)) == ({}, said)
    assert read(png(*chunks), strip=True) == ({}, "")


@pytest.mark.parametrize(("file", "said"), [
    (written("JPEG", comment=b"hello"), "a comment"), (written("GIF", comment=b"hello"), "a comment"),
    (written("JPEG2000", comment=b"hello"), "a comment"),
    (written("TIFF", tiffinfo={42112: "<GDAL/>"}), "TIFF tags 42112")])
def test_comments_and_private_tags_are_named(file: io.BytesIO, said: str) -> None:
    assert read(file) == ({}, f"not kept: {said}")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("xmp", [b'<a tiff:Orientation="6"/>', b"<a tiff:Orientation='6'/>",
                                 b"<a><tiff:Orientation>6</tiff:Orientation></a>"])
@pytest.mark.parametrize("tag", [6, 1, None], ids=["both", "upright EXIF", "XMP"])
def test_an_upright_picture_says_nothing_else(format: str, xmp: bytes, tag: int | None) -> None:
    """Pillow turns TIFF as it loads it, and the codec turns the rest: in no file is an orientation left."""
    options: dict[str, Any] = {"xmp": xmp} if tag is None else {"xmp": xmp, "exif": exif(tag)}
    picture = read_picture(written(format, **options))
    turned = tag == 6 or (tag is None and format != "AVIF" and (format != "TIFF" or b"'" not in xmp))
    assert picture.pixels.size == ((24, 40) if turned else (40, 24))
    assert orientation_of(picture.metadata) == 1
    assert b"Orientation" not in picture.metadata["XMP "]


@pytest.mark.parametrize("format", HELD)
def test_a_picture_that_was_not_turned_is_shown_upright_in_every_format(format: str) -> None:
    source = written("JPEG", quality=100, exif=exif(6))
    upright = np.asarray(read_picture(source).pixels, float)
    kept = read_picture(source, keep_orientation=True)
    assert kept.pixels.size == (40, 24)
    data, _ = encode(assemble(kept.pixels, "RGB", kept.chunks()), format)
    shown = np.asarray(read_picture(io.BytesIO(data)).pixels, float)
    assert shown.shape == upright.shape
    assert np.square(shown - upright).mean() < 200  # GIF has few colours


def test_a_tiff_file_that_is_kept_as_it_is_says_nothing_of_turning() -> None:
    """Pillow turns it all the same."""
    picture = read_picture(written("TIFF", exif=exif(6)), keep_orientation=True)
    assert picture.pixels.size == (24, 40)
    assert orientation_of(picture.metadata) == 1


def test_exif_that_says_how_a_file_is_stored_does_not_spoil_a_tiff_file() -> None:
    phone = exif()
    phone[0x0100], phone[0x0101], phone[0x0103] = 4000, 3000, 6  # width, height and compression of the camera's file
    picture = Image.fromarray(synthetic(24, 40))
    picture.info["exif"] = phone.tobytes()
    data, said = encode(picture, "TIFF")
    with Image.open(io.BytesIO(data)) as back:
        assert (back.size, back.tobytes(), said) == ((40, 24), picture.tobytes(), "")


def test_exif_that_is_too_long_for_a_format_is_named() -> None:
    long = exif()
    long[0x010E] = "x" * 70000
    picture = Image.fromarray(synthetic(24, 40))
    picture.info["exif"] = long.tobytes()
    data, said = encode(picture, "JPEG")
    assert "JPEG does not keep EXIF" in said
    assert "exif" not in Image.open(io.BytesIO(data)).info


def test_metadata_in_the_info_of_an_image() -> None:
    picture = Image.fromarray(synthetic(24, 40))
    picture.info.update(exif=exif(), xmp="<x/>", icc_profile=bytearray(b"p"))
    chunks = metadata_in(picture)
    assert chunks == {"EXIF": exif().tobytes(), "XMP ": b"<x/>", "ICCP": b"p"}
    picture.info["icc_profile"] = 5
    with pytest.raises(TypeError, match="icc_profile"):
        metadata_in(picture)


@pytest.mark.parametrize("dpi", [(72, 72), (0, 0), (1, 1), (float("nan"), 300), (1e9, 300), 300, None])
def test_a_resolution_that_says_nothing_is_not_stored(dpi: Any) -> None:
    picture = Image.fromarray(synthetic(24, 40))
    picture.info["dpi"] = dpi
    assert metadata_in(picture) == {}


def test_an_alpha_channel_brings_no_metadata() -> None:
    chunks, _ = read(written("PNG", "RGBA"))
    bare, _ = read(written("PNG", "RGBA", compress_level=1))
    assert chunks["ALPH"] == bare["ALPH"]
    assert read(written("PNG", "RGBA"), strip=True)[0].keys() == {"ALPH"}
