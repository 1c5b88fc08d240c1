"""Training: what the objective measures, and that a run can stop, go on, recover and be used."""

import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file

from convdraw_codec import Codec, ConfigError, ModelError
from convdraw_codec.cli.commands import main
from convdraw_codec.cli.train import find_config, load_config
from convdraw_codec.format.rotation import Colours
from convdraw_codec.network.untrained import untrained, widen_cells
from convdraw_codec.network.weights import save_model, thaw
from convdraw_codec.training.checkpoint import Checkpoint
from convdraw_codec.training.codec_trainer import CodecTrainer, train
from convdraw_codec.training.objective import (
    Objective,
    ResidualObjective,
    RetouchObjective,
    colours_of_each,
    rollout,
    take_steps,
    tradeoffs,
)
from convdraw_codec.training.photographs import find_photographs, random_crops
from convdraw_codec.training.recipe import CodecRecipe, Stage

from ..conftest import ROOT, synthetic
from ..tiny import CONFIG, tiny_model

SHORT = CodecRecipe(model=CONFIG, crop=16, batch=4, seed=1, strength=20.0, complete=0.5, gradient_limit=1.0,
                       average=0.9, stages=(Stage("noisy", 0.01, 1e-3, 1e-3), Stage("rounded", 0.006, 1e-3, 1e-5),
                                           Stage("retouch", 0.006, 1e-3, 1e-5), Stage("residual", 0.006, 1e-3, 1e-5)))


@pytest.fixture
def photographs(tmp_path: Path) -> Any:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for seed in range(22):
        Image.fromarray(synthetic(40, 48, seed)).save(folder / f"{seed}.png")
    return folder


def batch(size: int = 4) -> torch.Tensor:
    return torch.from_numpy(np.stack([synthetic(16, 16, s) for s in range(size)])).permute(0, 3, 1, 2).float()


def noise(size: int = 4) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(size)]


def test_steps_that_are_not_stored_cost_nothing() -> None:
    stored = torch.tensor([1, 3, 7, 7])
    with torch.no_grad():
        result = rollout(tiny_model(), batch(), stored)
    for picture, steps in enumerate(stored.tolist()):
        assert (result.rate[:steps, picture] > 0).all()
        assert (result.rate[steps:, picture] == 0).all()


def test_the_noisy_stage_is_rounding_but_near_ties() -> None:
    """Same expectations: the two differ by little, and only the noisy one moves the encoder."""
    model, stored = tiny_model(), torch.full((4,), 7)
    noisy, rounded = (rollout(model, batch(), stored, n) for n in (noise(), None))
    assert torch.allclose(noisy.distortion[-1], rounded.distortion[-1], rtol=0.2)
    rounded.distortion.sum().backward(retain_graph=True)
    analysis = model.core(0).analysis.weight
    assert analysis.grad is None
    (noisy.rate.sum() + noisy.distortion.sum()).backward()
    assert analysis.grad is not None
    assert analysis.grad.abs().sum() > 0


def test_photographs_are_sought_in_folders(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"0\.png is no folder"):
        train(SHORT, [photographs / "0.png"], tmp_path / "m.safetensors", print)


def test_every_parameter_learns() -> None:
    """On pictures of pure noise, where every coefficient is significant."""
    model, stored = tiny_model(), torch.full((4,), 7)
    objective = Objective(model, 20.0)
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 3, 16, 16))).float()
    objective(image, stored, noise()).backward()
    RetouchObjective(model)(image, [1.0, 3.5]).backward()
    ResidualObjective(model)(image).backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # nothing is known yet where a layer is visited for the first time
    assert still == [f"steps.{name}.weight" for name in ("0.history_embedding", "0.prior_state", "2.history_embedding")]


def test_lambda_rises_with_every_step() -> None:
    values = tradeoffs(tiny_model(), 20.0)
    assert (values.diff() > 0).all()
    assert values[-1].item() == pytest.approx(20 / 24**2)


