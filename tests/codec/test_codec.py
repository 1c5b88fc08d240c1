"""Codec: round trips, cuts, kinds of input, golden files."""

import io
import json
import math
import pickle
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, features

from bench.verify import estimate
from convdraw_codec import CdrError, Codec, ImageError, ModelError, TruncatedError, inspect, truncate
from convdraw_codec.coding.lossy import Decoder, Encoder
from convdraw_codec.coding.rotation_fit import colours_of
from convdraw_codec.format.bitstream import HEADER_BYTES, Contents, Header, read, write
from convdraw_codec.format.rotation import Colours
from convdraw_codec.network import weights as model_file
from convdraw_codec.network.exact_conv import CONVOLUTIONS, is_exact
from convdraw_codec.network.weights import save_model
from convdraw_codec.options import FILLS
from convdraw_codec.pictures.conversion import open_picture, to_planes

from ..conftest import synthetic
from ..golden.make_golden import DATA, digest
from ..tiny import TINY_MODEL, tiny_model

SIZES = [(1, 1), (1, 7), (9, 1), (8, 8), (17, 23), (40, 31)]


def write_16_bits(path, values: np.ndarray) -> None:
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


def psnr(a, b) -> float:
    return float(10 * np.log10(255**2 / np.mean((np.asarray(a, float) - np.asarray(b, float)) ** 2)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("grey", [False, True])
def test_the_decoder_shows_what_the_encoder_predicted(tiny, size, grey):
    array = synthetic(*size, grey=grey)
    data = tiny.compress(array)
    predicted = list(tiny.predict(array))
    progressive = list(tiny.progressive(data))
    assert len(predicted) == len(progressive) == tiny.total_steps
    for steps, (a, b) in enumerate(zip(predicted, progressive, strict=True), 1):
        assert a.size == b.size == size[::-1]
        assert a.mode == b.mode == ("L" if grey else "RGB")
        assert digest(a) == digest(b) == digest(tiny.decompress(data, steps))
        assert truncate(data, steps) == tiny.compress(array, steps)
        assert digest(tiny.decompress(truncate(data, steps))) == digest(a)


def test_files_grow_and_pictures_improve_with_every_step(photo, example):
    array = np.asarray(open_picture(example).pixels)[:256, :256]
    data = photo.compress(array)
    sizes = [len(truncate(data, steps + 1)) for steps in range(photo.total_steps)]
    quality = [psnr(picture, array) for picture in photo.progressive(data)]
    assert all(np.diff(sizes) > 0)
    assert all(np.diff(quality) > 0)
    assert quality[-1] > 34


def test_the_file_is_as_large_as_the_model_estimates(photo, example):
    """Rounded latents under the differentiable prior of training, against real bytes."""
    part = open_picture(example).pixels.crop((0, 0, 256, 256))
    data = photo.compress(part)
    payload = sum(map(len, read(data).segments))
    assert payload == pytest.approx(estimate(photo, part), rel=0.01)
    assert len(data) - payload <= 32 + 6 * photo.total_steps


def test_every_convolution_path_gives_the_same_bytes_and_pixels():
    array = synthetic(37, 50)
    codecs = [Codec(TINY_MODEL, convolution=path) for path in CONVOLUTIONS if is_exact(path)]
    files = {codec.compress(array) for codec in codecs}
    assert len(files) == 1
    data = files.pop()
    assert len({digest(codec.decompress(data)) for codec in codecs}) == 1


def portions(data: bytes, size: int, taken: list[int]):
    """The data piece by piece; how much was taken so far is left in ``taken``."""
    for start in range(0, len(data), size):
        taken.append(min(start + size, len(data)))
        yield data[start:start + size]


def test_pictures_come_as_their_steps_arrive(tiny):
    data = tiny.compress(with_alpha(20, 24))
    expected = [digest(picture) for picture in tiny.progressive(data)]
    assert [digest(picture) for picture in tiny.progressive(io.BytesIO(data))] == expected
    taken: list[int] = []
    for step, picture in enumerate(tiny.progressive(portions(data, 10, taken)), 1):
        assert digest(picture) == expected[step - 1]
        assert taken[-1] < len(truncate(data, step)) + 10


def test_streams_that_end_early(tiny):
    data = tiny.compress(synthetic(20, 24))
    pictures = tiny.progressive(portions(data[:-3], 50, []))
    assert len([next(pictures) for _ in range(6)]) == 6
    with pytest.raises(TruncatedError, match="step 7 of 7"):
        next(pictures)
    assert len(list(tiny.progressive(portions(data[:-3], 50, []), allow_truncated=True))) == 6
    for bad in (b"", b"no", data[:9], b"\xff" + data):
        with pytest.raises(CdrError):
            tiny.progressive(io.BytesIO(bad))
    for allowed in (False, True):  # without a step there is nothing to show
        with pytest.raises(TruncatedError, match="step 1 of 7"):
            list(tiny.progressive(io.BytesIO(data[:HEADER_BYTES + 3]), allow_truncated=allowed))


def test_fills_differ_while_steps_are_missing(tiny):
    data = tiny.compress(synthetic(24, 24))
    assert len({digest(tiny.decompress(data, fill=fill)) for fill in FILLS}) == 1
    assert len({digest(tiny.decompress(data, 3, fill=fill)) for fill in FILLS}) == len(FILLS)


def test_the_retouch_comes_nearer_to_the_original(photo, example):
    array = np.asarray(open_picture(example).pixels)[:256, :256]
    data = photo.compress(array)
    for steps in (1, 4, 8, 12, 24):
        bare, retouched = (psnr(photo.decompress(data, steps, fill=fill), array) for fill in ("none", "retouch"))
        assert retouched > bare


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_a_reduced_picture_is_the_whole_one_made_smaller(tiny, mode):
    """Its last steps are left out where they hardly show."""
    image = Image.fromarray(synthetic(45, 38)).convert(mode)
    data = tiny.compress(image)
    whole = tiny.decompress(data)
    assert digest(tiny.decompress(data, reduce=1)) == digest(whole)
    taken: list[int] = []
    half, quarter = tiny.decompress(data, reduce=2, on_step=taken.append), tiny.decompress(data, reduce=4)
    assert taken == [1, 2, 3, 4, 5, 6]
    assert (half.size, half.mode, quarter.size) == ((19, 23), mode, (10, 12))
    assert psnr(half, whole.reduce(2)) > 30
    assert psnr(quarter, whole.reduce(4)) > 30
    assert tiny.decompress(data, reduce=8, on_step=taken.append).size == (5, 6)
    assert taken[6:] == [1, 2, 3]
    with pytest.raises(ValueError, match="reduce must be"):
        tiny.decompress(data, reduce=3)


def test_a_reduced_picture_of_a_file_cut_short(tiny):
    data = tiny.compress(synthetic(40, 40))
    for cut in (truncate(data, 1), truncate(data, size=len(truncate(data, 1)) + 40), truncate(data, 6)):
        assert tiny.decompress(cut, reduce=4).size == (10, 10)
    assert digest(tiny.decompress(truncate(data, 1), reduce=4)) == digest(tiny.decompress(data, 1).reduce(4))


def test_a_sampled_fill_depends_on_its_seed(tiny):
    data = tiny.compress(synthetic(32, 32), 2)
    one, again, other = (digest(tiny.decompress(data, fill="sample", seed=s)) for s in (1, 1, 2))
    assert one == again != other
    full = tiny.compress(synthetic(32, 32))
    assert digest(tiny.decompress(full, fill="sample")) == digest(tiny.decompress(full, fill="none"))


def test_inputs_of_every_kind_give_the_same_file(tiny, tmp_path):
    array = synthetic(20, 30)
    image = Image.fromarray(array)
    image.save(tmp_path / "p.png")
    expected = tiny.compress(array)
    for same in (image, tmp_path / "p.png", str(tmp_path / "p.png"), np.asfortranarray(array), array[:, ::-1][:, ::-1]):
        assert tiny.compress(same) == expected
    (tmp_path / "p.cdr").write_bytes(expected)
    assert digest(tiny.decompress(tmp_path / "p.cdr")) == digest(tiny.decompress(expected))
    assert inspect(tmp_path / "p.cdr") == tiny.inspect(expected) == Header(30, 20, "RGB", 7, 7, tiny.fingerprint,
                                                                                  colours=colours_of(array))


@pytest.mark.parametrize(("mode", "stored", "lost"), [("1", "L", ""), ("P", "RGB", ""), ("RGBA", "RGBA", ""),
                                                      ("LA", "LA", ""), ("La", "LA", ""), ("RGBa", "RGBA", ""),
                                                      ("PA", "RGBA", ""), ("I;16", "L", "8 bits"),
                                                      ("CMYK", "RGB", "CMYK"), ("YCbCr", "RGB", "")])
def test_other_modes_are_converted_and_say_what_is_lost(tiny, recwarn, mode, stored, lost):
    grey = Image.fromarray(synthetic(9, 9, grey=True))
    image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey
    for step in {"La": ("LA", "La"), "RGBa": ("RGBA", "RGBa"), "PA": ("P", "PA"), "I;16": ()}.get(mode, (mode,)):
        image = image.convert(step)
    assert image.mode == mode
    data = tiny.compress(image, 1)
    assert tiny.inspect(data).mode == tiny.decompress(data).mode == stored
    assert [str(w.message) for w in recwarn] == ([f"{recwarn[0].message}"] if lost else [])
    assert not lost or lost in str(recwarn[0].message)


def test_the_transparent_value_of_a_deep_grey_png(tiny, tmp_path):
    values = np.arange(54, dtype=np.uint16).reshape(6, 9) * 1200
    Image.fromarray(values).save(tmp_path / "p.png", transparency=2400)
    with pytest.warns(UserWarning, match="beyond 8 bits"):
        picture = tiny.decompress(tiny.compress(tmp_path / "p.png", 1))
    assert picture.mode == "LA"
    assert np.array_equal(np.asarray(picture.getchannel("A")), np.where(values == 2400, 0, 255))


@pytest.mark.parametrize("kind", ["png", "tif", "ppm", "pgm"])
def test_depth_that_pillow_drops_is_lost_all_the_same(tiny, tmp_path, kind):
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


def test_portable_maps_of_few_bits_and_of_floats(tiny, tmp_path):
    bits, levels = np.eye(6, dtype=np.uint8), synthetic(6, 9, grey=True)
    (tmp_path / "p.pbm").write_text("P1 6 6\n" + "\n".join(" ".join(map(str, row)) for row in 1 - bits))
    assert tiny.compress(tmp_path / "p.pbm") == tiny.compress(255 * bits)
    (tmp_path / "p.pfm").write_bytes(b"Pf 9 6\n-1.0\n" + levels[::-1].astype("<f4").tobytes())
    with pytest.warns(UserWarning, match="8 bits"):
        assert tiny.compress(tmp_path / "p.pfm") == tiny.compress(levels)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_levels_in_larger_numbers(tiny, mode):
    levels = Image.fromarray(synthetic(9, 9, grey=True))
    with pytest.warns(UserWarning, match="8 bits"):
        assert tiny.compress(levels.convert(mode)) == tiny.compress(levels)
    for low, high in ((-1, 255), (0, 65536)):
        values = np.linspace(low, high, 9).reshape(3, 3).astype(np.int32 if mode == "I" else np.float32)
        with pytest.raises(ImageError, match="no levels"):
            tiny.compress(Image.fromarray(values), 1)


@pytest.mark.parametrize("no_picture", [None, b"bytes", [[1, 2]], 5])
def test_what_is_no_kind_of_picture(tiny, no_picture):
    with pytest.raises(TypeError, match="a picture is"):
        tiny.compress(no_picture)


def test_what_is_compressed_already(tiny, tmp_path):
    (tmp_path / "p.cdr").write_bytes(tiny.compress(synthetic(6, 9)))
    with pytest.raises(ImageError, match="already"):
        tiny.compress(tmp_path / "p.cdr")


def test_a_codec_may_be_pickled(tiny):
    other, picture = pickle.loads(pickle.dumps(tiny)), synthetic(12, 9)
    assert other.fingerprint == tiny.fingerprint
    assert other.compress(picture) == tiny.compress(picture)


@pytest.mark.parametrize("budget", [{"psnr": math.nan}, {"psnr": math.inf}, {"bpp": math.inf}, {"bpp": -1.0},
                                    {"size": -5}])
def test_budgets_that_are_no_numbers(tiny, budget):
    with pytest.raises(ValueError, match="numbers from 0 on"):
        tiny.compress(synthetic(6, 9), **budget)


def test_arguments_of_decompress_that_make_no_sense(tiny):
    data = tiny.compress(synthetic(6, 9))
    for arguments, error in (((data, 2.5), TypeError), ((5,), TypeError), ((io.BytesIO(data),), TypeError),
                             ((data, 3, "sample", 2**64), ValueError), ((data, 3, "sample", -1), ValueError)):
        with pytest.raises(error):
            tiny.decompress(*arguments)


def test_orientation_is_applied_or_kept(tiny, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.fromarray(synthetic(10, 20)).save(tmp_path / "p.jpg", exif=exif)
    turned = tiny.decompress(tiny.compress(tmp_path / "p.jpg", 1))
    assert (turned.size, turned.getexif().get(0x0112)) == ((10, 20), None)
    kept = tiny.decompress(tiny.compress(tmp_path / "p.jpg", 1, keep_orientation=True))
    assert (kept.size, kept.getexif()[0x0112]) == ((20, 10), 6)


def test_damaged_exif_costs_no_picture(tiny):
    image = Image.fromarray(synthetic(10, 20))
    image.info["exif"] = b"Exif\0\0II*\0\x08\0\0"  # Pillow's parser fails
    with pytest.warns(UserWarning, match="EXIF is damaged"):
        data = tiny.compress(image, 1)
    back = tiny.decompress(data)
    assert (back.size, back.info["exif"]) == ((20, 10), image.info["exif"])


def test_other_damage_is_not_taken_for_that_of_exif(tiny, tmp_path):
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
def test_a_damaged_avif_is_one(tiny, tmp_path):
    """Its decoder has errors of its own."""
    Image.fromarray(synthetic(40, 60)).save(tmp_path / "p.avif")
    data = bytearray((tmp_path / "p.avif").read_bytes())
    data[-40:] = bytes(40)
    (tmp_path / "p.avif").write_bytes(data[:-20])
    with pytest.raises(ImageError, match="damaged"):
        tiny.compress(tmp_path / "p.avif", 1)


@pytest.mark.parametrize("bad", [np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4), np.float32),
                                 np.zeros((0, 4), np.uint8), np.zeros((1, 70000), np.uint8)])
def test_arrays_that_are_no_pictures(tiny, bad):
    with pytest.raises(ImageError):
        tiny.compress(bad)


def test_a_jpeg_that_brings_a_preview_is_no_animation(tiny, tmp_path):
    frames = [Image.fromarray(synthetic(8, 8, seed)) for seed in range(2)]
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:])
    assert tiny.inspect(tiny.compress(tmp_path / "a.jpg", 1)).width == 8


