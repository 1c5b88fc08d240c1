"""A command runs on the tiny model and in this process, where a test asks for that."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from PIL import Image

from bench.shared import codecs, parallel
from bench.timing import large
from convdraw_codec import Codec

from ..conftest import synthetic


def run(command: click.Command, *arguments: object) -> Any:
    """Its standard output, as JSON where it is."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout) if result.stdout.startswith("{") else result.stdout


@contextmanager
def codec_replaced(codec: Codec) -> Iterator[None]:
    """Measure this codec in place of the bundled one."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (codecs, large):
            patch.setattr(module, "Codec", lambda: codec)
        codecs.the_codec.cache_clear()
        yield
    codecs.the_codec.cache_clear()


@contextmanager
def work_stays_here() -> Iterator[None]:
    """No process is started."""
    def here(work: Callable[[Any], Any], items: Sequence[Any], workers: int, label: str) -> list[Any]:
        return [work(item) for item in items]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "in_workers", here)
        patch.setattr(parallel, "in_own_process", lambda work, *arguments: work(*arguments))
        yield


@pytest.fixture
def tiny_model(tiny: Codec) -> Iterator[Codec]:
    """The codec that is measured."""
    with codec_replaced(tiny):
        yield tiny


@pytest.fixture
def one_process() -> Iterator[None]:
    with work_stays_here():
        yield


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.slow)], ids=["tiny model, one process", "as it is"])
def processes(request: pytest.FixtureRequest) -> bool:
    """Whether processes are started, which load the bundled model."""
    if not request.param:
        request.getfixturevalue("tiny_model")
        request.getfixturevalue("one_process")
    return bool(request.param)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with two."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(2):
        Image.fromarray(synthetic(48, 64, seed)).save(folder / f"{seed}.png")
    return folder
