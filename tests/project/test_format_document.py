"""The examples of docs/format.md are true: the file that it takes apart, and the symbols that it decodes."""

import re

from convdraw_codec.format import bitstream, constants

from ..conftest import ROOT
from ..reference_decoder.segments import RAW, RangeDecoder

TEXT = (ROOT / "docs" / "format.md").read_text()
CONFORMANCE = ROOT / "convdraw_codec" / "conformance"
SIGNS = [2**22, 2**23, 2**22]


def section(title: str) -> str:
    return TEXT.partition(f"# {title}\n")[2].partition("\n#")[0]


def cells(text: str) -> list[list[str]]:
    """The rows of a table, without its head."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return rows[2:]


def test_the_file_that_is_taken_apart_has_these_bytes() -> None:
    data, end = (CONFORMANCE / "inside-60.cdr").read_bytes(), 0
    for offset, shown, *_ in cells(section("A file, byte by byte")):
        part = bytes.fromhex(shown.strip("`"))
        assert int(offset) == end
        assert data[end:end + len(part)] == part, offset
        end += len(part)
    assert end == len(data)


def test_its_fields_have_these_values() -> None:
    header = bitstream.parse_header((CONFORMANCE / "inside-60.cdr").read_bytes())
    said = {field.strip("`"): value for _, _, field, value in cells(section("A file, byte by byte"))}
    numbers = {name: [int(n) for n in re.findall(r"-?\b\d+\b", said[name])] for name in
               ("Format_Version", "Width", "Height", "Model_Steps", "Chunk_Count", "Mean_Colour", "Rotation")}
    assert numbers == {"Format_Version": [constants.VERSION], "Width": [header.width], "Height": [header.height],
                       "Model_Steps": [header.total_steps], "Chunk_Count": [header.chunks],
                       "Mean_Colour": [*header.colours.mean], "Rotation": [*header.colours.turn]}
    assert header.model in said["Model_Fingerprint"]
    assert (header.steps, header.cut) == (2, True)


def test_the_header_fields_fill_the_header() -> None:
    end = 0
    for offset, size, *_ in cells(section("Header")):
        assert int(offset) == end
        end += int(size)
    assert end == bitstream.HEADER_BYTES


def test_the_chunk_that_is_shown() -> None:
    data = (CONFORMANCE / "mode-LA.cdr").read_bytes()
    shown = TEXT.partition("(../convdraw_codec/conformance/mode-LA.cdr)")[2].partition("\n\n")[0]
    name, length, payload = (bytes.fromhex(found) for found in re.findall(r"`((?:[0-9A-F]{2} ?)+)`", shown))
    assert data[32:].startswith(name + length + payload)
    assert (name, length) == (b"ALPH", bytes([0xA0, 0x01]))
    assert len(bitstream.read(data).chunks["ALPH"]) == 160


def test_the_worked_example_of_the_range_decoder() -> None:
    example = section("A worked example")
    decoder = RangeDecoder(bytes.fromhex(example.partition("`")[2].partition("`")[0]), 0)
    rows = cells(example)
    for (symbol, *shown), frequencies in zip(rows, [SIGNS] * 3 + [RAW] * 4, strict=True):
        scale = decoder._range >> 24
        quantile = (decoder._point - decoder._lower) % 2**64 // scale
        found = decoder.symbol(frequencies)
        assert found == int(symbol.partition(":")[0], 16)
        values = [scale, quantile, sum(frequencies[:found]), frequencies[found], decoder._lower, decoder._range]
        assert values == [int(value, 16) for value in shown]