def test_prefixes_count_alike() -> None:
    """A loss over running means is 1 when nothing changes, whatever the prefixes cost."""
    model, stored = tiny_model(), torch.full((4,), 7)
    objective = Objective(model, 20.0)
    with torch.no_grad():
        losses = [objective(batch(), stored, None).item() for _ in range(3)]
    assert losses == pytest.approx([1, 1, 1])


def test_a_run_makes_a_model_that_works(photographs: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    train(SHORT, [photographs], tmp_path / "m.safetensors", lines.append)
    assert any("Validation" in line for line in lines)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.safetensors", "m.safetensors.ckpt", "m.safetensors.jsonl",
                                                          "photographs"]
    codec = Codec(tmp_path / "m.safetensors")
    array = synthetic(30, 20)
    pictures = [np.asarray(p, float) for p in codec.progressive(codec.compress(array))]
    assert np.square(pictures[-1] - array).mean() < np.square(pictures[0] - array).mean()


def test_a_run_begins_with_the_weights_of_a_file(photographs: Path, tmp_path: Path) -> None:
    """An untrained start would cost more than the model it comes from."""
    train(SHORT, [photographs], tmp_path / "m.safetensors", lambda line: None)
    trainer = CodecTrainer(SHORT, torch.device("cpu"))
    trainer.start_from(tmp_path / "m.safetensors")
    trainer.write(tmp_path / "n.safetensors")
    first, second = (load_file(tmp_path / f"{name}.safetensors") for name in "mn")
    assert all((first[key].double() - second[key].double()).abs().max() <= 1 for key in first if ".bias" not in key)
    x, stored = batch(), torch.full((4,), 7)
    with torch.no_grad():
        costs = [trainer.objective.costs(rollout(model, x, stored)).mean().item()
                 for model in (Codec(tmp_path / "m.safetensors").model, trainer.average)]
    assert costs[1] == pytest.approx(costs[0], rel=0.02)
    other = replace(SHORT, model=replace(CONFIG, steps=CONFIG.steps[:-1]))
    with pytest.raises(ModelError, match=r"m.safetensors is a model of another configuration"):
        train(other, [photographs], tmp_path / "o.safetensors", print, origin=tmp_path / "m.safetensors")


def test_a_run_begins_with_weights_for_other_quantisers(tmp_path: Path) -> None:
    """What they say in cells moves along: it costs less than to leave it."""
    torch.manual_seed(1)
    original = untrained(CONFIG)  # its first scales are those of photographs
    for t in range(len(original.steps)):
        original.heads(t).posterior.bias.data.fill_(2**-10)
    save_model(original, tmp_path / "m.safetensors")
    steps = tuple(replace(step, quantiser=step.quantiser * (0.5 if step.layer else 1.0)) for step in CONFIG.steps)
    config, x, stored = replace(CONFIG, steps=steps), batch(), torch.full((4,), 7)
    moved, left = untrained(config), untrained(config)
    thaw(tmp_path / "m.safetensors", moved)
    thaw(tmp_path / "m.safetensors", left)
    for step, old, heads, learned in zip(moved.config.steps, CONFIG.steps, moved.steps, original.steps, strict=True):
        corrections = (module.posterior.bias * quantiser for module, quantiser in (
            (heads, step.quantiser), (learned, old.quantiser)))  # in levels
        torch.testing.assert_close(*corrections)
    widen_cells(left, [step.quantiser / old.quantiser for step, old in zip(CONFIG.steps, steps, strict=True)])
    canvas = moved.to_canvas(x, [Colours((118, 116, 108))] * 4)  # with all its chroma
    with torch.no_grad():
        rates = [sum(taken.choice.rate.sum().item() for taken in take_steps(model, canvas, stored))
                 for model in (moved, left)]
    assert rates[0] < rates[1]


