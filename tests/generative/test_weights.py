"""Files and configurations of generative models."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from convdraw_codec import ConfigError, ModelError
from convdraw_codec.generative.base import bound, sample
from convdraw_codec.generative.datasets import pixels
from convdraw_codec.generative.draw import DRAWConfig
from convdraw_codec.generative.weights import load_generative, model_config, new_model, save_generative

from ..torch_settings import whatever
from .small import BITS, CONFIGS, some_pictures


def test_a_model_survives_its_file(model: Any, tmp_path: Path) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half())  # what a file holds
    save_generative(model, model.config, tmp_path / "m.safetensors")
    again, x = load_generative(tmp_path / "m.safetensors"), some_pictures(model.picture)
    with torch.no_grad():
        first, second = (bound(m, x, torch.Generator().manual_seed(0)).nats for m in (model, again))
    assert torch.equal(first, second)


def test_files_that_are_no_generative_models(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_generative(new_model(CONFIGS["draw"]), CONFIGS["attention"], path)  # of another configuration
    with pytest.raises(ModelError, match="no generative model"):
        load_generative(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="no generative model"):
        load_generative(path)


@pytest.mark.parametrize(("key", "value"), [("steps", 0), ("steps", 10**12), ("steps", "x"), ("output", "Bernoulli"),
                                            ("height", 2**40), ("state", -4), ("read", -1)])
def test_sizes_that_make_no_sense(key: str, value: Any) -> None:
    picture = {"channels": 1, "height": 28, "width": 28, "output": "bernoulli"}
    model = {"steps": 2, "state": 4, "latents": 2, "read": 2}
    (picture if key in picture else model)[key] = value
    with pytest.raises(ConfigError, match=key):
        model_config({"picture": picture, **model})


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    model: Any = new_model(CONFIGS["draw"])
    with torch.no_grad():
        model.first_canvas.fill_(math.nan)
    save_generative(model, model.config, tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match="no number"):
        load_generative(tmp_path / "m.safetensors")


def test_models_that_cannot_be() -> None:
    picture = {"channels": 1, "height": 28, "width": 28, "output": "bernoulli"}
    layer = {"stride": 3, "state": 4, "latents": 2, "kernel": 3}
    with pytest.raises(ConfigError, match="does not divide"):
        model_config({"picture": picture, "steps": 2, "layers": [layer]})
    with pytest.raises(ConfigError, match="odd"):
        model_config({"picture": picture, "steps": 2, "layers": [layer | {"stride": 2, "kernel": 4}]})
    with pytest.raises(ConfigError, match="stride"):
        model_config({"picture": picture, "steps": 2, "layers": [layer | {"stride": 0}]})
    with pytest.raises(ConfigError, match="whole picture is 1"):
        model_config({"picture": picture, "steps": 2, "layers": [layer | {"stride": 28}]})
    with pytest.raises(ConfigError, match="more than the picture"):
        DRAWConfig(BITS, 2, 4, 2, read=13)
    with pytest.raises(ConfigError, match="multiples"):
        model_config({"picture": picture, "steps": 2, "layers": [layer, layer]})


@pytest.mark.parametrize("setting", ["float64", "bfloat16", "meta"])
def test_a_file_says_the_same_whatever_the_caller_set_in_torch(model: Any, setting: str, tmp_path: Path) -> None:
    save_generative(model, model.config, tmp_path / "m.safetensors")
    x = some_pictures(model.picture)

    def said() -> list[torch.Tensor]:
        with torch.no_grad():
            again, generator = load_generative(tmp_path / "m.safetensors"), torch.Generator().manual_seed(0)
            return [bound(again, x, generator).nats, sample(again, 1, generator),
                    pixels(x.byte(), again.picture, generator)]

    expected = said()
    with whatever(setting):
        assert all(torch.equal(one, other) for one, other in zip(said(), expected, strict=True))
