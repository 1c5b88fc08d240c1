"""The report of a generative model adds up, and its pictures are there."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.generative import likelihood
from bench.shared.pictures import opened
from convdraw_codec.generative.weights import new_model, save_generative

from ...generative.small import BITS, CONFIGS, WITHOUT_LATENTS, some_pictures, write_bits
from ..conftest import run


@pytest.mark.parametrize("name", ["one layer", "attention"])
def test_likelihood(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bits(tmp_path / "bits.npz")
    save_generative(new_model(CONFIGS[name]), CONFIGS[name], tmp_path / "m.safetensors")
    arguments = tmp_path / "m.safetensors", tmp_path / "bits.npz", "--bits-back", 4, "--out", tmp_path
    said = run(likelihood.main, *arguments, "--draws", 3)
    report = json.loads((tmp_path / "m.json").read_text())
    assert f"{report['nats']} nats" in said
    bits = np.array(json.loads((tmp_path / "m-steps.json").read_text())["bits by step and layer, from the top"])
    assert report["pictures"] == 8
    assert report["nats"] == pytest.approx(report["reconstruction"] + bits.sum() * np.log(2), abs=0.01)
    assert report["bits per dimension"] == pytest.approx(report["nats"] / np.log(2) / BITS.dimensions, abs=1e-4)
    assert report["bits-back"]["exact"]
    assert opened(tmp_path / "m-samples.png").size == (10 * 13, 10 * 9)
    assert (tmp_path / "m-drawing.png").exists() == (name == "attention")
    monkeypatch.setattr(likelihood, "BATCH", 3)
    reports = []
    for jobs in (1, 3):
        run(likelihood.main, *arguments, "--refine", 2, "--jobs", jobs)
        reports.append((tmp_path / "m-refined.json").read_text())
    assert reports[0] == reports[1]
    refined = json.loads(reports[0])
    assert refined["bits-back"]["exact"]
    assert [one["updates of posteriors"] for one in (report, refined)] == [0, 2]


@pytest.mark.parametrize("name", WITHOUT_LATENTS)
def test_likelihood_without_latents(tmp_path: Path, name: str) -> None:
    config = WITHOUT_LATENTS[name]
    pictures = some_pictures(config.picture).to(torch.uint8)
    rows = [np.concatenate([np.moveaxis(one.numpy(), 0, 2) for one in pictures], axis=1)]
    if config.picture.output == "bernoulli":
        rows = [255 * rows[0].repeat(3, axis=2)]
    Image.fromarray(np.concatenate(rows)).save(tmp_path / "sheet.png")
    save_generative(new_model(config), config, tmp_path / "m.safetensors")
    run(likelihood.main, tmp_path / "m.safetensors", tmp_path / "sheet.png", "--bits-back", 2, "--out", tmp_path)
    report = json.loads((tmp_path / "m.json").read_text())
    assert report["nats"] == report["reconstruction"]
    assert report["pictures"] == 4
    assert report["bits-back"]["exact"]
    assert abs(report["bits-back"]["above the bound"]) < 0.05
    assert not (tmp_path / "m-steps.json").exists()
    assert (tmp_path / "m-samples.png").exists()
