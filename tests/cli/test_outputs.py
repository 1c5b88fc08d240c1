"""Where results go, and what is left on disk when something is wrong."""

import os
import subprocess
from pathlib import Path

import pytest

from convdraw_codec import truncate

from ..tiny import TINY_MODEL
from .runner import CDRAW, MODEL, assert_fails, run


def test_nothing_is_overwritten_without_force(folder: Path) -> None:
    before = Path("in.cdr").read_bytes()
    assert_fails(run("compress", "in.png", "-o", "in.cdr", "--steps", "1", *MODEL), "in.cdr exists", "--force")
    assert Path("in.cdr").read_bytes() == before
    assert run("compress", "in.png", "-o", "in.cdr", "--steps", "1", "--force", *MODEL).exit_code == 0
    assert len(Path("in.cdr").read_bytes()) < len(before)


def test_a_folder_that_cannot_be_written(folder: Path) -> None:
    assert_fails(run("compress", "in.png", "-o", "absent/x.cdr", *MODEL), "cannot write", "absent")
    assert_fails(run("montage", "in.cdr", "-o", ".", "--steps", "1", *MODEL), "cannot write", "folder")


def test_links_are_followed_and_devices_stay(folder: Path) -> None:
    Path("real.cdr").write_bytes(b"old")
    Path("link.cdr").symlink_to("real.cdr")
    assert run("truncate", "in.cdr", "-o", "link.cdr", "--steps", "1", "--force").exit_code == 0
    assert Path("link.cdr").is_symlink()
    assert Path("real.cdr").read_bytes() == truncate(Path("in.cdr").read_bytes(), 1)
    assert run("truncate", "in.cdr", "-o", os.devnull, "--steps", "1").exit_code == 0
    assert not Path(os.devnull).is_file()


def test_permissions_stay(folder: Path) -> None:
    Path("out.cdr").write_bytes(b"old")
    Path("out.cdr").chmod(0o600)
    assert run("compress", "in.png", "-o", "out.cdr", "--force", *MODEL).exit_code == 0
    assert Path("out.cdr").stat().st_mode & 0o777 == 0o600


def test_names_as_long_as_the_disk_takes(folder: Path) -> None:
    name = f"{'写' * 83}a.cdr"  # 254 bytes
    assert run("compress", "in.png", "-o", name, *MODEL).exit_code == 0
    assert Path(name).read_bytes() == Path("in.cdr").read_bytes()
    assert sorted(path.name for path in Path().iterdir()) == ["in.cdr", "in.png", name]


def test_names_that_are_too_long_for_the_disk(folder: Path) -> None:
    long = "x" * 300
    assert_fails(run("compress", "in.png", "-o", f"{long}.cdr", *MODEL), "cannot write", "too long")
    assert_fails(run("compress", "in.png", "-o", f"{long}/a.cdr", *MODEL), "there is no folder")
    assert_fails(run("compress", "in.png", f"{long}.cdr", *MODEL), "use -o", code=2)
    assert_fails(run("compress", f"{long}.png", *MODEL), "cannot read", "too long")


@pytest.mark.parametrize("command", ["compress", "truncate"])
@pytest.mark.parametrize("name", ["out.png", "out.JPG"])
def test_a_cdr_file_gets_no_name_of_a_picture(folder: Path, command: str, name: str) -> None:
    source = "in.png" if command == "compress" else "in.cdr"
    options = ("--steps", "1", *(MODEL if command == "compress" else ()))
    assert_fails(run(command, source, "-o", name, "--force", *options), name, "use out.cdr", code=2)
    assert not Path(name).exists()


