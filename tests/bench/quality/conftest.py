"""A comparison of codecs, made once."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from bench.quality.rate_distortion import main
from convdraw_codec import Codec

from ...conftest import synthetic
from ..conftest import codec_replaced, run, work_stays_here

NAMES = ("cdraw", "jpeg", "jpeg2000")


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory, tiny: Codec) -> Path:
    """Two pictures, published curves, and in ``out`` what the command leaves."""
    folder = tmp_path_factory.mktemp("comparison")
    for seed in range(2):
        Image.fromarray(synthetic(180, 200, seed)).save(folder / f"{seed}.png")
    out = folder / "out"
    published = folder / "published.json"
    published.write_text(json.dumps({"codecs": {"other": {"bpp": [0.1, 1], "psnr": [25, 35]}}}))
    for chosen in (NAMES[:1], NAMES[1:]):  # the second run compares with what the first left
        options = [option for name in chosen for option in ("--codecs", name)]
        with codec_replaced(tiny), work_stays_here():
            run(main, folder, *options, "--out", out, "--published", published)
    return folder


@pytest.fixture
def comparison(compared: Path, tmp_path: Path) -> Path:
    """A copy of the results; pictures and curves are in the folder above."""
    shutil.copytree(compared, tmp_path, dirs_exist_ok=True)
    return tmp_path / "out"