def test_animations_are_refused(tiny, tmp_path):
    frames = [Image.fromarray(synthetic(8, 8, seed)) for seed in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="animated"):
        tiny.compress(tmp_path / "a.gif")


@pytest.mark.parametrize("steps", [0, 20, -1])
def test_step_counts_out_of_range(tiny, steps):
    with pytest.raises(ValueError, match="steps must be 1 to 7"):
        tiny.compress(synthetic(8, 8), steps)


def test_asking_for_more_steps_than_stored(tiny):
    with pytest.raises(CdrError, match="stores 3 whole steps"):
        tiny.decompress(tiny.compress(synthetic(8, 8), 3), steps=4)


def test_a_file_of_another_model(tiny):
    other = Header(8, 8, "RGB", 1, 7, "00" * 8)
    for call in (tiny.decompress, tiny.progressive):
        with pytest.raises(CdrError, match="made with model 0000000000000000"):
            call(write(Contents(other, [b""])))


def with_alpha(height: int, width: int, grey: bool = False) -> Image.Image:
    """A picture whose alpha channel is noise."""
    image = Image.fromarray(synthetic(height, width, grey=grey))
    image.putalpha(Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width), np.uint8)))
    return image


@pytest.mark.parametrize("grey", [False, True])
def test_alpha_is_lossless_at_every_cut(tiny, grey):
    image = with_alpha(20, 30, grey)
    data = tiny.compress(image)
    for steps in (1, 7):
        decoded = tiny.decompress(truncate(data, steps))
        assert decoded.mode == image.mode
        assert decoded.getchannel("A").tobytes() == image.getchannel("A").tobytes()
    bare = tiny.compress(image, drop_alpha=True)
    assert tiny.decompress(bare).mode == image.mode[:-1]
    assert len(bare) < len(data) - 600


