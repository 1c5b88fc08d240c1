"""The Pillow plugin behaves as Pillow's own formats do."""

import hashlib
import io
import pickle
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile, UnidentifiedImageError

from convdraw_codec import CdrError, Codec, ImageError, ModelError, register_cdr_opener, truncate
from convdraw_codec.format.bitstream import read, write

from ..conftest import synthetic
from ..tiny import TINY_MODEL
from .test_inputs import write_16_bits


@pytest.fixture(autouse=True)
def registered() -> None:
    register_cdr_opener(TINY_MODEL)


@pytest.fixture
def path(tiny: Codec, tmp_path: Path) -> Any:
    (tmp_path / "p.cdr").write_bytes(tiny.compress(synthetic(20, 30), 4))
    return tmp_path / "p.cdr"


def test_opening_reads_only_the_header(path: Path) -> None:
    """Neither torch nor the pixels are needed for size, mode and steps."""
    program = ("import sys; from PIL import Image; from convdraw_codec import register_cdr_opener; "
               "register_cdr_opener(); image = Image.open(sys.argv[1]); "
               "print(image.format, image.mode, image.size, image.info['steps'], image.get_format_mimetype()); "
               "sys.exit('torch' in sys.modules)")
    path.write_bytes(path.read_bytes()[:-1])  # its last byte is not looked at
    result = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
    assert (result.stdout, result.returncode) == ("CDR RGB (30, 20) (4, 7) image/x-cdr\n", 0), result.stderr


def test_pixels_are_those_of_the_codec(tiny: Codec, path: Path) -> None:
    with Image.open(path) as image:
        assert image.tobytes() == tiny.decompress(path).tobytes()
        assert image.load()[3, 4] == image.getpixel((3, 4))
    assert image.fp is None


def test_a_cdr_file_is_not_compressed_again(tiny: Codec, path: Path) -> None:
    with pytest.raises(ImageError, match="already"):
        tiny.compress(path)


def test_copies_and_pickles(path: Path) -> None:
    with Image.open(path) as image:
        assert image.copy().tobytes() == image.tobytes()
        assert pickle.loads(pickle.dumps(image)).tobytes() == image.tobytes()
        assert image.resize((3, 2)).size == (3, 2)


def test_a_draft_is_smaller_and_no_smaller_than_asked_for(tiny: Codec, tmp_path: Path) -> None:
    data = tiny.compress(synthetic(60, 90))
    with Image.open(io.BytesIO(data)) as image:
        assert image.draft("RGB", (30, 10)) == ("RGB", (0, 0, 45.0, 30.0))
        assert image.size == (45, 30)
        assert image.draft(None, (4, 4)) is None  # only once
        assert image.tobytes() == tiny.decompress(data, reduce=2).tobytes()
        assert image.draft(None, (4, 4)) is None
    with Image.open(io.BytesIO(data)) as image:
        assert image.draft("L", (90, 60)) == ("RGB", (0, 0, 90.0, 60.0))
    with Image.open(io.BytesIO(data)) as image:
        image.thumbnail((22, 15), reducing_gap=1.0)
        expected = tiny.decompress(data, reduce=4).resize(image.size, Image.Resampling.BICUBIC, (0, 0, 22.5, 15), 1.0)
        assert image.tobytes() == expected.tobytes()


def test_a_picture_that_says_how_to_turn_it_is_saved_as_it_is(tmp_path: Path) -> None:
    image = Image.fromarray(synthetic(20, 30))
    image.getexif()[0x0112] = 6
    image.save(tmp_path / "p.cdr", exif=image.getexif())
    with Image.open(tmp_path / "p.cdr") as back:
        assert (back.size, back.getexif()[0x0112]) == ((30, 20), 6)


def test_saving(tiny: Codec, tmp_path: Path) -> None:
    image = Image.fromarray(synthetic(20, 30))
    file = io.BytesIO()
    image.save(file, "CDR")
    assert file.getvalue() == tiny.compress(image)
    for options in ({"steps": 3}, {"size": 200}, {"bpp": 2.5}, {"psnr": 20}):
        image.save(tmp_path / "p.cdr", **options)  # over the one before
        assert (tmp_path / "p.cdr").read_bytes() == tiny.compress(image, **options)


def test_saving_over_the_file_that_is_open(path: Path) -> None:
    with Image.open(path) as image:
        pixels = image.tobytes()
        image.save(path, steps=2)
    with Image.open(path) as again:
        assert again.info["steps"] == (2, 7)
        assert again.tobytes() != pixels


