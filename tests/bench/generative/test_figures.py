"""Figures of generative models show what they say."""

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from bench.generative import figures
from convdraw_codec.generative.weights import new_model, save_generative

from ...generative.small import BITS, CONFIGS, WITHOUT_LATENTS, some_pictures, write_bits
from ..conftest import run


def kept_model(tmp_path: Path, name: str) -> Path:
    config = (CONFIGS | WITHOUT_LATENTS)[name]
    torch.manual_seed(0)
    save_generative(new_model(config), config, tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def tiles(path: Path) -> np.ndarray:
    """Of a sheet of pictures with a gap, (rows, columns, H, W)."""
    sheet = np.asarray(Image.open(path).convert("L"))
    height, width = BITS.height + 1, BITS.width + 1
    parted = sheet.reshape(len(sheet) // height, height, -1, width).swapaxes(1, 2)
    return parted[:, :, :-1, :-1]


@pytest.mark.parametrize("name", ["one layer", "causal bits"])
def test_codes(tmp_path: Path, name: str) -> None:
    """Above, the pictures, spread over the file; then one row for each number of steps."""
    bits = write_bits(tmp_path / "bits.npz")
    model = kept_model(tmp_path, name)
    run(figures.main, "codes", model, tmp_path / "bits.npz", "--count", 2, "--draws", 3, "--out", tmp_path)
    found, steps = tiles(tmp_path / "m-codes.png"), CONFIGS[name].steps
    assert found.shape[:2] == (1 + len({0, 1, 2, steps}), 6)
    for column in range(6):
        assert np.array_equal(found[0, column].reshape(-1), 255 * bits[:8][4 * (column // 3)])


def test_the_nearest_picture_is_the_same_where_it_is_there(tmp_path: Path) -> None:
    pictures = some_pictures(BITS, 8)
    assert figures.closest(pictures[[5, 2]], (255 * pictures).to(torch.uint8)) == [5, 2]
    bits = write_bits(tmp_path / "bits.npz")
    run(figures.main, "nearest", kept_model(tmp_path, "pixels"), tmp_path / "bits.npz", "--count", 3, "--out", tmp_path)
    found = tiles(tmp_path / "m-nearest.png")
    assert found.shape[:2] == (2, 3)
    seen = {(255 * one).tobytes() for one in bits}
    assert all(one.tobytes() in seen for one in found[1])


def test_an_animation_has_a_frame_for_each_step(tmp_path: Path) -> None:
    run(figures.main, "animation", kept_model(tmp_path, "attention"), "--count", 2, "--out", tmp_path)
    with Image.open(tmp_path / "m-animation.png") as picture:
        assert picture.n_frames == CONFIGS["attention"].steps  # type: ignore[attr-defined]


def test_attention_reads_the_middle_and_writes_it_back(tmp_path: Path) -> None:
    """Of a white square in the middle of a black picture, the first window sees only white, the others an edge."""
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[30:70, 30:70] = 255
    Image.fromarray(picture).save(tmp_path / "square.png")
    run(figures.main, "attention", tmp_path / "square.png", "--out", tmp_path)
    sheet = np.asarray(Image.open(tmp_path / "square-attention.png").convert("RGB"))
    assert sheet.shape == (1200, 1200, 3)
    parts = sheet.reshape(3, 400, 3, 400, 3).swapaxes(1, 2)
    assert parts[0, 1].min() > 250
    assert parts[1, 1].min() < 5
    assert parts[1, 1].max() > 250
    for written in parts[:, 2]:
        assert written[200 - 40:200 + 40, 200 - 40:200 + 40].mean() > written[:40].mean() + 1
    assert (parts[:, 0, ..., 0] > parts[:, 0, ..., 1]).any((1, 2)).all()  # a red rectangle in each


@pytest.mark.parametrize(("figure", "reason"), [("codes", "has no latents"), ("animation", "is no DRAW")])
def test_figures_that_a_model_does_not_have(tmp_path: Path, figure: str, reason: str) -> None:
    write_bits(tmp_path / "bits.npz")
    data = [tmp_path / "bits.npz"] if figure == "codes" else []
    model = kept_model(tmp_path, "pixels")
    result = CliRunner().invoke(figures.main, [figure, str(model), *map(str, data), "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert reason in result.output
