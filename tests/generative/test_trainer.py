"""Training generative models: recipes, checkpoints, the first canvas."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from convdraw_codec import ConfigError, ModelError
from convdraw_codec.cli.train import FOLDERS, find_config, load_config, train
from convdraw_codec.generative.datasets import load_pictures
from convdraw_codec.generative.recipe import GenerativeRecipe
from convdraw_codec.generative.trainer import GenerativeTrainer, batches
from convdraw_codec.generative.weights import load_generative, new_model, save_generative
from convdraw_codec.training.checkpoint import Checkpoint

from .small import BITS, CONFIGS, LEVELS, recipe, some_pictures, write_bits


def test_the_first_canvas_is_the_mean_picture() -> None:
    for picture in (BITS, LEVELS):
        config = next(c for c in CONFIGS.values() if c.picture == picture)
        trainer = GenerativeTrainer(recipe(config), torch.device("cpu"), torch.zeros(0))
        levels = torch.full((4, picture.channels, picture.height, picture.width), 64, dtype=torch.uint8)
        trainer.begin_with(levels)
        shown = picture.mean(trainer.model.start(1).canvas)
        assert shown.allclose(torch.full_like(shown, 64 / 255 if picture == BITS else -1.0))
        assert trainer.average.first_canvas.equal(trainer.model.first_canvas)


def test_mirrored_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(recipe(CONFIGS["two layers"]), mirror=True)
    trainer = GenerativeTrainer(config, torch.device("cpu"), torch.zeros(0))
    levels, seen = some_pictures(LEVELS, 8).to(torch.uint8), []
    monkeypatch.setattr(trainer, "losses", lambda x, generator: seen.append(x))
    trainer.loss(levels)
    turned = [torch.equal(a, b.flip(2).float()) for a, b in zip(seen[0], levels, strict=True)]
    same = [torch.equal(a, b.float()) for a, b in zip(seen[0], levels, strict=True)]
    assert any(turned)
    assert any(same)
    assert all(a or b for a, b in zip(turned, same, strict=True))


@pytest.mark.parametrize("name", ["one layer", "attention"])
def test_training_goes_on_from_its_checkpoint(tmp_path: Path, name: str) -> None:
    """Stopped in the middle, it ends with the weights that it would have had; and the bound falls."""
    data, config = [tmp_path / "bits.npz"], recipe(CONFIGS[name])
    write_bits(data[0])
    lines: list[str] = []
    train(config, data, tmp_path / "m.safetensors", lines.append, checkpoint_minutes=1e-3)
    log = [json.loads(line) for line in (tmp_path / "m.safetensors.jsonl").read_text().splitlines()]
    assert log[-1]["nats"] < log[0]["nats"]
    halfway = GenerativeTrainer(config, torch.device("cpu"), torch.zeros(0))
    pictures = load_pictures(data, BITS, "train")
    halfway.begin_with(pictures)
    for _, batch in zip(range(10), batches(pictures, 8, range(8), 1, 0), strict=False):
        halfway.step(batch)
    Checkpoint.of(halfway).write(tmp_path / "n.safetensors.ckpt")
    train(config, data, tmp_path / "n.safetensors", lines.append)
    assert any(line.startswith("Going on") for line in lines)
    first, second = (load_file(tmp_path / f"{m}.safetensors.ckpt") for m in "mn")  # files of models are rounded
    assert all(torch.allclose(first[key], second[key], atol=1e-6) for key in first if key.startswith("average."))


@pytest.mark.parametrize("more", [0, 2])
def test_training_begins_with_the_weights_of_a_file(model: Any, tmp_path: Path, more: int) -> None:
    """Of a model with as many steps, or with fewer."""
    save_generative(model, model.config, tmp_path / "m.safetensors")
    longer = replace(model.config, steps=model.steps + more)
    trainer = GenerativeTrainer(recipe(longer), torch.device("cpu"), torch.zeros(0))
    trainer.start_from(tmp_path / "m.safetensors")
    assert trainer.model.steps == model.steps + more
    for name, parameter in load_generative(tmp_path / "m.safetensors").named_parameters():
        assert parameter.equal(trainer.model.get_parameter(name))
        assert parameter.equal(trainer.average.get_parameter(name))
    other = next(config for config in CONFIGS.values() if config != model.config)
    with pytest.raises(ModelError, match=r"m.safetensors is a model of another configuration"):
        GenerativeTrainer(recipe(other), torch.device("cpu"), torch.zeros(0)).start_from(tmp_path / "m.safetensors")


def test_too_few_pictures(tmp_path: Path) -> None:
    write_bits(tmp_path / "bits.npz", 10)
    with pytest.raises(ConfigError, match="too few"):
        train(recipe(CONFIGS["one layer"]), [tmp_path / "bits.npz"], tmp_path / "m.safetensors", print)


@pytest.mark.parametrize("name", sorted(path.relative_to(FOLDERS[1]).with_suffix("").as_posix()
                                       for path in FOLDERS[1].rglob("*.toml")))
def test_configurations_that_come_along(name: str) -> None:
    """They are complete, and their models explain a picture."""
    loaded = load_config(find_config(name))
    assert isinstance(loaded, GenerativeRecipe)
    with torch.no_grad():
        model = new_model(loaded.model)
        shape = (2, model.picture.channels, model.picture.height, model.picture.width)
        canvas = model.explain(model.start_encoder(torch.zeros(shape)), lambda q, p: q.mean)
    assert canvas.shape[2:] == shape[2:]


@pytest.mark.parametrize(("name", "value"), [("beta", 0.0), ("average", 1.0), ("gradient_limit", 0.0),
                                             ("held_out", -1)])
def test_recipes_that_make_no_sense(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=name if name != "held_out" else "held out"):
        replace(recipe(CONFIGS["draw"]), **{name: value})