def test_metadata(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    image = Image.fromarray(synthetic(9, 9, grey=True))
    image.info["icc_profile"] = b"a profile"
    image.save(tmp_path / "p.cdr", exif=exif, xmp=b"<x/>")
    with Image.open(tmp_path / "p.cdr") as saved:
        assert saved.mode == "L"
        assert saved.getexif()[0x010F] == "a maker"
        assert (saved.info["icc_profile"], saved.info["xmp"]) == (b"a profile", b"<x/>")
    image.save(tmp_path / "p.cdr", icc_profile=None)
    with Image.open(tmp_path / "p.cdr") as saved:
        assert "icc_profile" not in saved.info


def test_unknown_options_are_warned_about() -> None:
    with pytest.warns(UserWarning, match="does not know quality"):
        Image.fromarray(synthetic(8, 8)).save(io.BytesIO(), "CDR", quality=80)


def test_a_profile_is_stored_once(tmp_path: Path) -> None:
    image = Image.fromarray(synthetic(9, 9)).convert("RGBA")
    image.putalpha(7)
    image.save(tmp_path / "bare.cdr", steps=1)
    profile = np.random.default_rng(0).bytes(5000)
    image.save(tmp_path / "p.cdr", steps=1, icc_profile=profile)
    assert 5000 < (tmp_path / "p.cdr").stat().st_size - (tmp_path / "bare.cdr").stat().st_size < 5020


def test_metadata_in_other_types_than_bytes(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    image = Image.fromarray(synthetic(9, 9))
    image.info.update(exif=exif, xmp="<x/>", dpi=(300, 300))
    image.save(tmp_path / "p.cdr")
    with Image.open(tmp_path / "p.cdr") as saved:
        assert saved.getexif()[0x010F] == "a maker"
        assert (saved.info["xmp"], saved.info["dpi"]) == (b"<x/>", (300, 300))
    image.info["icc_profile"] = 5
    with pytest.raises(TypeError, match="icc_profile"):
        image.save(tmp_path / "p.cdr")


@pytest.mark.parametrize("source", ["grey.png", "colour.png", "colour.ppm"])
@pytest.mark.parametrize("loaded", [False, True])
def test_lossless_saves_refuse_lost_depth(tiny: Codec, tmp_path: Path, source: str, loaded: bool) -> None:
    """Pillow cuts 16 bits a channel to 8 as it loads them, and forgets that it did."""
    values = synthetic(6, 9).astype(np.uint16) * 257
    if source == "grey.png":
        Image.fromarray(values[..., 0]).save(tmp_path / source)
    elif source == "colour.png":
        write_16_bits(tmp_path / source, values)
    else:
        (tmp_path / source).write_bytes(b"P6 9 6 65535\n" + values.astype(">u2").tobytes())
    with Image.open(tmp_path / source) as image:
        if loaded:
            image.load()
        with pytest.warns(UserWarning, match="not kept: depth beyond 8 bits"), pytest.raises(ImageError, match="depth"):
            image.save(tmp_path / "p.cdr", lossless=True)
        with pytest.warns(UserWarning), pytest.raises(ImageError, match="depth"):
            tiny.compress(image, lossless=True)


def test_a_closed_image_says_so(path: Path) -> None:
    image = Image.open(path)
    image.close()
    for use in (image.load, image.tobytes, image.verify, lambda: image.resize((3, 3))):
        with pytest.raises(ValueError, match="Operation on closed image"):
            use()
    image = Image.open(path)
    image.load()
    image.close()
    with pytest.raises(ValueError, match="Operation on closed image"):
        image.getpixel((0, 0))


def test_a_model_is_checked_at_once_and_found_from_any_folder(path: Path, tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError):
        register_cdr_opener(tmp_path / "missing.safetensors")
    (tmp_path / "no.safetensors").write_bytes(b"no model at all")
    with pytest.raises(ModelError, match=r"no\.safetensors is not a cdraw model"):
        register_cdr_opener(tmp_path / "no.safetensors")
    monkeypatch.chdir(TINY_MODEL.parent)
    register_cdr_opener(TINY_MODEL.name)
    monkeypatch.chdir(tmp_path)
    with Image.open(path) as image:
        assert image.load()


def test_a_model_is_a_path() -> None:
    with pytest.raises(TypeError, match="not int"):
        register_cdr_opener(5)  # type: ignore[arg-type]


def test_larger_pictures_than_allowed_are_refused_both_ways(path: Path) -> None:
    register_cdr_opener(TINY_MODEL, max_pixels=599)
    with Image.open(path) as image, pytest.raises(OSError, match="more than the 599 allowed"):
        image.load()
    with pytest.raises(ImageError, match="more than the 599 pixels"):
        Image.fromarray(synthetic(20, 30)).save(io.BytesIO(), "CDR")
    register_cdr_opener(TINY_MODEL, max_pixels=600)
    with Image.open(path) as image:
        assert image.load()


def test_checking_a_model_needs_no_torch() -> None:
    program = ("import sys; from convdraw_codec import register_cdr_opener; register_cdr_opener(sys.argv[1]); "
               "sys.exit('torch' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", program, TINY_MODEL]).returncode == 0


def test_verify(path: Path) -> None:
    with Image.open(path) as image:
        image.verify()
    damaged = bytearray(path.read_bytes())
    damaged[-7] ^= 1
    with Image.open(io.BytesIO(damaged)) as image, pytest.raises(OSError, match="damaged"):
        image.verify()


def test_truncated_files(path: Path, tiny: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = path.read_bytes()
    cut = io.BytesIO(data[:-3])
    with Image.open(cut) as image, pytest.raises(OSError, match="ends inside step 4"):
        image.load()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with Image.open(cut) as image:
        assert image.tobytes() == tiny.decompress(truncate(data, 3)).tobytes()


@pytest.mark.parametrize("data", [b"\xcdCDR", b"\xcdCDR" + bytes(40), b"GIF89a"])
def test_what_is_no_cdr_file_is_left_to_others(data: Any) -> None:
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(data))


@pytest.mark.parametrize("resolution", [b"72", struct.pack("<2f", -1, 72), struct.pack("<2f", float("nan"), 72)])
def test_a_resolution_that_makes_no_sense_is_no_picture(tiny: Codec, path: Path, resolution: bytes) -> None:
    contents = read(path.read_bytes())
    data = write(replace(contents, chunks={"DPI ": resolution}))
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(data))
    with pytest.raises(CdrError, match="resolution makes no sense"):
        tiny.decompress(data)


