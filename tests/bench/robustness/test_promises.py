"""Checks of the format's promises notice what is wrong."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from bench.robustness import budgets, soak, verify
from convdraw_codec import Codec, truncate
from convdraw_codec.format.bitstream import HEADER_BYTES

from ...conftest import synthetic
from ...tiny import TINY_MODEL
from ..conftest import run

pytestmark = pytest.mark.usefixtures("tiny_model", "one_process")


def test_budgets(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "SMALLEST", 200)
    monkeypatch.setattr(budgets, "LARGEST", 3000)
    report = run(budgets.main, pictures, "--count", 4)
    assert report["images"] == 2
    assert 0 <= report["share of a budget left"]["mean"] < 0.02


def test_a_budget_that_is_not_kept_is_reported(monkeypatch: pytest.MonkeyPatch, tiny_model: Codec) -> None:
    image = Image.fromarray(synthetic(48, 64))
    data = tiny_model.compress(image)
    few, many = len(data) // 3, 2 * len(data) // 3
    monkeypatch.setattr(budgets, "truncate", lambda data, size: truncate(data, size=few + many - size))
    failures, _ = budgets.check_budgets(image, data, [few, many], "p.png")
    assert [failure.partition(":")[0].partition(",")[0] for failure in failures] == ["p.png"] * 2
    assert re.search(rf"\d+ bytes for a budget of {few}$", failures[0])
    assert "dB with fewer" in failures[1]


def test_verify(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a model that has other steps; an estimate of the rate that is wrong is noticed."""
    monkeypatch.setattr(verify, "estimate", lambda codec, model, image: 1.0)
    result = CliRunner().invoke(verify.main, [str(pictures), "--model", str(TINY_MODEL)])
    assert result.exit_code == 1
    failures = json.loads(result.stdout)["failures"]
    assert any("of the estimate" in failure for failure in failures)
    assert not any("prediction" in failure or "differs" in failure for failure in failures)


def test_soak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "LARGEST_SIDE", 60)
    report = run(soak.main, "--minutes", 0.03)
    assert report["failures"] == []
    assert report["files"] == 3 * report["rounds"] > 0
    assert report["bytes"] > HEADER_BYTES * report["files"]


def test_soak_notices_a_wrong_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "LARGEST_SIDE", 60)
    different = iter(range(10**9))
    monkeypatch.setattr(soak, "digest", lambda picture: next(different))
    result = CliRunner().invoke(soak.main, ["--minutes", "0.01"])
    assert result.exit_code == 1
    assert "not what was predicted" in result.stdout
    assert "paths disagree" in result.stdout
