"""What tests of the command line share: a way to run it, and what a failure looks like."""

import sys
from pathlib import Path
from typing import IO

from click.testing import CliRunner, Result
from PIL import Image

from convdraw_codec.cli.commands import main

from ..tiny import TINY_MODEL

CDRAW = [sys.executable, "-m", "convdraw_codec"]  # for tests that need a process of their own
MODEL = ("--model", str(TINY_MODEL))


def run(*arguments: str, input: bytes | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=input)


def opened(file: str | Path | IO[bytes]) -> Image.Image:
    """The picture in a file, which is closed again."""
    with Image.open(file) as image:
        image.load()
        return image.copy()


def assert_fails(result: Result, *words: str, code: int = 1) -> None:
    """One sentence on standard error that has the words, no traceback."""
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    message = result.stderr.strip().splitlines()[-1]
    assert message.startswith("cdraw: error: " if code == 1 else "Error: ")
    assert len(result.stderr.strip().splitlines()) == 1 or code == 2
    for word in words:
        assert word in message