@pytest.mark.parametrize("stop", [3, 5])
def test_going_on_from_a_checkpoint_is_as_if_never_stopped(tmp_path: Path, stop: int) -> None:
    """Saved and restored in either training, the codec's or the retouch's, a run ends with the same weights."""
    crops = [batch() for _ in range(6)]

    def run(stop: int | None) -> CodecTrainer:
        trainer = CodecTrainer(SHORT, torch.device("cpu"))
        for i, crop in enumerate(crops):
            if i == stop:
                Checkpoint.of(trainer).write(tmp_path / "c.ckpt")
                torch.manual_seed(5)
                trainer = CodecTrainer(SHORT, torch.device("cpu"))
                Checkpoint.restore(tmp_path / "c.ckpt", trainer)
            if i == 4:
                trainer.stage = 1
                trainer.advance()
            assert trainer.step(crop) is not None
        return trainer

    whole, stopped = run(None), run(stop)
    assert stopped.iteration == whole.iteration == 6
    for name, p in whole.model.named_parameters():
        assert torch.equal(p, dict(stopped.model.named_parameters())[name]), name
    for name, value in whole.average.named_parameters():
        assert torch.equal(value, stopped.average.get_parameter(name))


def test_the_retouch_is_trained_on_the_codec_that_is_saved() -> None:
    trainer = CodecTrainer(SHORT, torch.device("cpu"))
    for _ in range(3):
        trainer.step(batch())
    trainer.stage = 1
    trainer.advance()
    codec = {name: p.clone() for name, p in trainer.average.named_parameters() if not name.startswith("retouch")}
    trainer.step(batch())
    for name, p in trainer.average.named_parameters():
        assert name.startswith("retouch") or torch.equal(p, codec[name]), name


def test_a_jump_of_the_loss_is_refused() -> None:
    trainer = CodecTrainer(SHORT, torch.device("cpu"))
    assert trainer.step(batch()) is not None
    before = [p.clone() for p in trainer.model.parameters()]
    trainer.running_loss = 1e-3
    assert trainer.step(batch()) is None
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))


