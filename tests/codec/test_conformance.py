"""The conformance set: every path of the codec, and a decoder that shares no code with it, show the same pixels."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import convdraw_codec
from convdraw_codec import Codec, truncate
from convdraw_codec.cli.commands import main
from convdraw_codec.errors import MachineError
from convdraw_codec.format import bitstream, constants
from convdraw_codec.format.constants import PRECISION, SYMBOLS
from convdraw_codec.format.rotation import Colours
from convdraw_codec.network import exact_conv as integer
from convdraw_codec.network.priors import frequency_table
from convdraw_codec.options import FILLS
from convdraw_codec.selftest import SEED, conformance_set, digest

from ..conftest import synthetic
from ..reference_decoder.decoder import decode
from ..reference_decoder.network import Model
from ..reference_decoder.segments import RangeDecoder
from ..tiny import TINY_MODEL

PHOTO = Path(convdraw_codec.__file__).parent / "models" / "photo.safetensors"
FEW = ("steps-05", "mode-L", "lossless-RGBA")
SMALL = 70 * 40  # pixels: the second decoder is slow


def test_the_set_covers_what_it_promises() -> None:
    names = {name for name, *_ in conformance_set()}
    headers = [bitstream.parse_header(data) for _, data, *_ in conformance_set()]
    assert len(names) >= 30
    assert {header.steps for header in headers if not (header.cut or header.webp)} == {*range(1, 26), 26, 31, 37}
    assert {header.mode for header in headers if header.lossless and not header.webp} == {"RGB", "L", "RGBA"}
    assert {header.mode for header in headers if header.webp} == set(constants.MODES)
    assert any(header.webp and header.steps for header in headers)
    assert any(header.cut and header.steps > header.total_steps for header in headers)
    assert {header.mode for header in headers} == set(constants.MODES)
    assert sum(header.cut for header in headers) >= 3
    assert {fill for _, _, fill, _ in conformance_set()} == set(FILLS)
    assert {(1, 1), (300, 200)} <= {(header.width, header.height) for header in headers}


@pytest.fixture
def short_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few files in place of all: every path decodes those in ``test_exactness``."""
    few = [entry for entry in conformance_set() if entry[0] in FEW]
    monkeypatch.setattr("convdraw_codec.selftest.conformance_set", lambda: iter(few))


def test_the_command_says_which_paths_are_exact(short_set: None) -> None:
    result = CliRunner().invoke(main, ["selftest"])
    assert result.exit_code == 0
    for path in integer.CONVOLUTIONS:
        assert f"{path}: {'exact in 6 pictures' if integer.is_exact(path) else 'not exact'}" in result.output


def test_the_command_times_a_picture_whose_kernels_are_ready(monkeypatch: pytest.MonkeyPatch,
                                                             short_set: None) -> None:
    """The time of the small files goes to preparing kernels for each size: it makes the fastest path look slow."""
    sizes: list[tuple[int, int]] = []
    original = Codec.decompress

    def decompress(codec: Codec, data: bytes, *arguments: Any, **options: Any) -> Image.Image:
        picture = original(codec, data, *arguments, **options)
        sizes.append(picture.size)
        return picture

    monkeypatch.setattr(integer, "is_exact", lambda path: path == "int16")
    monkeypatch.setattr("convdraw_codec.selftest.is_exact", lambda path: path == "int16")
    monkeypatch.setattr(Codec, "decompress", decompress)
    monkeypatch.setattr("convdraw_codec.selftest.time.perf_counter", lambda: float(len(sizes)))
    result = CliRunner().invoke(main, ["selftest"])
    assert sizes[-2:] == [(300, 200)] * 2
    assert "int16: exact in 6 pictures; 1.00 s for one of 300x200 pixels; used here" in result.output


