"""Likely mistakes, and the sentence that says what to do."""

from pathlib import Path

import pytest

from convdraw_codec.cli.param_types import size_in_bytes

from .runner import MODEL, assert_fails, run


@pytest.mark.parametrize(("command", "first", "last"), [
    ("compress", "in.png", "out.cdr"), ("compress", "in.png", "in.cdr"), ("decompress", "in.cdr", "out.jpg"),
    ("decompress", "in.cdr", "in.png")])
def test_an_output_without_its_option(folder: Path, command: str, first: str, last: str) -> None:
    assert_fails(run(command, first, last, *MODEL), f"use -o {last}", code=2)


@pytest.mark.parametrize("options", [("-q", "80"), ("-q80",), ("-q=80",), ("--quality", "80"), ("--quality=80",)])
def test_a_quality_that_compress_does_not_have(folder: Path, options: tuple[str, ...]) -> None:
    assert_fails(run("compress", "in.png", *options, *MODEL), "--psnr, --bpp and --size choose the quality", code=2)


def test_a_file_with_the_name_of_a_number_is_a_file(folder: Path) -> None:
    Path("80").write_bytes(Path("in.png").read_bytes())
    assert run("compress", "-q", "80", *MODEL).exit_code == 0
    assert Path("80.cdr").read_bytes() == Path("in.cdr").read_bytes()


@pytest.mark.parametrize("arguments", [
    ("decompress", "missing", "-r", "-o", "back"), ("compress", "missing", "-o", "a.png"), ("info", "missing"),
    ("montage", "missing", "-o", "absent/a.png"), ("truncate", "missing", "-o", "a.cdr", "--steps", "1"),
    ("compare", "missing", "in.png")])
def test_a_missing_input_is_named_before_all_else(folder: Path, arguments: tuple[str, ...]) -> None:
    assert_fails(run(*arguments), "cannot read missing: no such file")


@pytest.mark.parametrize(("name", "words"), [("~/a.png", "~ in quotes"), ("https://cdraw.example/a.png", "download it"),
                                             ("", "without a name")])
@pytest.mark.parametrize("command", ["compress", "decompress", "info", "compare"])
def test_inputs_that_are_no_files(folder: Path, command: str, name: str, words: str) -> None:
    result = run(command, name, *(("in.png",) if command == "compare" else ()))
    assert_fails(result, name, words, code=2)


def test_folders_without_anything_to_do(folder: Path) -> None:
    Path("empty").mkdir()
    for command, words in (("compress", "no pictures below empty"), ("decompress", "no .cdr files below empty")):
        assert_fails(run(command, "empty", "-r", "-o", "out", *MODEL), words, code=2)
        assert not Path("out").exists()


@pytest.mark.parametrize(("text", "size"), [("20K", 20_000), ("20k", 20_000), ("1e4", 10_000), ("1.5e3", 1500),
                                            ("20KB", 20_000), ("2Ki", 2048), ("2KiB", 2048), ("1M", 10**6),
                                            ("300B", 300)])
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert size_in_bytes(text) == size


@pytest.mark.parametrize("steps", ["0", "20", "300", "-1"])
def test_steps_beyond_the_model_say_its_range(folder: Path, steps: str) -> None:
    assert_fails(run("compress", "in.png", "-o", "a.cdr", "--steps", steps, *MODEL),
                 f"1 to 7, or up to 19 with residual steps, not {steps}", code=2)


def test_one_of_a_thing_is_no_plural(folder: Path) -> None:
    run("truncate", "in.cdr", "-o", "one.cdr", "--steps", "1")
    assert_fails(run("decompress", "one.cdr", "-o", "a.png", "--steps", "2", *MODEL), "stores 1 whole step,")
    Path("one.cdr").write_bytes(Path("one.cdr").read_bytes() + b"x")
    assert_fails(run("decompress", "one.cdr", "-o", "a.png", *MODEL), "it has 1 byte behind its last step",
                 "--allow-truncated decodes the 1 whole step before")
