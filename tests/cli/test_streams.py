"""Standard input, output and error: pipes, devices, terminals, and closed ones."""

import io
import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from convdraw_codec import truncate

from .runner import CDRAW, MODEL, opened, run


def test_pipes(folder: Path) -> None:
    packed = run("compress", "-", *MODEL, input=Path("in.png").read_bytes())
    assert packed.stdout_bytes == Path("in.cdr").read_bytes()
    cut = run("truncate", "-", "-o", "-", "--steps", "2", input=packed.stdout_bytes)
    assert cut.stdout_bytes == truncate(packed.stdout_bytes, 2)
    unpacked = run("decompress", "-", *MODEL, input=cut.stdout_bytes)
    assert opened(io.BytesIO(unpacked.stdout_bytes)).size == (32, 24)
    assert "2 of 7 steps) -> standard output: 32x24 RGB" in unpacked.stderr


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
    cut = subprocess.run([*program, "truncate", "in.cdr", "--steps", "1", "-o", "/dev/stdout"],
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


def cdraw(*arguments: str, shell: str = "", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run it by way of a shell, with redirections."""
    line = f"{shlex.join([*CDRAW, *arguments])} {shell}"
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, env=os.environ | (env or {}))


def test_with_standard_error_closed_it_works_in_silence(folder: Path) -> None:
    """And nothing that is printed to its number ends in a file."""
    for command in (("compress", "in.png", "-o", "out.cdr", *MODEL), ("decompress", "in.cdr", "-o", "out.png", *MODEL)):
        result = cdraw(*command, shell="2>&-")
        assert (result.returncode, result.stdout) == (0, "")
    assert Path("out.cdr").read_bytes() == Path("in.cdr").read_bytes()
    assert cdraw("info", "absent.cdr", shell="2>&-").returncode == 1


@pytest.mark.parametrize("command", [("info", "in.cdr"), ("compare", "in.png", "in.png")])
def test_with_standard_output_closed_nothing_can_be_shown(folder: Path, command: tuple[str, ...]) -> None:
    result = cdraw(*command, shell=">&-")
    assert (result.returncode, result.stderr) == (1, "cdraw: error: cannot write standard output: it is closed\n")


def test_names_that_standard_output_cannot_encode(folder: Path) -> None:
    odd = os.fsdecode(b"\xff.cdr")
    for name, encoding in (("写.cdr", "latin-1"), (odd, "utf-8"), (odd, "ascii")):
        Path(name).write_bytes(Path("in.cdr").read_bytes())
        result = cdraw("info", name, env={"PYTHONIOENCODING": encoding})
        assert (result.returncode, result.stdout[:11], result.stderr) == (0, "?.cdr: 32x2", "")


def test_names_that_the_locale_cannot_encode(folder: Path) -> None:
    old = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    result = cdraw("truncate", "in.cdr", "-o", "写.cdr", "--steps", "1", env=old)
    assert result.returncode == 0, result.stderr
    assert Path("写.cdr").read_bytes() == truncate(Path("in.cdr").read_bytes(), 1)


def test_standard_input_by_its_name_goes_to_standard_output(folder: Path) -> None:
    with open("in.cdr", "rb") as file:
        result = subprocess.run([*CDRAW, "decompress", "/dev/stdin", *MODEL], stdin=file, capture_output=True)
    assert opened(io.BytesIO(result.stdout)).size == (32, 24)
    assert sorted(path.name for path in folder.iterdir()) == ["in.cdr", "in.png"]


def at_a_terminal(*arguments: str, typed: bytes = b"") -> tuple[int, str]:
    """Exit code of a run whose standard input and output are a terminal, and its standard error."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([*CDRAW, *arguments], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True) as run:
        os.close(theirs)
        os.write(ours, typed)
        error = run.communicate()[1]
    os.close(ours)
    return run.returncode, error


def test_data_to_a_terminal_are_refused(folder: Path) -> None:
    for target in ("-", "/dev/stdout"):
        code, error = at_a_terminal("truncate", "in.cdr", "-o", target, "--steps", "1")
        assert (code, error) == (1, "cdraw: error: standard output is a terminal; -o FILE writes to a file\n")


def test_a_terminal_as_input_says_that_it_waits(folder: Path) -> None:
    code, error = at_a_terminal("info", "-", typed=b"no file\n\x04")
    assert code == 1
    assert error.splitlines() == ["Waiting for data from the terminal; ^D ends it.",
                                  "cdraw: error: cannot read standard input: it is not a .cdr file"]
