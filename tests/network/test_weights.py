"""Model files: what is no usable model is neither read nor written."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from convdraw_codec import Codec, ModelError
from convdraw_codec.network.weights import load_model, save_model

from ..tiny import CONFIG, TINY_MODEL


def stored() -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Metadata and arrays of the tiny model."""
    with safe_open(TINY_MODEL, "np") as file:
        return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    _, arrays = stored()
    save_model(CONFIG, arrays, tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors").fingerprint == load_model(TINY_MODEL).fingerprint


def test_a_model_that_could_leave_the_exact_range_is_not_written(tmp_path: Path) -> None:
    _, arrays = stored()
    arrays["prior.steps.0.recurrence"][0] = 2**24
    with pytest.raises(ModelError, match="2\\*\\*24"):
        save_model(CONFIG, arrays, tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


DAMAGE: dict[str, Any] = {
    "dtype": ("prior.steps.0.rows.weight", lambda x: x.astype(np.float32)),
    "shape": ("prior.steps.0.rows.weight", lambda x: x[1:].copy()),
    "nan": ("prior.steps.0.rows.factor", lambda x: x * np.float32("nan")),
    "negative factor": ("prior.steps.0.rows.factor", lambda x: -x),
    "infinite factor": ("prior.steps.0.rows.factor", lambda x: x + np.float32(1e38)),
    "loud weight": ("prior.layers.0.context.weight", lambda x: np.full_like(x, 64)),
    "loud bias": ("prior.steps.0.rows.bias", lambda x: np.full_like(x, 2**24)),
    "loud forecast": ("forecast.biases", lambda x: np.full_like(x, -2**31)),
    "loud estimator": ("estimator.biases", lambda x: np.full_like(x, -2**31)),
    "loud transform": ("tables.functions.0", lambda x: np.full_like(x, 32767)),
    "loud axes": ("tables.axes", lambda x: np.full_like(x, 32767)),
    "places outside": ("tables.places.1", lambda x: np.full_like(x, 500)),
    "places twice": ("tables.places.1", lambda x: np.zeros_like(x)),
    "few rows": ("tables.frequencies", lambda x: x[:, :64].copy()),
    "sums of frequencies": ("tables.residual_frequencies", lambda x: np.ones_like(x)),
    "negative slope": ("tables.slopes", lambda x: -x),
}


def without_gap(table: np.ndarray) -> np.ndarray:
    """A symbol of frequency 0 between others, and the sum as it was."""
    row = table[-1, 0]
    row[0] += row[5]
    row[5] = 0
    return table


@pytest.mark.parametrize("damage", ["not a model", "cut", "missing", "stranger", "deep", "gap", *DAMAGE])
def test_bad_model_files_are_refused(tmp_path: Path, damage: str) -> None:
    path, (metadata, arrays) = tmp_path / "m.safetensors", stored()
    if damage in DAMAGE:
        name, change = DAMAGE[damage]
        arrays[name] = change(arrays[name])
    elif damage == "gap":
        arrays["tables.frequencies"] = without_gap(arrays["tables.frequencies"])
    elif damage == "missing":
        del arrays["prior.steps.0.rows.weight"]
    elif damage == "not a model":
        metadata = {"format": "pt"}
    elif damage == "stranger":
        arrays["x"] = np.zeros(3, np.int8)
    elif damage == "deep":
        metadata |= {"config": "[" * 100_000}
    save_file(arrays, path, metadata)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelError):
        Codec(path)


def changed(config: dict[str, Any], path: tuple[Any, ...], value: object) -> None:
    *parents, last = path
    for key in parents:
        config = config[key]
    config[last] = value


@pytest.mark.parametrize(("path", "value"), [
    (("steps", 0, "first"), 0.0), (("steps", 0, "last"), 10**9), (("steps", 0, "layer"), 7),
    (("steps", 0, "quantiser"), float("inf")), (("steps", 0, "quantiser"), "1"), (("steps", 0, "quantiser"), 96.1),
    (("layers", 0, "state"), 8.5), (("layers", 0, "state"), 20_000), (("layers", 0, "embedding"), 0),
    (("layers", 0, "stride"), 20_000), (("layers", 1, "stride"), 2), (("layers", 1, "stride"), 5),
    (("layers", 1, "state"), 10**4), (("layers", 1, "embedding"), 2**16),
    (("estimator", "layers"), 64), (("estimator", "layers"), 10**9), (("estimator", "channels"), 2**16),
    (("forecast", "layers"), 10**9), (("forecast", "channels"), 2**16), (("estimator", "stride"), 3),
    (("estimator", "stride"), 0), (("estimator", "stride"), 8),
    (("steps", 0, "forecast"), True), (("steps", 4, "forecast"), True),
    (("steps", 2, "forecast"), 3), (("steps", 3, "forecast"), 1),
    (("residual", "layers"), 64), (("residual", "layers"), 10**9), (("residual", "channels"), 2**16),
    (("residual",), None), (("layers",), []), (("layers",), 3), (("steps",), [1]), (("name",), None),
    (("name",), "another"),
])
def test_models_whose_configuration_lies_are_refused_before_they_cost_anything(tmp_path: Path, path: Any,
                                                                               value: Any) -> None:
    metadata, arrays = stored()
    config = json.loads(metadata["config"])
    changed(config, path, value)
    save_file(arrays, tmp_path / "m.safetensors", metadata | {"config": json.dumps(config)})
    if value == "another":  # it decides nothing
        assert load_model(tmp_path / "m.safetensors").fingerprint == load_model(TINY_MODEL).fingerprint
        return
    tracemalloc.start()
    try:
        with pytest.raises(ModelError):
            load_model(tmp_path / "m.safetensors")
        _, largest = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert largest < 4_000_000