def rounds_badly(weight: Any, bias: Any, signed: Any) -> Any:
    return lambda x: torch.nn.functional.conv2d(x.float(), weight * 1.001, padding=weight.shape[-1] // 2)


def is_not_there(weight: Any, bias: Any, signed: Any) -> Any:
    return lambda x: torch.ops.onednn.no_such_convolution(x, weight)


@pytest.mark.parametrize("used", [True, False])
def test_the_command_fails_where_pixels_would_be_wrong(monkeypatch: pytest.MonkeyPatch, short_set: None,
                                                       used: bool) -> None:
    """Not where only a path that this machine does not use is wrong."""
    path = integer.fastest_exact() if used else "float64"
    assert integer.is_exact(path)  # as far as the short check goes
    monkeypatch.setitem(integer.CONVOLUTIONS, path, rounds_badly)
    result = CliRunner().invoke(main, ["selftest"])
    assert result.exit_code == used
    others = set(integer.CONVOLUTIONS) - {path}
    assert all(f"{other}: exact" in result.output for other in others if integer.is_exact(other))
    assert f"{path}: wrong" in result.output
    assert ("report it" in result.output) == used


@pytest.fixture
def uncached() -> Any:
    integer.is_exact.cache_clear()
    yield
    integer.is_exact.cache_clear()


@pytest.mark.parametrize("broken", [rounds_badly, is_not_there])
@pytest.mark.parametrize("count", [1, pytest.param(2, marks=pytest.mark.slow), 3])
def test_a_machine_whose_fast_paths_fail_uses_the_next(monkeypatch: pytest.MonkeyPatch, short_set: None,
                                                       uncached: None, broken: Any, count: int) -> None:
    data, expected = conformance_file("steps-05")
    *failing, next_one = list(integer.CONVOLUTIONS)[:count + 1]
    for path in failing:
        monkeypatch.setitem(integer.CONVOLUTIONS, path, broken)
    assert integer.fastest_exact() == next_one
    assert digest(Codec().decompress(data)) == expected
    assert f"{failing[0]}: not exact on this machine, and not used" in CliRunner().invoke(main, ["selftest"]).output


def test_a_machine_that_cannot_says_so(monkeypatch: pytest.MonkeyPatch, uncached: None, tmp_path: Path) -> None:
    for path in integer.CONVOLUTIONS:
        monkeypatch.setitem(integer.CONVOLUTIONS, path, rounds_badly)
    with pytest.raises(MachineError, match="no convolution of this machine"):
        Codec()
    (tmp_path / "x.cdr").write_bytes(conformance_file("steps-01")[0])
    model = str(shutil.copy(TINY_MODEL, tmp_path))  # one that no other test has loaded
    decompress = ["decompress", str(tmp_path / "x.cdr"), "-o", str(tmp_path / "x.png"), "--model", model]
    for command in (["selftest"], decompress):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 1
        assert result.stderr.startswith("cdraw: error: cannot ")
        assert result.stderr.endswith("no convolution of this machine adds whole numbers exactly\n")


def test_a_path_that_is_asked_for_is_checked(monkeypatch: pytest.MonkeyPatch, uncached: None) -> None:
    monkeypatch.setitem(integer.CONVOLUTIONS, "int8", is_not_there)
    with pytest.raises(MachineError, match="int8 convolutions do not add exactly on this machine"):
        Codec(TINY_MODEL, convolution="int8")
    with pytest.raises(ValueError, match="one of int8, int16, float32, float64, not 'float16'"):
        Codec(TINY_MODEL, convolution="float16")


def test_autocast_does_not_slow_down_what_is_made_inside(uncached: None) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert integer.is_exact("float32")


def conformance_file(wanted: str) -> tuple[bytes, str]:
    return next((data, expected) for name, data, _, expected in conformance_set() if name == wanted)


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["three files", "all"])
def test_the_second_decoder_on_the_conformance_set(every: bool) -> None:
    model, decoded = Model(PHOTO), 0
    for name, data, fill, expected in conformance_set():
        header = bitstream.parse_header(data)
        if header.width * header.height <= SMALL and (every or name in FEW):
            assert digest(decode(model, data, fill, SEED)) == expected, name
            decoded += 1
    assert decoded >= (40 if every else len(FEW))


