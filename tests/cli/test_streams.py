"""Standard input, output and error: pipes, devices, terminals, and closed ones."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from convdraw_codec import truncate

from .commands import MODEL, opened, run


def test_pipes(folder: Path) -> None:
    packed = run("compress", "-", *MODEL, input=Path("in.png").read_bytes())
    assert packed.stdout_bytes == Path("in.cdr").read_bytes()
    cut = run("truncate", "-", "-o", "-", "--steps", "2", input=packed.stdout_bytes)
    assert cut.stdout_bytes == truncate(packed.stdout_bytes, 2)
    unpacked = run("decompress", "-", *MODEL, input=cut.stdout_bytes)
    assert opened(io.BytesIO(unpacked.stdout_bytes)).size == (32, 24)
    assert "from 2 of 7 steps" in unpacked.stderr


def test_a_dash_is_standard_input_though_a_file_has_that_name(folder: Path) -> None:
    for name in ("-", "in.cdr"):
        Path(name).unlink(missing_ok=True)
    picture = Path("in.png").read_bytes()
    Path("-").write_bytes(b"no picture")
    packed = run("compress", "-", *MODEL, input=picture)
    assert packed.exit_code == 0, packed.stderr
    Path("-").unlink()
    Path("-").mkdir()
    assert run("compress", "-", *MODEL, input=picture).stdout_bytes == packed.stdout_bytes
    Path("-").rmdir()
    Path("-").write_bytes(picture)
    assert run("compress", "./-", "-o", "./-.cdr", *MODEL, input=b"no picture").exit_code == 0
    assert run("compress", "./-", "in.png", "-o", "out/", *MODEL, input=b"no picture").exit_code == 0
    assert Path("out/-.cdr").read_bytes() == Path("-.cdr").read_bytes() == packed.stdout_bytes


def test_a_pipe_by_its_name(folder: Path) -> None:
    program = [sys.executable, "-m", "convdraw_codec"]
    cut = subprocess.run([*program, "truncate", "in.cdr", "--steps", "1", "--force", "-o", "/dev/stdout"],
                         capture_output=True, check=True)
    assert cut.stdout == truncate(Path("in.cdr").read_bytes(), 1)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_on_standard_output(folder: Path) -> None:
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "convdraw_codec", "truncate", "in.cdr", "-o", "-", "--steps", "1"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert result.stderr == "cdraw: error: cannot write standard output: no space left on device\n"


@pytest.mark.parametrize(("command", "closed"), [
    (["info", "-"], "stdin"), (["decompress", "-", "-o", "out.png", "--follow"], "stdin"),
    (["truncate", "in.cdr", "--steps", "1", "-o", "-"], "stdout"),
])
def test_closed_standard_streams(folder: Path, command: list[str], closed: str) -> None:
    shut = f"import sys; sys.{closed} = None; from convdraw_codec.cli.commands import main; main()"
    result = subprocess.run([sys.executable, "-c", shut, *command], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("cdraw: error: ")
    assert "it is closed" in result.stderr
