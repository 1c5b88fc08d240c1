"""A training run makes a codec that works, from nothing or from another, on one process or several."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from convdraw_codec import Codec, ModelError
from convdraw_codec.cli.train import train
from convdraw_codec.training.codec_trainer import CodecTrainer

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
    """They stand for the same whole numbers again."""
    train(SHORT, [photographs], tmp_path / "m.safetensors", lambda line: None)
    trainer = CodecTrainer(SHORT, torch.device("cpu"))
    trainer.start_from(tmp_path / "m.safetensors")
    trainer.write(tmp_path / "n.safetensors")
    first, second = (load_file(tmp_path / f"{name}.safetensors") for name in "mn")
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert np.allclose(array.astype(float), second[name].astype(float), rtol=1e-5, atol=1), name
    assert all(np.array_equal(array, second[name]) for name, array in first.items() if name.endswith(".weight"))
    other = replace(SHORT, model=replace(CONFIG, steps=CONFIG.steps[:-1]))
    with pytest.raises(ModelError, match=r"m.safetensors is a model of another configuration"):
        train(other, [photographs], tmp_path / "o.safetensors", print, origin=tmp_path / "m.safetensors")


@pytest.mark.parametrize(("stage", "trained"), [(0, "forecast"), (1, "prior"), (2, "estimator"), (3, "residual")])
def test_a_stage_trains_its_own_networks_alone(stage: int, trained: str) -> None:
    trainer = CodecTrainer(SHORT, torch.device("cpu"))
    trainer.stage = stage
    before = {name: p.clone() for name, p in trainer.model.named_parameters()}
    for _ in range(3):
        assert trainer.step(batch()) is not None
    moved = {name.partition(".")[0] for name, p in trainer.model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {trained}


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
        weights.append(torch.cat([torch.from_numpy(tensors[f"model.{name}"]).flatten() for name in started]))
    moved = (weights[0] - torch.cat([p.flatten() for p in started.values()])).abs()
    trained = torch.cat([torch.full((p.numel(),), name.startswith(("forecast", "estimator")))
                         for name, p in started.items()])
    assert moved[trained].mean() > 3e-4
    assert not moved[~trained].any()
    apart = (weights[0] - weights[1]).abs()  # Muon works in bfloat16, in which the order of sums shows
    assert apart.mean() < 0.05 * moved.mean()
    assert not apart[moved == 0].any()
