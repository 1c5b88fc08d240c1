"""The conformance set: every path of the codec, and a decoder that shares no code with it, show the same pixels."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import convdraw_codec
from convdraw_codec import Codec, truncate
from convdraw_codec.cli.commands import main
from convdraw_codec.coding.sessions import Session
from convdraw_codec.errors import MachineError
from convdraw_codec.format import bitstream, constants
from convdraw_codec.format.rotation import Colours
from convdraw_codec.network import convolution as integer
from convdraw_codec.network.convolution import ByteConv, Convolver
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
    for path in integer.GRAPHS:
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

    monkeypatch.setattr(integer, "is_exact", lambda path, device="cpu": path == "float32")
    monkeypatch.setattr("convdraw_codec.selftest.is_exact", lambda path, device="cpu": path == "float32")
    monkeypatch.setattr(Codec, "decompress", decompress)
    monkeypatch.setattr("convdraw_codec.selftest.time.perf_counter", lambda: float(len(sizes)))
    result = CliRunner().invoke(main, ["selftest"])
    assert sizes[-2:] == [(300, 200)] * 2
    assert "float32: exact in 6 pictures; 1.00 s for one of 300x200 pixels; used here" in result.output


class Broken(Convolver):
    """Multiplies a little too much, by the paths that are named."""

    paths: tuple[str, ...] = ()

    def __call__(self, conv: ByteConv, x: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
        if self.path in self.paths:
            conv = ByteConv(conv.weight, conv.factor * np.float32(1.01), conv.bias)
        return super().__call__(conv, x, bias)


def fails(path: str) -> Any:
    raise RuntimeError("no such operator")


@pytest.mark.parametrize("used", [True, False])
def test_the_command_fails_where_pixels_would_be_wrong(monkeypatch: pytest.MonkeyPatch, short_set: None,
                                                       used: bool) -> None:
    """Not where only a path that this machine does not use is wrong."""
    path, other = ("int8", "float32") if used else ("float32", "int8")
    assert integer.fastest_exact() == "int8"
    assert integer.is_exact(path)  # as far as the short check goes
    monkeypatch.setattr(Broken, "paths", (path,))
    monkeypatch.setattr("convdraw_codec.codec.Convolver", Broken)
    result = CliRunner().invoke(main, ["selftest"])
    assert result.exit_code == used
    assert f"{other}: exact" in result.output
    assert f"{path}: wrong" in result.output
    assert ("report it" in result.output) == used


@pytest.fixture
def uncached() -> Any:
    integer.is_exact.cache_clear()
    yield
    integer.is_exact.cache_clear()


@pytest.mark.parametrize("how", ["wrong", "not there"])
def test_a_machine_whose_fast_path_fails_uses_the_next(monkeypatch: pytest.MonkeyPatch, short_set: None, uncached: None,
                                                       how: str) -> None:
    data, expected = conformance_file("steps-05")
    if how == "wrong":
        monkeypatch.setattr(Broken, "paths", ("int8",))
        monkeypatch.setattr(integer, "Convolver", Broken)
    else:
        monkeypatch.setitem(integer.GRAPHS, "int8", lambda: fails("int8"))
    assert integer.fastest_exact() == "float32"
    assert digest(Codec().decompress(data)) == expected
    assert "int8: not exact on this machine, and not used" in CliRunner().invoke(main, ["selftest"]).output


def test_a_machine_that_cannot_says_so(monkeypatch: pytest.MonkeyPatch, uncached: None, tmp_path: Path) -> None:
    monkeypatch.setattr(Broken, "paths", tuple(integer.GRAPHS))
    monkeypatch.setattr(integer, "Convolver", Broken)
    with pytest.raises(MachineError, match="no convolution of this machine"):
        Codec()
    (tmp_path / "x.cdr").write_bytes(conformance_file("steps-01")[0])
    model = str(shutil.copy(TINY_MODEL, tmp_path))  # one that no other test has loaded
    decompress = ["decompress", str(tmp_path / "x.cdr"), "-o", str(tmp_path / "x.png"), "--model", model]
    for command in (["selftest"], decompress):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 1
        assert result.stderr.startswith("cdraw: error: cannot ")
        assert result.stderr.endswith("no convolution of this machine's cpu adds whole numbers exactly\n")


def test_a_path_that_is_asked_for_is_checked(monkeypatch: pytest.MonkeyPatch, uncached: None) -> None:
    monkeypatch.setitem(integer.GRAPHS, "int8", lambda: fails("int8"))
    with pytest.raises(MachineError, match="int8 convolutions are not exact on this machine's cpu"):
        Codec(TINY_MODEL, convolution="int8")
    for options, message in (({"convolution": "float16"}, "one of int8, float32, not 'float16'"),
                             ({"device": "tpu"}, "one of cpu, cuda, not 'tpu'"), ({"threads": 0}, "at least 1, not 0")):
        with pytest.raises(ValueError, match=message):
            Codec(TINY_MODEL, **options)


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


def test_a_file_of_the_set_has_symbols_of_every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, plain = set(), RangeDecoder.symbol

    def watched(self: RangeDecoder, frequencies: list[int]) -> int:
        seen.add(len(frequencies))
        return plain(self, frequencies)

    monkeypatch.setattr(RangeDecoder, "symbol", watched)
    decode(Model(PHOTO), conformance_file("loud")[0])
    assert seen == {2, 32, 512}  # bits of quiet groups, symbols, escaped ones


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
def test_the_second_decoder_agrees_where_symbols_are_wild(tiny: tuple[Codec, Model], seed: int) -> None:
    """Symbols that no encoder would choose, up to the limits."""
    codec, model = tiny
    rng, luck = np.random.default_rng(seed), np.random.default_rng(seed).random()
    colours = Colours(tuple(rng.integers(0, 256, 3).tolist()), tuple(rng.integers(-128, 128, 3).tolist()))
    header = bitstream.Header(24, 16, "RGB", 7, 7, codec.fingerprint, colours=colours)
    session, segments = Session(codec.network, header), []
    for t in range(codec.total_steps):
        found = []
        for part, rows in session.parts(t):
            first, known = codec.model.config.seen_first(part.t), session.canvas.of_step(part.t)[part.strip]
            wild = np.where(first, rng.integers(-160, 161, rows.shape), rng.integers(-1, 2, rows.shape))
            symbols = np.where(known != 0, np.abs(wild) & 1, wild) * (rng.random(rows.shape) < luck)
            symbols = (symbols if part.held is None else symbols * part.held).astype(np.int16)
            found.append((part, symbols, rows))
        segments.append(codec.network.symbols(t).encode((p.flat(symbols), p.flat(rows)) for p, symbols, rows in found))
        session.take(t, [(p, session.canvas.turned(p.t, p.strip, symbols), None) for p, symbols, _ in found])
    data = bitstream.write(bitstream.Contents(header, segments))
    assert digest(decode(model, data)) == digest(codec.decompress(data))




def test_digests_are_of_the_bundled_model() -> None:
    folder = Path(convdraw_codec.__file__).parent / "conformance"
    assert set(json.loads((folder / "digests.json").read_text())) == {path.stem for path in folder.glob("*.cdr")}
    assert {bitstream.parse_header(data).model for _, data, *_ in conformance_set()} == {Codec().fingerprint}
