"""Texture files: what is refused, and that a network survives the way into one and back."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from convdraw_codec.errors import ModelError
from convdraw_codec.network.model import Model
from convdraw_codec.network.weights import load_model
from convdraw_codec.plausible.weights import beside, load_texture
from convdraw_codec.training.networks.texture import TextureNetwork
from convdraw_codec.training.plausible.export import arrays_of, restore, save

from ..tiny import CONFIG, TEXTURE_SIZE, TINY_MODEL, tiny_texture


@pytest.fixture
def model() -> Model:
    return load_model(TINY_MODEL)


def test_a_network_comes_back(model: Model, tmp_path: Path) -> None:
    network, other = tiny_texture(5), TextureNetwork(CONFIG, TEXTURE_SIZE)
    save(network, model, tmp_path / "t.safetensors")
    restore(tmp_path / "t.safetensors", model, other)
    before, after = arrays_of(network), arrays_of(other)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_what_is_no_texture(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    with pytest.raises(ModelError, match="not a cdraw texture"):
        load_texture(TINY_MODEL, model)
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="not a cdraw texture"):
        load_texture(path, model)
    with pytest.raises(FileNotFoundError):
        load_texture(tmp_path / "none", model)


@pytest.mark.parametrize("change", ["model", "lacks", "shape", "weight", "sum", "factor"])
def test_what_does_not_fit(model: Model, tmp_path: Path, change: str) -> None:
    arrays, path = load_file(beside(TINY_MODEL)), tmp_path / "t.safetensors"
    metadata = {"format": "cdraw texture 1", "model": model.fingerprint,
                "config": '{"fine": 6, "channels": 10, "layers": 2, "last": 1}'}
    if change == "model":
        metadata["model"] = "0" * 16
    elif change == "lacks":
        del arrays["exit.bias"]
    elif change == "shape":
        metadata["config"] = metadata["config"].replace("10", "11")
    elif change == "weight":
        arrays["mix.weight"][0, 0] = 64
    elif change == "sum":
        arrays["mix.biases"][3, 2] = -(2**24)
    else:
        arrays["exit.factor"][0] = np.inf
    save_file(arrays, path, metadata)
    with pytest.raises(ModelError):
        load_texture(path, model)