@pytest.mark.parametrize("link", ["itself", "symbolic", "hard"])
@pytest.mark.parametrize("command", ["compress", "decompress", "truncate", "montage"])
def test_no_output_is_the_input(folder: Path, command: str, link: str) -> None:
    """Not even with --force; links lead to the same file."""
    suffix = "cdr" if command in ("compress", "truncate") else "png"
    if link == "itself":
        Path(f"out.{suffix}").write_bytes(Path("in.cdr").read_bytes())
        source = f"out.{suffix}"
    else:
        source = "in.cdr"
        (os.symlink if link == "symbolic" else os.link)("in.cdr", f"out.{suffix}")
    before = Path(source).read_bytes()
    options = {"truncate": ("--steps", "1"), "montage": ("--steps", "1", *MODEL)}.get(command, MODEL)
    result = run(command, source, "-o", f"out.{suffix}", "--force", *options)
    assert_fails(result, f"cannot write out.{suffix}: it is the input")
    assert Path(source).read_bytes() == before


def test_no_output_of_many_is_an_input(folder: Path) -> None:
    before = Path("in.cdr").read_bytes()
    Path("other.cdr").write_bytes(before)
    Path("out").mkdir()
    Path("out/other.cdr").symlink_to("../in.cdr")
    for target in (".", "out"):
        result = run("truncate", "in.cdr", "other.cdr", "-o", target, "--force", "--steps", "1")
        assert_fails(result, "is an input", code=2)
    assert Path("in.cdr").read_bytes() == Path("other.cdr").read_bytes() == before


def test_standard_streams_are_files_as_well(folder: Path) -> None:
    """Redirected, standard input may be the output, and standard output the input."""
    before = Path("in.cdr").read_bytes()
    command = [*CDRAW, "truncate", "--steps", "1", "--force"]
    with open("in.cdr", "rb") as file:
        first = subprocess.run([*command, "-", "-o", "in.cdr"], stdin=file, capture_output=True, text=True)
    with open("in.cdr", "ab") as file:
        second = subprocess.run([*command, "in.cdr", "-o", "-"], stdout=file, stderr=subprocess.PIPE, text=True)
    assert first.stderr == "cdraw: error: cannot write in.cdr: it is the input\n"
    assert second.stderr == "cdraw: error: cannot write standard output: it is the input\n"
    assert Path("in.cdr").read_bytes() == before


def test_devices_need_no_force_and_no_suffix(folder: Path) -> None:
    assert run("decompress", "in.cdr", "-o", os.devnull, *MODEL).exit_code == 0
    assert run("compress", "in.png", "-o", os.devnull, *MODEL).exit_code == 0
    assert run("montage", "in.cdr", "-o", os.devnull, "--steps", "1", *MODEL).exit_code == 0
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize(("command", "output"), [("compress", "m.cdr"), ("montage", "m.png"), ("decompress", "m.png")])
def test_no_output_is_the_model(folder: Path, command: str, output: str) -> None:
    """Nor one of many outputs."""
    Path(output).write_bytes(TINY_MODEL.read_bytes())
    source = "in.png" if command == "compress" else "in.cdr"
    assert_fails(run(command, source, "-o", output, "--force", "--model", output), output, "it is the model")
    if command != "montage":
        second = Path(source).rename(Path(output).with_suffix(Path(source).suffix))
        Path("b" + second.suffix).write_bytes(second.read_bytes())
        assert_fails(run(command, str(second), "b" + second.suffix, "-o", ".", "--force", "--model", output), output,
                     "would be overwritten", code=2)
    assert Path(output).read_bytes() == TINY_MODEL.read_bytes()


def test_no_folder_is_made_for_inputs_that_are_missing(folder: Path) -> None:
    assert_fails(run("decompress", "missing", "-r", "-o", "back"), "cannot read missing: no such file")
    assert not Path("back").exists()


def test_a_model_is_trained_over_no_other_file(folder: Path) -> None:
    Path("notes.txt").write_text("mine")
    assert_fails(run("train", ".", "-o", "notes.txt"), "notes.txt exists; --force overwrites it")
    assert_fails(run("train", ".", "-o", "in.cdr", "--from", "in.cdr", "--force"), "in.cdr", "it is the model")
    assert_fails(run("train", ".", "-o", f"{'x' * 300}/m.safetensors"), "there is no folder")
    assert Path("notes.txt").read_text() == "mine"