def test_bombs_are_noticed(tiny: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiny.compress(synthetic(40, 40), 1)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(data))


def test_sixteen_threads_see_the_same_pixels(path: Path) -> None:
    def decode(_: int) -> str:
        with Image.open(path) as image:
            return hashlib.sha256(np.asarray(image).tobytes()).hexdigest()

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(decode, range(32)))) == 1


MODES = [("1", "PNG", "L"), ("L", "PNG", "L"), ("P", "PNG", "RGB"), ("P", "GIF", "RGB"), ("RGB", "PNG", "RGB"),
         ("RGB", "JPEG", "RGB"), ("RGB", "WEBP", "RGB"), ("RGB", "BMP", "RGB"), ("RGBA", "PNG", "RGBA"),
         ("RGBA", "WEBP", "RGBA"), ("LA", "PNG", "LA"), ("I;16", "PNG", "L"), ("I;16", "TIFF", "L"), ("I", "TIFF", "L"),
         ("F", "TIFF", "L"), ("CMYK", "JPEG", "RGB"), ("CMYK", "TIFF", "RGB"), ("YCbCr", "JPEG", "RGB"),
         ("LAB", "TIFF", "RGB"), ("RGBX", "TIFF", "RGB")]


@pytest.mark.filterwarnings("ignore:not kept:UserWarning")
@pytest.mark.parametrize("metadata", [False, True], ids=["bare", "metadata"])
@pytest.mark.parametrize(("mode", "format", "stored"), MODES, ids=lambda value: str(value))
def test_every_mode_that_can_be_opened_goes_there_and_back(tmp_path: Path, mode: Any, format: Any, stored: Any,
                                                           metadata: bool) -> None:
    from PIL import ImageCms

    pixels = synthetic(40, 56)
    image = Image.fromarray(pixels[..., 0]) if mode in ("1", "L", "LA", "I;16", "I", "F") else Image.fromarray(pixels)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    elif mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(image, *profiles, outputMode="LAB") or image
    elif mode == "I":
        image = Image.fromarray(np.asarray(image).astype(np.int32) * 257)
    elif mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(synthetic(40, 56, 2, grey=True)))
    elif mode != image.mode:
        image = image.convert(mode)
    exif = Image.Exif()
    exif[0x010E] = "a picture"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(tmp_path / "in", format, **({"exif": exif.tobytes(), "icc_profile": profile} if metadata else {}))
    with Image.open(tmp_path / "in") as opened:
        assert opened.mode == mode or (mode, format) in {("I", "TIFF"), ("RGBX", "TIFF"), ("YCbCr", "JPEG")}
        opened.save(tmp_path / "p.cdr")
        holds = metadata and format not in ("BMP", "GIF")
        original = opened if mode not in ("I", "I;16") else Image.fromarray(pixels[..., 0])
        original = original.convert(stored)
        with Image.open(tmp_path / "p.cdr") as back:
            assert (back.mode, back.size) == (stored, opened.size)
            assert back.getexif().get(0x010E) == ("a picture" if holds else None)
            assert back.info.get("icc_profile") == (profile if holds and mode not in ("CMYK", "LAB") else None)
            if stored.endswith("A"):
                assert back.getchannel("A").tobytes() == original.getchannel("A").tobytes()
            error = np.asarray(back, float) - np.asarray(original, float)
            assert np.square(error).mean() < (2500 if mode in ("1", "P") else 120)  # those two are dithered


def test_a_plausible_picture(tmp_path: Path) -> None:
    data = Codec(TINY_MODEL).compress(synthetic(20, 30), 2)
    (tmp_path / "a.cdr").write_bytes(data)
    register_cdr_opener(TINY_MODEL, fill="plausible", seed=3, detail=0.5)
    try:
        with Image.open(tmp_path / "a.cdr") as image:
            expected = Codec(TINY_MODEL).decompress(data, fill="plausible", seed=3, detail=0.5)
            assert image.tobytes() == expected.tobytes()
    finally:
        register_cdr_opener(TINY_MODEL)
    with pytest.raises(ValueError, match="fill must be one of"):
        register_cdr_opener(fill="sample")  # type: ignore[arg-type]