def test_metadata_go_along_unless_stripped(tiny):
    image = Image.fromarray(synthetic(8, 8))
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.info |= {"icc_profile": profile, "exif": exif.tobytes(), "xmp": b"<x:xmpmeta/>"}
    data = tiny.compress(image)
    assert {k: tiny.decompress(truncate(data, 1)).info[k] for k in image.info} == image.info
    assert tiny.decompress(tiny.compress(image, strip=True)).info == {}
    assert tiny.inspect(data).chunks == 3


@pytest.mark.parametrize("alpha", [b"", b"no picture", None])
def test_an_alpha_channel_that_does_not_fit_is_refused(tiny, alpha):
    contents = read(tiny.compress(with_alpha(8, 9), 1))
    other = read(tiny.compress(with_alpha(9, 9), 1)).chunks["ALPH"]
    damaged = write(replace(contents, chunks={"ALPH": other if alpha is None else alpha}))
    with pytest.raises(CdrError, match="alpha channel"):
        tiny.decompress(damaged)


def test_a_grey_picture_sends_no_chroma(tiny):
    """Every map of chroma is left out, so even a picture that the encoder sees in colour stays grey."""
    array = synthetic(24, 24, grey=True)
    grey, colour = tiny.compress(array), tiny.compress(np.stack([array] * 3, axis=-1))
    assert len(grey) < len(colour)
    error = [np.square(np.asarray(tiny.decompress(d).convert("L"), float) - array).mean() for d in (grey, colour)]
    assert error[0] < 1.1 * error[1]


