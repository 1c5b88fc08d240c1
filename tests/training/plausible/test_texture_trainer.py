"""Training a texture makes a file that the model beside it uses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from convdraw_codec import Codec
from convdraw_codec.cli.train import find_config, load_config, train
from convdraw_codec.errors import ConfigError
from convdraw_codec.network.lapped_pyramid import UNIT
from convdraw_codec.training.plausible.examples import examples_of
from convdraw_codec.training.plausible.recipe import TextureRecipe
from convdraw_codec.training.recipe import Stage

from ...conftest import psnr, synthetic
from ...tiny import TEXTURE_SIZE, TINY_MODEL

SHORT = TextureRecipe(model=TEXTURE_SIZE, crop=32, batch=2, seed=1, gradient_limit=1.0, average=0.9, first=1, last=5,
                      texture=1.0, distortion=0.1, praise=0.1, critic_rate=1e-3,
                      stages=(Stage("features", 0.004, 1e-3, 1e-3), Stage("critic", 0.006, 1e-3, 1e-5)))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(TINY_MODEL.read_bytes())
    return path


def test_a_run_makes_a_texture(model: Path, photographs: Path) -> None:
    lines: list[str] = []
    output = model.with_name("mine.texture.safetensors")
    train(SHORT, [photographs], output, lines.append)
    assert lines[0] == f"For {model}, {Codec(model).fingerprint}"
    assert any("Validation" in line and "dB" in line for line in lines)
    codec, array = Codec(model), synthetic(30, 40)
    data = codec.compress(array, 3)
    assert psnr(codec.decompress(data, fill="plausible"), codec.decompress(data)) < 60
    longer = replace(SHORT, stages=(*SHORT.stages, Stage("critic", 0.002, 1e-3, 1e-3)))
    train(longer, [photographs], output, lines.append)
    assert any(line.startswith("Going on at") for line in lines)
    train(SHORT, [photographs], model.with_name("mine.again.texture.safetensors"), lines.append, origin=None)


def test_examples_are_what_a_decoder_has(tiny: Codec) -> None:
    arrays = [synthetic(32, 32, seed) for seed in range(3)]
    crops = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float()
    examples = examples_of(tiny.network, crops, [2, 5, 7])
    assert examples.t.tolist() == [1, 4, 6]
    shown = examples.in_colours(examples.faithful)
    for picture, array, steps in zip(shown, arrays, (2, 5, 7), strict=True):
        expected = np.asarray(tiny.decompress(tiny.compress(array, steps)), float)
        assert np.abs(picture.permute(1, 2, 0).numpy() - expected).max() <= 0.51
    assert (examples.in_colours(examples.true) - crops).abs().max() < 0.2
    assert [state.shape[1:] for state in examples.states] == [(6, 4, 4), (5, 8, 8)]
    assert examples.true.abs().max() <= 256 * UNIT * 2


def test_what_cannot_be_trained(model: Path, photographs: Path) -> None:
    for recipe, message in ((replace(SHORT, crop=40), "multiple of 32"), (replace(SHORT, last=8), "last at most 7")):
        with pytest.raises(ConfigError, match=message):
            train(recipe, [photographs], model.with_name("mine.texture.safetensors"), print)
    with pytest.raises(ConfigError, match=r"its name ends with .texture.safetensors"):
        train(SHORT, [photographs], model.with_name("other.safetensors"), print)
    with pytest.raises(ConfigError, match="first lies from 1 to last"):
        replace(SHORT, first=6)


def test_the_configuration_of_the_bundled_texture() -> None:
    recipe = load_config(find_config("photo-texture"))
    assert isinstance(recipe, TextureRecipe)
    assert recipe.model == Codec()._texture.size