def test_a_file_of_the_set_has_latents_that_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, plain = set(), RangeDecoder.symbol

    def watched(self: RangeDecoder, frequencies: list[int]) -> int:
        seen.add(len(frequencies))
        return plain(self, frequencies)

    monkeypatch.setattr(RangeDecoder, "symbol", watched)
    decode(Model(PHOTO), conformance_file("loud")[0])
    assert seen == {15, 32, 256}  # shifts, latents, those that escape


@pytest.mark.slow
def test_the_second_decoder_on_the_large_file() -> None:
    data, expected = conformance_file("size-300x200")
    assert digest(decode(Model(PHOTO), data)) == expected


@pytest.fixture(scope="module")
def tiny() -> tuple[Codec, Model]:
    return Codec(TINY_MODEL), Model(TINY_MODEL)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.booleans(), st.booleans(), st.integers(0, 99),
       st.sampled_from(FILLS), st.data())
def test_the_second_decoder_agrees_on_any_file(tiny: tuple[Codec, Model], height: int, width: int, grey: bool,
                                               lossless: bool, seed: int, fill: Any, data: st.DataObject) -> None:
    codec, model = tiny
    whole = codec.compress(synthetic(height, width, seed, grey=grey), codec.lossless_steps if lossless else None)
    size = data.draw(st.integers(len(truncate(whole, 1)), len(whole)))
    cut = truncate(whole, size=size)
    assert digest(decode(model, cut, fill, seed)) == digest(codec.decompress(cut, fill=fill, seed=seed))


@pytest.mark.parametrize("grey", [False, True])
def test_the_second_decoder_agrees_at_the_edges_of_steps(tiny: tuple[Codec, Model], grey: bool) -> None:
    """Cut a byte before a step is whole, and after the first bytes of the next one; the last step too."""
    codec, model = tiny
    noise = np.random.default_rng(0).integers(0, 256, (21, 30) if grey else (21, 30, 3), dtype=np.uint8)
    whole = codec.compress(noise)  # of which no step is over after a few bytes
    ends = [len(truncate(whole, steps)) for steps in range(1, codec.total_steps + 1)]
    sizes = {end - 1 for end in ends[1:]} | {end + more for end in ends[:-1] for more in (6, 7, 9)}
    cuts = [truncate(whole, size=size) for size in sorted(sizes)]
    assert sum(bitstream.parse_header(cut).cut for cut in cuts) > len(cuts) / 2
    for cut in cuts:
        assert digest(decode(model, cut)) == digest(codec.decompress(cut))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_second_decoder_agrees_where_latents_are_wild(tiny: tuple[Codec, Model], seed: int) -> None:
    """Latents that no encoder would choose, up to the limits."""
    from convdraw_codec.coding.lossy import Decoder
    from convdraw_codec.format.bitstream import Contents, Header, write

    codec, model = tiny
    rng = np.random.default_rng(seed)
    mean, turn = rng.integers(0, 256, 3).tolist(), rng.integers(-128, 128, 3).tolist()
    colours = Colours(tuple(mean), tuple(turn))
    decoder, segments = Decoder(codec.model, 16, 24, colours), []
    for t in range(codec.total_steps):
        rows = decoder.predict(t)
        latents = (rng.integers(-63, 64, rows.shape) * (rng.random(rows.shape) < rng.random())).astype(np.int8)
        segments.append(codec._network.latents.encode(list(latents), list(rows), codec._network.maps(t, grey=False)[1]))
        decoder.draw(t, latents)
    data = write(Contents(Header(24, 16, "RGB", 7, 7, codec.fingerprint, colours=colours), segments))
    assert digest(decode(model, data)) == digest(codec.decompress(data))


@pytest.mark.parametrize("path", [PHOTO, TINY_MODEL])
def test_models_code_under_the_prior_that_training_counts(path: Any) -> None:
    assert np.array_equal(Model(path).frequencies, frequency_table(SYMBOLS, PRECISION).numpy())


def test_digests_are_of_the_bundled_model() -> None:
    folder = Path(convdraw_codec.__file__).parent / "conformance"
    assert set(json.loads((folder / "digests.json").read_text())) == {path.stem for path in folder.glob("*.cdr")}
    assert {bitstream.parse_header(data).model for _, data, *_ in conformance_set()} == {Codec().fingerprint}
