"""The command line as a whole: what all commands share."""

from pathlib import Path

import pytest

from convdraw_codec import __version__
from convdraw_codec.cli.commands import main

from .runner import MODEL, assert_fails, opened, run


def test_there_and_back(folder: Path) -> None:
    result = run("compress", "in.png", "-o", "out.cdr", "--steps", "3", *MODEL)
    size = Path("out.cdr").stat().st_size
    summary = f"{size:,} bytes ({8 * size / 768:.3f} bpp, 3 of 7 steps)"
    assert result.stderr == f"in.png: {Path('in.png').stat().st_size:,} bytes -> out.cdr: {summary}\n"
    result = run("decompress", "out.cdr", "-o", "out.png", *MODEL)
    assert result.stderr == f"out.cdr: {summary} -> out.png: 32x24 RGB, {Path('out.png').stat().st_size:,} bytes\n"
    assert result.stdout == ""
    assert opened("out.png").size == (32, 24)


def test_default_names_and_quiet(folder: Path) -> None:
    Path("in.cdr").unlink()
    assert run("compress", "in.png", "-q", *MODEL).output == ""
    Path("in.png").unlink()
    assert run("decompress", "in.cdr", "-q", *MODEL).output == ""
    assert opened("in.png").size == (32, 24)


def test_version_and_help(folder: Path) -> None:
    assert run("--version").stdout == f"cdraw, version {__version__}\n"
    for command in main.commands:
        assert run(command, "--help").exit_code == 0


def test_a_suffix_of_no_format(folder: Path) -> None:
    assert_fails(run("decompress", "in.cdr", "-o", "x.what", *MODEL), "'.what'", code=2)


def test_inputs_that_are_none(folder: Path) -> None:
    Path("text.png").write_text("hello")
    assert_fails(run("compress", "text.png", "-o", "x.cdr", *MODEL), "text.png", "no picture")
    assert_fails(run("compress", "absent.png", "-o", "x.cdr", *MODEL), "absent.png", "no such file")
    assert_fails(run("decompress", "absent.cdr", "-o", "x.png", *MODEL), "absent.cdr", "no such file")
    Path("half.png").write_bytes(Path("in.png").read_bytes()[:300])
    assert_fails(run("compress", "half.png", "-o", "x.cdr", *MODEL), "half.png")
    assert not list(folder.glob("x.*"))


def test_models_that_are_none(folder: Path) -> None:
    Path("m.safetensors").write_bytes(b"nothing of the kind")
    for name in ("m.safetensors", "absent.safetensors"):
        assert_fails(run("compress", "in.png", "-o", "x.cdr", "--model", name), name)
    assert not Path("x.cdr").exists()


def test_a_file_of_another_model(folder: Path) -> None:
    assert_fails(run("decompress", "in.cdr", "-o", "out.png"), "in.cdr", "decode it with the model that made it")
    assert not list(folder.glob("out.*"))


@pytest.mark.parametrize(("content", "words"), [
    (b"", "it is empty"),
    (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a .cdr file"),
    ("cut header", "inside its header"),
    ("cut", "ends inside step 7 of 7"),
    ("flip header", "header is damaged"),
    ("flip", "damaged (checksum mismatch)"),
    ("tail", "it has 1 byte behind its last step"),
])
@pytest.mark.parametrize("command", ["decompress", "truncate", "info"])
def test_damaged_files(folder: Path, command: str, content: bytes | str, words: str) -> None:
    good = Path("in.cdr").read_bytes()
    flip = bytearray(good)
    flip[10 if content == "flip header" else 60] ^= 4
    data = {"cut header": good[:9], "cut": good[:-3], "tail": good + b"x"}.get(content, bytes(flip)) \
        if isinstance(content, str) else content
    Path("bad.cdr").write_bytes(data)
    options = {"decompress": ("-o", "out.png", *MODEL), "truncate": ("-o", "out.cdr", "--steps", "7"), "info": ()}
    assert_fails(run(command, "bad.cdr", *options[command]), "bad.cdr", words)
    assert not list(folder.glob("out.*"))
