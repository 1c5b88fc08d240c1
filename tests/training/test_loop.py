"""A run can stop, go on as if it never had, and recover from a jump of its loss."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from convdraw_codec import Codec
from convdraw_codec.cli.train import train
from convdraw_codec.training.checkpoint import Checkpoint
from convdraw_codec.training.codec_trainer import CodecTrainer

from ..conftest import synthetic
from ..torch_settings import whatever
from .short import SHORT, batch


@pytest.mark.parametrize("stop", [3, 5])
def test_going_on_from_a_checkpoint_is_as_if_never_stopped(tmp_path: Path, stop: int) -> None:
    """Saved and restored in either training, the forecast's or the estimator's, a run ends with the same weights."""
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

    def jump_once(self: CodecTrainer, image: Tensor) -> float | None:
        calls.append(self.iteration)
        if len(calls) == 4:
            with torch.no_grad():
                self.model.forecast.exit_bias.fill_(math.nan)
        return step(self, image)

    monkeypatch.setattr(CodecTrainer, "step", jump_once)
    lines: list[str] = []
    train(SHORT, [photographs], tmp_path / "m.safetensors", lines.append)
    assert sum("The loss jumped" in line for line in lines) == 1
    Codec(tmp_path / "m.safetensors").compress(synthetic(16, 16))


def test_a_torch_without_onednn_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on builds where its operators do not exist."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    monkeypatch.setattr(torch.ops, "mkldnn", None)
    assert CodecTrainer(SHORT, torch.device("cpu")).step(batch()) is not None


@pytest.mark.parametrize("setting", ["float64", "bfloat16", "meta", "no_grad", "inference", "autocast"])
def test_training_is_the_same_whatever_the_caller_set_in_torch(setting: str, photographs: Path, tmp_path: Path) -> None:
    recipe = replace(SHORT, stages=tuple(replace(stage, megapixels=0.001) for stage in SHORT.stages))  # an update each
    train(recipe, [photographs], tmp_path / "m.safetensors", lambda line: None)
    with whatever(setting):
        train(recipe, [photographs], tmp_path / "n.safetensors", lambda line: None)
    first, second = ((tmp_path / f"{name}.safetensors.ckpt").read_bytes() for name in "mn")
    assert first == second