BUDGETS = st.integers(60, 4000)


@settings(deadline=None, max_examples=25)
@given(BUDGETS)
def test_a_budget_in_bytes_is_kept_and_used(tiny, size):
    array = synthetic(40, 50)
    data = tiny.compress(array)
    cut = truncate(data, size=size)
    assert len(cut) <= size
    assert len(cut) >= min(size, len(data)) - 8
    assert cut == tiny.compress(array, size=size)
    assert tiny.decompress(cut).size == (50, 40)


def test_quality_grows_with_bytes(photo, example):
    array = np.asarray(open_picture(example).pixels)[200:328, 200:328]
    data = photo.compress(array)
    quality = [psnr(photo.decompress(truncate(data, size=size)), array) for size in range(300, len(data), 700)]
    assert all(np.diff(quality) > -0.02)
    assert quality[-1] - quality[0] > 5


def test_a_cut_step_holds_a_beginning_of_the_whole_one(tiny):
    """No map that a cut file shows as known may change with more bytes."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)  # no map is worth less than a byte
    contents = read(tiny.compress(noise))
    rows = Decoder(tiny._model, 40, 56, contents.header.colours).predict(0)
    _, kinds = tiny._maps(0, grey=False)
    whole = list(tiny._coder.decode(contents.segments[0], rows, kinds))
    assert len(whole) == len(rows)
    counts = []
    for length in range(len(contents.segments[0])):
        part = list(tiny._coder.decode(contents.segments[0][:length], rows, kinds, cut=True))
        assert all(map(np.array_equal, part, whole))
        counts.append(len(part))
    assert counts == sorted(counts)
    assert counts[-1] > 0.8 * len(whole)


def test_a_budget_in_bits_per_pixel_and_in_decibels(tiny):
    array = synthetic(40, 50)
    assert tiny.compress(array, bpp=0.8) == tiny.compress(array, size=200)
    whole = tiny.compress(array)
    levels = [psnr(p, array) for p in tiny.progressive(whole)]
    data = tiny.compress(array, psnr=(levels[2] + levels[3]) / 2)
    assert psnr(tiny.decompress(data), array) >= (levels[2] + levels[3]) / 2
    assert len(truncate(whole, 3)) < len(data) <= len(truncate(whole, 4))
    with pytest.warns(UserWarning, match="less than 99 decibels"):
        assert tiny.compress(array, psnr=99) == whole
    with pytest.raises(ValueError, match="only one"):
        tiny.compress(array, 3, psnr=30)
    with pytest.raises(CdrError, match="cannot be cut to 20 bytes"):
        tiny.compress(array, size=20)


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=60))
def test_crafted_payloads_decode_or_are_refused(tiny, payload):
    """With valid checksums, whatever is inside."""
    data = write(Contents(Header(9, 9, "RGB", 1, 7, tiny.fingerprint), [payload]))
    try:
        assert tiny.decompress(data).size == (9, 9)
    except CdrError as error:
        assert "not made by a cdraw encoder" in str(error)


def test_latents_beyond_the_limit_are_refused(tiny):
    shape = (20, 2, 2)
    rows = Decoder(tiny._model, 16, 16, Colours()).predict(0)
    payload = tiny._coder.encode(np.full(shape, 64), rows, tiny._maps(0, grey=False)[1])
    with pytest.raises(CdrError, match="beyond 63"):
        tiny.decompress(write(Contents(Header(16, 16, "RGB", 1, 7, tiny.fingerprint), [payload])))


def test_a_huge_header_allocates_nothing(tiny):
    huge = Header(65535, 65535, "RGB", 1, 7, tiny.fingerprint)
    with pytest.raises(CdrError, match="allowed"):
        tiny.decompress(write(Contents(huge, [b""])))


def test_truncated_files(tiny):
    data = tiny.compress(synthetic(16, 16))
    cut = data[:len(truncate(data, 3)) + 2]
    with pytest.raises(TruncatedError) as caught:
        tiny.decompress(cut)
    assert caught.value.steps == 3
    assert digest(tiny.decompress(cut, allow_truncated=True)) == digest(tiny.decompress(data, 3))
    assert len(list(tiny.progressive(cut, allow_truncated=True))) == 3


@pytest.mark.parametrize(("pixels", "width"), [(1, 1), (300, 2048), (2000, 16), (2000, 40)])
@pytest.mark.parametrize("shape", [(90, 20), (33, 100)])
def test_tiles_change_nothing(tiny, monkeypatch, pixels, width, shape):
    """A picture in tiles: decoded to the same pixels, encoded to a file that decodes to what was predicted."""
    array = synthetic(*shape)
    data = tiny.compress(array)
    expected = [digest(picture) for picture in tiny.progressive(data)]
    sampled = digest(tiny.decompress(data, 2, fill="sample"))
    monkeypatch.setattr("convdraw_codec.coding.tiling.TILE_PIXELS", pixels)
    monkeypatch.setattr("convdraw_codec.coding.tiling.TILE_WIDTH", width)
    assert [digest(picture) for picture in tiny.progressive(data)] == expected
    assert digest(tiny.decompress(data, 2, fill="sample")) == sampled
    tiled, predicted = tiny.compress(array), [digest(picture) for picture in tiny.predict(array)]
    monkeypatch.undo()
    assert [digest(picture) for picture in tiny.progressive(tiled)] == predicted
    assert abs(len(tiled) - len(data)) < 20


def test_tiles_of_the_photo_model(photo, monkeypatch, example):
    """With three layers: the same pixels, and the encoder chooses the same latents, but for ties in floating point."""
    with Image.open(example) as opened:
        planes = to_planes(opened.convert("RGB").crop((100, 50, 340, 210)), 32)

    def run() -> tuple[list[np.ndarray], list[np.ndarray]]:
        decoder = Decoder(photo._model, *planes.shape[1:], Colours())
        encoder, chosen, shown = Encoder(decoder, planes), [], []
        for t in range(15):
            latents, _ = encoder.choose(t, np.arange(decoder.shape(t)[0]))
            chosen.append(latents)
            decoder.draw(t, whole[t] if whole else latents)
            shown.append(decoder.pixels(retouched=True))
        return chosen, shown

    whole: list[np.ndarray] = []
    whole, expected = run()
    monkeypatch.setattr("convdraw_codec.coding.tiling.TILE_PIXELS", 64 * 64)
    monkeypatch.setattr("convdraw_codec.coding.tiling.TILE_WIDTH", 64)
    chosen, shown = run()
    for a, b in zip(expected, shown, strict=True):
        assert np.array_equal(a, b)
    differ = sum((a != b).sum() for a, b in zip(whole, chosen, strict=True))
    assert differ <= 1e-4 * sum(a.size for a in whole)


def test_autocast_and_other_settings_of_the_caller_do_not_matter(tiny):
    array = synthetic(24, 24)
    data, expected = tiny.compress(array), list(tiny.predict(array))[-1]
    with torch.autocast("cpu", torch.bfloat16):
        assert digest(tiny.decompress(data)) == digest(expected)
    torch.set_default_dtype(torch.float64)
    torch.set_float32_matmul_precision("medium")
    try:
        assert digest(tiny.decompress(data)) == digest(expected)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision("highest")


def test_steps_are_reported(tiny):
    seen: list[int] = []
    data = tiny.compress(synthetic(8, 8), 4, on_step=seen.append)
    tiny.decompress(data, on_step=seen.append)
    assert seen == [1, 2, 3, 4, 1, 2, 3, 4]


@pytest.mark.parametrize("codec", ["tiny", "photo"])
def test_golden_files_decode_to_the_same_pixels(codec, request):
    golden = json.loads((DATA / f"{codec}.json").read_text())
    codec = request.getfixturevalue(codec)
    for name, digests in golden.items():
        data = (DATA / f"{name}.cdr").read_bytes()
        pictures = {str(t): digest(picture) for t, picture in enumerate(codec.progressive(data), 1)}
        assert pictures | {"sample": digest(codec.decompress(data, 1, fill="sample", seed=7))} == digests


def test_a_model_that_could_leave_the_exact_range_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr("convdraw_codec.network.exact_conv.SUM_LIMIT", 2**40)  # the quantiser aims too high
    model = tiny_model()
    with torch.no_grad():
        model.cores[0].decoder.gates_from_input.bias.fill_(1e9)
    with pytest.raises(ModelError, match="2\\*\\*24"):
        save_model(model, tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["not a model", "cut", "dtype", "shape", "nan", "missing", "range",
                                    "loud shrink", "loud gate", "first canvas", "infinite product", "stranger",
                                    "few rows", "deep", "sums of frequencies", "frequency of 0"])
def test_bad_model_files_are_refused(tmp_path, damage):
    from safetensors import safe_open
    from safetensors.torch import save_file

    path = tmp_path / "m.safetensors"
    with safe_open(TINY_MODEL, "pt") as file:
        metadata, tensors = file.metadata(), {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    name = "decoder.steps.0.prior_index.weight"
    if damage == "dtype":
        tensors[name] = tensors[name].float()
    elif damage == "shape":
        tensors[name] = tensors[name][1:].contiguous()
    elif damage == "nan":
        tensors["decoder.steps.0.prior_index.multiplier"].fill_(float("nan"))
    elif damage == "missing":
        del tensors[name]
    elif damage == "range":
        tensors["decoder.steps.0.prior_index.bias"].fill_(2**24)
    elif damage.startswith("loud"):
        which = {"shrink": "shrink.0", "gate": "logistic"}[damage[5:]]
        tensors[f"tables.{which}"].fill_(32767)
    elif damage == "first canvas":
        tensors["decoder.initial_canvas"].fill_(2**20)
    elif damage == "infinite product":
        tensors["decoder.steps.0.prior_index.multiplier"].fill_(1e38)
    elif damage == "not a model":
        metadata = {"format": "pt"}
    elif damage == "stranger":
        tensors["decoder.x"] = torch.zeros(3, dtype=torch.bfloat16)
    elif damage == "few rows":
        tensors["tables.frequencies"] = tensors["tables.frequencies"][:64].contiguous()
    elif damage == "sums of frequencies":
        tensors["tables.residual"].fill_(1)
    elif damage == "frequency of 0":  # and the sum as it was
        tensors["tables.frequencies"][0, :2] = torch.tensor([0, tensors["tables.frequencies"][0, :2].sum()])
    elif damage == "deep":
        metadata |= {"config": "[" * 100_000}
    save_file(tensors, path, metadata)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelError):
        Codec(path)


def changed(config: dict, path: tuple, value: object) -> None:
    *parents, last = path
    for key in parents:
        config = config[key]
    config[last] = value


@pytest.mark.parametrize(("path", "value"), [
    (("steps", 0, "first"), 0.0), (("steps", 0, "last"), 10**9), (("steps", 0, "layer"), 7),
    (("steps", 0, "quantiser"), float("inf")), (("steps", 0, "quantiser"), "1"), (("layers", 0, "state"), 8.5),
    (("layers", 0, "state"), 20_000), (("layers", 0, "embedding"), 0), (("layers", 0, "stride"), 20_000),
    (("layers", 1, "kernel"), 999), (("layers", 1, "context"), 10**6), (("layers", 1, "encoder_state"), 10**6),
    (("retouch", "layers"), 10**9), (("retouch", "channels"), 10**5), (("retouch", "stride"), True),
    (("residual", "layers"), 10**9), (("residual", "channels"), 10**6), (("residual",), None),
    (("layers", 1, "context"), 10**4), (("layers",), []), (("layers",), 3), (("steps",), [1]), (("name",), None),
    (("name",), "another"),
])
def test_models_whose_configuration_lies_are_refused_before_they_cost_anything(tmp_path, monkeypatch, path, value):
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(TINY_MODEL, "pt") as file:
        metadata, tensors = file.metadata(), {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    config = json.loads(metadata["config"])
    changed(config, path, value)
    if path[-1] == "layers" and path[0] in ("retouch", "residual"):  # the last of so many is there
        steps = "steps.0." if path[0] == "residual" else ""
        channels = config[path[0]]["channels"]
        tensors[f"decoder.{path[0]}.{steps}hidden.{value - 3}.weight"] = torch.zeros(channels, channels, 3, 3).char()
    if path[-1] == "context" and value == 10**4:  # what looks around fits, at the least
        for t in (2, 4, 5):
            tensors[f"decoder.steps.{t}.prior_context.weight"] = torch.zeros(value, 8, 3, 3).char()
    if path[-1] == "encoder_state":  # a small tensor that fits
        tensors["encoder.cores.1.encoder_gates.bias"] = torch.zeros(4 * value).half()
    save_file(tensors, tmp_path / "m.safetensors", metadata | {"config": json.dumps(config)})
    if value == "another":  # it decides nothing
        assert Codec(tmp_path / "m.safetensors").fingerprint == Codec(TINY_MODEL).fingerprint
        return
    monkeypatch.setattr(model_file, "ConvDRAW", None)  # what would be made of it
    with pytest.raises(ModelError):
        Codec(tmp_path / "m.safetensors")


def test_a_picture_may_be_very_wide(tiny):
    array = np.tile(synthetic(3, 300), (1, 100, 1))
    assert tiny.decompress(tiny.compress(array, 1)).size == (30_000, 3)
