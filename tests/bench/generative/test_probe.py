"""A linear classifier reads what there is to read."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from bench.generative import probe

from ...generative.small import write_bits
from ..conftest import run
from .test_figures import kept_model


def test_a_linear_classifier_finds_a_linear_class() -> None:
    generator = torch.Generator().manual_seed(0)
    seen = [torch.randn(400, 5, generator=generator) for _ in range(2)]
    labels = [(part[:, 2] > 0).long() for part in seen]
    assert probe.accuracy(seen, labels) > 0.95
    shuffled = [part[torch.randperm(400, generator=generator)] for part in labels]
    assert probe.accuracy(seen, shuffled) < 0.65


def test_each_layer_and_the_pixels_are_read(tmp_path: Path) -> None:
    """Of pictures whose left or right half is white, pixels say which."""
    bits = write_bits(tmp_path / "bits.npz", 80)
    side = (bits[:, :6].mean(1) > 0.5).astype(np.uint8)
    np.savez(tmp_path / "labels.npz", train=side[:-8], test=side[:8])
    data, labels = tmp_path / "bits.npz", tmp_path / "labels.npz"
    run(probe.main, kept_model(tmp_path, "one layer"), data, labels, "--out", tmp_path)
    report = json.loads((tmp_path / "m-probe.json").read_text())
    assert report["pictures"] == [72, 8]
    assert list(report["right in a hundred"]) == ["layer 1", "pixels"]
    assert report["right in a hundred"]["pixels"] == 100
    assert 0 <= report["right in a hundred"]["layer 1"] <= 100


@pytest.mark.parametrize(("name", "reason"), [("pixels", "has no latents"), ("one layer", "lacks the part test")])
def test_what_cannot_be_read(tmp_path: Path, name: str, reason: str) -> None:
    write_bits(tmp_path / "bits.npz")
    np.savez(tmp_path / "labels.npz", train=np.zeros(32, np.uint8))
    arguments = [kept_model(tmp_path, name), tmp_path / "bits.npz", tmp_path / "labels.npz", "--out", tmp_path]
    result = CliRunner().invoke(probe.main, list(map(str, arguments)))
    assert result.exit_code == 2
    assert reason in result.output
