"""A comparison of codecs, made once."""

import json
from pathlib import Path

import pytest
from PIL import Image

from bench.quality.rate_distortion import main
from convdraw_codec import Codec

from ...conftest import synthetic
from ..conftest import run

NAMES = ("cdraw", "jpeg", "jpeg2000")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory, tiny_model: Codec, one_process: None) -> Path:
    """What the command leaves for two pictures; they are in the folder above, with published curves."""
    folder = tmp_path_factory.mktemp("comparison")
    for seed in range(2):
        Image.fromarray(synthetic(180, 200, seed)).save(folder / f"{seed}.png")
    out = folder / "out"
    published = folder / "published.json"
    published.write_text(json.dumps({"codecs": {"other": {"bpp": [0.1, 1], "psnr": [25, 35]}}}))
    for chosen in (NAMES[:1], NAMES[1:]):  # the second run compares with what the first left
        options = [option for name in chosen for option in ("--codecs", name)]
        run(main, folder, *options, "--out", out, "--published", published)
    return out
