"""A training run makes a codec that works, from nothing or from another, on one process or several."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from convdraw_codec import Codec, ModelError
from convdraw_codec.cli.train import train
from convdraw_codec.format.rotation import Colours
from convdraw_codec.network.untrained import untrained, widen_cells
from convdraw_codec.network.weights import save_model, thaw
from convdraw_codec.training.codec_trainer import CodecTrainer
from convdraw_codec.training.objective import (
    rollout,
    take_steps,
)

from ..conftest import ROOT, synthetic
from ..tiny import CONFIG
from .short import SHORT, batch


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


TOGETHER = """
import contextlib, sys
from pathlib import Path
import torch
from tests.training.short import SHORT
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


@pytest.mark.slow
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
