"""Configurations: what is refused, and how the command uses them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from convdraw_codec import Codec, ConfigError
from convdraw_codec.cli.commands import main
from convdraw_codec.cli.train import find_config, load_config
from convdraw_codec.training.recipe import Stage

from .short import SHORT, short_config


def test_the_learning_rate_warms_up_holds_and_falls() -> None:
    stage = Stage("prior", 13, 1.0, 0.1, warm_up=2, hold=3)
    rates = [stage.rate_at(m) for m in (0, 1, 2, 5, 9, 13)]
    assert rates == pytest.approx([0.05, 0.525, 1, 1, 0.55, 0.1])


def test_the_command(photographs: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(short_config(0.01))
    arguments = ["train", str(photographs), "-o", str(tmp_path / "m.safetensors"), "--config", str(config)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert Codec(tmp_path / "m.safetensors").total_steps == 2
    arguments[3] = str(tmp_path / "n.safetensors")
    again = CliRunner().invoke(main, [*arguments, "--from", str(tmp_path / "m.safetensors")])
    assert again.exit_code == 0, again.output
    config.write_text("[model]\n")
    assert CliRunner().invoke(main, arguments).exit_code == 1


@pytest.mark.parametrize(("old", "new", "message"), [
    ('kind = "codec"\n', "", r"the configuration lacks the key kind, text"),
    ('kind = "codec"', 'kind = "picture"', r"kind is codec, texture or generative, not 'picture'"),
    ("[model]", "[model", r"it is no TOML file: "),
    ("[training]", "[trainin]", r"the configuration has no key 'trainin': its keys are kind, model, training"),
    ("crop = 128", "crops = 192", r"\[training\] has no key 'crops': its keys are batch, seed, .*, crop"),
    ("crop = 128", "", r"\[training\] lacks the key crop, a whole number"),
    ("crop = 128", "crop = 128.0", r"\[training\] crop is a whole number, not 128\.0"),
    ("average = 0.995", "average = true", r"\[training\] average is a number, not True"),
    ("gradient_limit = 3.0", "gradient_limit = nan", r"\[training\] gradient_limit is a number, not nan"),
    ("seed = 1", "seed = -1", r"\[training\]: the seed lies from 0 to .*, not -1"),
    ("megapixels = 2000", "megapixel = 2000", r"\[training\] stages 1 has no key 'megapixel': its keys are kind, mega"),
    ("megapixels = 2000", "megapixels = -2000", r"\[training\] stages 1: megapixels is larger than 0, not -2000"),
    ("megapixels = 2000", "megapixels = '3'", r"\[training\] stages 1 megapixels is a number, not '3'"),
    ("warm_up = 0.5", "warm_up = 1001", r"\[training\] stages 1: warm_up and hold lie from 0 to the stage's 2000 meg"),
    ("learning_rate = 1e-3", "learning_rate = 0", r"\[training\] stages 1: learning_rate is larger than 0"),
    ('kind = "prior"', 'kind = "round"', r"\[training\]: the kind of a stage is forecast or .*residual, not 'round'"),
    ("{ stride = 32, state", "{ stride = 32, stat", r"\[model\] layers 1 has no key 'stat'"),
    ("{ stride = 32,", "{ stride = 'x',", r"\[model\] layers 1 stride is a whole number, not 'x'"),
    ("estimator = {", "estimate = {", r"\[model\] has no key 'estimate': its keys are name, layers, steps, foreca"),
    ("estimator = {", "estimator = 3 #", r"\[model\] estimator is a table, not 3"),
])
def test_configurations_that_make_no_sense(tmp_path: Path, old: str, new: str, message: str) -> None:
    """What is wrong is named: the table, the key, and what was expected."""
    text, path = find_config("photo").read_text(), tmp_path / "c.toml"
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=f"^{message}"):
        load_config(path)


@pytest.mark.parametrize("change", [{"crop": 20}, {"crop": 0}])
def test_recipes_that_make_no_sense(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        replace(SHORT, **change)


def test_a_forecast_that_nobody_is_told_of_is_not_trained() -> None:
    steps = tuple(replace(step, forecast=False) for step in SHORT.model.steps)
    with pytest.raises(ConfigError, match="a stage trains the forecast, and no step has one"):
        replace(SHORT, model=replace(SHORT.model, steps=steps))
