"""A command runs on the tiny model and in this process, where a test asks for that."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from PIL import Image

from bench.shared import codecs
from convdraw_codec import Codec

from ..conftest import synthetic
from ..tiny import TINY_MODEL


def run(command: click.Command, *arguments: object) -> Any:
    """Its standard output, as JSON where it is."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout) if result.stdout.startswith("{") else result.stdout


@pytest.fixture(scope="module")
def tiny_model() -> Iterator[Codec]:
    """The codec that is measured, in place of the bundled one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codecs, "Codec", lambda: Codec(TINY_MODEL))
        codecs.the_codec.cache_clear()
        yield codecs.the_codec()
    codecs.the_codec.cache_clear()


@pytest.fixture(scope="module")
def one_process() -> Iterator[None]:
    """Work stays in this process."""
    def here(work: Callable[[Any], Any], items: Sequence[Any], workers: int, label: str) -> list[Any]:
        return [work(item) for item in items]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.shared.parallel.in_workers", here)
        yield


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with two."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(2):
        Image.fromarray(synthetic(48, 64, seed)).save(folder / f"{seed}.png")
    return folder