def test_after_a_jump_the_run_goes_on_from_good_weights(photographs: Path, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    step, calls = CodecTrainer.step, []

    def jump_once(self: CodecTrainer, image: torch.Tensor) -> float | None:
        calls.append(self.iteration)
        if len(calls) == 4:
            with torch.no_grad():
                self.model.initial_canvas.fill_(math.nan)
        return step(self, image)

    monkeypatch.setattr(CodecTrainer, "step", jump_once)
    lines: list[str] = []
    train(SHORT, [photographs], tmp_path / "m.safetensors", lines.append)
    assert sum("The loss jumped" in line for line in lines) == 1
    Codec(tmp_path / "m.safetensors").compress(synthetic(16, 16))


TOGETHER = """
import contextlib, sys
from pathlib import Path
import torch
from tests.training.test_training import SHORT
from convdraw_codec.training import distributed as workers
from convdraw_codec.training.checkpoint import Checkpoint
from convdraw_codec.training.codec_trainer import CodecTrainer
from convdraw_codec.training.photographs import random_crops
from tests.conftest import synthetic

CodecTrainer.autocast = lambda self: contextlib.nullcontext()
torch.set_num_threads(1)
with workers.together():
    trainer = CodecTrainer(SHORT, torch.device("cpu"))
    crops = random_crops([synthetic(40, 48, s) for s in range(3)], 16, workers.share(SHORT.batch), seed=2)
    for iteration in range(8):
        if iteration == 5:
            trainer.stage = 1
            trainer.advance()
        assert trainer.step(next(crops)) is not None
    if workers.rank() == 0:
        print("processes:", workers.count())
        Checkpoint.of(trainer).write(Path(sys.argv[1]))
"""


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    """The same batches, shared: the same weights, but for the order of sums."""
    script = tmp_path / "together.py"
    script.write_text(TOGETHER)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    started = dict(CodecTrainer(SHORT, torch.device("cpu")).average.named_parameters())
    weights = []
    for launcher, count in (([], 1), (["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"], 2)):
        result = subprocess.run([sys.executable, *launcher, script, str(tmp_path / f"{count}.ckpt")],
                                env=environment, capture_output=True, text=True)
        assert f"processes: {count}" in result.stdout, result.stderr
        tensors = load_file(tmp_path / f"{count}.ckpt")
        weights.append(torch.cat([tensors[f"model.{name}"].flatten() for name in started]))
    moved = (weights[0] - torch.cat([p.flatten() for p in started.values()])).abs()
    assert moved.mean() > 1e-4
    assert ((weights[0] - weights[1]).abs() < 1e-6).float().mean() > 0.99


def test_every_sixth_photograph_is_held_out(photographs: Path) -> None:
    used, held_out = find_photographs([photographs])
    assert (len(used), len(held_out)) == (18, 4)
    assert not set(used) & set(held_out)


def test_crops_are_reproducible_and_in_range() -> None:
    source = [synthetic(50, 60, s) for s in range(3)]
    whole, part = random_crops(source, 16, range(5), seed=3), random_crops(source, 16, range(2, 5), seed=3)
    batches = [next(whole) for _ in range(3)]
    assert torch.equal(next(random_crops(source, 16, range(5), seed=3, iteration=2)), batches[2])
    assert not torch.equal(batches[0], batches[1])
    for a in batches:
        assert torch.equal(a[2:], next(part))
        assert a.shape == (5, 3, 16, 16)
        assert a.min() >= 0
        assert a.max() <= 255


def test_the_learning_rate_warms_up_and_falls() -> None:
    stage = Stage("noisy", 10, 1.0, 0.1, warm_up=2)
    rates = [stage.rate_at(m) for m in (0, 1, 2, 6, 10)]
    assert rates == pytest.approx([0.05, 0.525, 1, 0.55, 0.1])


def test_the_command(photographs: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    text = find_config("photo").read_text()
    model = "layers = [{ stride = 4, state = 4, encoder_state = 4, embedding = 4, context = 4 }]\n" \
            "steps = [{ layer = 0, quantiser = 40, first = 0, last = 48 }]\n" \
            "retouch = { stride = 2, channels = 4, layers = 2 }\nresidual = { channels = 4, layers = 2 }\n"
    text = text[:text.index("layers =")] + model + text[text.index("[training]"):]
    for key, value in (("megapixels", 0.01), ("warm_up", 0), ("crop", 16)):
        text = re.sub(rf"{key} = \d+", f"{key} = {value}", text)
    config.write_text(text)
    arguments = ["train", str(photographs), "-o", str(tmp_path / "m.safetensors"), "--config", str(config)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert Codec(tmp_path / "m.safetensors").total_steps == 1
    arguments[3] = str(tmp_path / "n.safetensors")
    again = CliRunner().invoke(main, [*arguments, "--from", str(tmp_path / "m.safetensors")])
    assert again.exit_code == 0, again.output
    config.write_text("[model]\n")
    assert CliRunner().invoke(main, arguments).exit_code == 1


@pytest.mark.parametrize(("old", "new", "message"), [
    ('kind = "codec"\n', "", r"the configuration lacks the key kind, text"),
    ('kind = "codec"', 'kind = "picture"', r"kind is codec or generative, not 'picture'"),
    ("[model]", "[model", r"it is no TOML file: "),
    ("[training]", "[trainin]", r"the configuration has no key 'trainin': its keys are kind, model, training"),
    ("crop = 192", "crops = 192", r"\[training\] has no key 'crops': its keys are batch, seed, .*, crop, strength"),
    ("crop = 192", "", r"\[training\] lacks the key crop, a whole number"),
    ("crop = 192", "crop = 192.0", r"\[training\] crop is a whole number, not 192\.0"),
    ("average = 0.995", "average = true", r"\[training\] average is a number, not True"),
    ("strength = 20.0", "strength = nan", r"\[training\] strength is a number, not nan"),
    ("seed = 1", "seed = -1", r"\[training\]: the seed lies from 0 to .*, not -1"),
    ("megapixels = 325", "megapixel = 325", r"\[training\] stages 1 has no key 'megapixel': its keys are kind, mega"),
    ("megapixels = 325", "megapixels = -325", r"\[training\] stages 1: megapixels is larger than 0, not -325"),
    ("megapixels = 325", "megapixels = '3'", r"\[training\] stages 1 megapixels is a number, not '3'"),
    ("warm_up = 4", "warm_up = 326", r"\[training\] stages 1: warm_up lies from 0 to the stage's 325 megapixels"),
    ("learning_rate = 1.5e-3", "learning_rate = 0", r"\[training\] stages 1: learning_rate is larger than 0"),
    ('kind = "rounded"', 'kind = "round"', r"\[training\]: the kind of a stage is noisy or .*residual, not 'round'"),
    ("{ stride = 32, state", "{ stride = 32, stat", r"\[model\] layers 1 has no key 'stat'"),
    ("{ stride = 32,", "{ stride = 'x',", r"\[model\] layers 1 stride is a whole number, not 'x'"),
    ("retouch = {", "retouc = {", r"\[model\] has no key 'retouc': its keys are name, layers, steps, retouch, res"),
    ("retouch = {", "retouch = 3 #", r"\[model\] retouch is a table, not 3"),
])
def test_configurations_that_make_no_sense(tmp_path: Path, old: str, new: str, message: str) -> None:
    """What is wrong is named: the table, the key, and what was expected."""
    text, path = find_config("photo").read_text(), tmp_path / "c.toml"
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=f"^{message}"):
        load_config(path)


@pytest.mark.parametrize("change", [{"crop": 20}, {"crop": 0}, {"strength": 0.0}, {"complete": 1.5}])
def test_recipes_that_make_no_sense(change: Any) -> None:
    with pytest.raises(ConfigError):
        replace(SHORT, **change)


def test_photographs_that_are_too_small_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(2):
        Image.fromarray(synthetic(9, 12, i)).save(tmp_path / "photos" / f"{i}.png")
    with pytest.raises(ConfigError, match="16 pixels on each side"):
        train(SHORT, [tmp_path / "photos"], tmp_path / "m.safetensors", print)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_no_photographs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no photograph"):
        train(SHORT, [tmp_path], tmp_path / "m.safetensors", print)
    with pytest.raises(ConfigError, match="photo, "):
        find_config("nothing")


def test_what_the_retouch_learns_from_is_cut_where_it_says() -> None:
    """Canvases of different cuts differ, and how much is stored counts in 1/64 of a step."""
    objective, x = RetouchObjective(tiny_model()), batch()
    taken = list(objective._cut(x, colours_of_each(x), [2.0, 2.5, 2.99, 3.0, 6.5]))
    units = torch.stack([stored for _, stored in taken])
    assert (units[[0, 3]] == torch.tensor([[128], [192]])).all()
    assert (units.diff(dim=0) >= 0).all()
    assert ((units[1:3] > 128) & (units[1:3] < 192)).all()
    assert ((units[4] > 384) & (units[4] < 448)).all()
    canvases = [canvas for canvas, _ in taken]
    away = [(canvas - canvases[3]).square().mean().item() for canvas in canvases[:3]]  # from the whole step
    assert away[0] > away[1] >= away[2]
    assert not torch.equal(canvases[3], canvases[4])


def test_the_retouch_learns_without_changing_the_codec() -> None:
    """The loss is 1 for a network that adds nothing, and falls."""
    model = tiny_model()
    with torch.no_grad():
        model.retouch.exit.weight.zero_()
    objective, cuts = RetouchObjective(model), [6.2, 1.0, 3.5]
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        loss = objective(batch(), cuts)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(1, abs=1e-3)
    assert losses[-1] < 0.98
    assert all(p.grad is None for name, p in model.named_parameters() if not name.startswith("retouch"))
