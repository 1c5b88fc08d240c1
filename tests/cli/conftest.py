"""A folder to work in."""

from pathlib import Path

import pytest
from PIL import Image

from ..conftest import synthetic
from .runner import MODEL, run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a picture and its compressed form."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(synthetic(24, 32)).save("in.png")
    assert run("compress", "in.png", "-o", "in.cdr", *MODEL).exit_code == 0
    return tmp_path
