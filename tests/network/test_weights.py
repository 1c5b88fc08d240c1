"""Model files: what is no usable model is neither read nor written."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from convdraw_codec import Codec, ModelError
from convdraw_codec.network.weights import save_model

from ..tiny import TINY_MODEL, tiny_model


def test_a_model_that_could_leave_the_exact_range_is_not_written(tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convdraw_codec.network.exact_conv.SUM_LIMIT", 2**40)  # the quantiser aims too high
    model = tiny_model()
    with torch.no_grad():
        model.cores[0].decoder.gates_from_input.bias.fill_(1e9)
    with pytest.raises(ModelError, match="2\\*\\*24"):
        save_model(model, tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["not a model", "cut", "dtype", "shape", "nan", "missing", "range",
                                    "loud shrink", "loud gate", "first canvas", "infinite product", "stranger",
                                    "few rows", "deep", "sums of frequencies", "frequency of 0"])
def test_bad_model_files_are_refused(tmp_path: Path, damage: str) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    path = tmp_path / "m.safetensors"
    with safe_open(TINY_MODEL, "pt") as file:
        metadata, tensors = file.metadata(), {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    name = "decoder.steps.0.prior_index.weight"
    if damage == "dtype":
        tensors[name] = tensors[name].float()
    elif damage == "shape":
        tensors[name] = tensors[name][1:].contiguous()
    elif damage == "nan":
        tensors["decoder.steps.0.prior_index.multiplier"].fill_(float("nan"))
    elif damage == "missing":
        del tensors[name]
    elif damage == "range":
        tensors["decoder.steps.0.prior_index.bias"].fill_(2**24)
    elif damage.startswith("loud"):
        which = {"shrink": "shrink.0", "gate": "logistic"}[damage[5:]]
        tensors[f"tables.{which}"].fill_(32767)
    elif damage == "first canvas":
        tensors["decoder.initial_canvas"].fill_(2**20)
    elif damage == "infinite product":
        tensors["decoder.steps.0.prior_index.multiplier"].fill_(1e38)
    elif damage == "not a model":
        metadata = {"format": "pt"}
    elif damage == "stranger":
        tensors["decoder.x"] = torch.zeros(3, dtype=torch.bfloat16)
    elif damage == "few rows":
        tensors["tables.frequencies"] = tensors["tables.frequencies"][:64].contiguous()
    elif damage == "sums of frequencies":
        tensors["tables.residual"].fill_(1)
    elif damage == "frequency of 0":  # and the sum as it was
        tensors["tables.frequencies"][0, :2] = torch.tensor([0, tensors["tables.frequencies"][0, :2].sum()])
    elif damage == "deep":
        metadata |= {"config": "[" * 100_000}
    save_file(tensors, path, metadata)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelError):
        Codec(path)


class Allocations(TorchDispatchMode):
    """Watches the largest tensor that torch makes in memory: bytes."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **kwargs or {})
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.device.type == "cpu":
                self.largest = max(self.largest, tensor.nbytes)
        return result


def changed(config: dict[str, Any], path: tuple[Any, ...], value: object) -> None:
    *parents, last = path
    for key in parents:
        config = config[key]
    config[last] = value


@pytest.mark.parametrize(("path", "value"), [
    (("steps", 0, "first"), 0.0), (("steps", 0, "last"), 10**9), (("steps", 0, "layer"), 7),
    (("steps", 0, "quantiser"), float("inf")), (("steps", 0, "quantiser"), "1"), (("layers", 0, "state"), 8.5),
    (("layers", 0, "state"), 20_000), (("layers", 0, "embedding"), 0), (("layers", 0, "stride"), 20_000),
    (("layers", 1, "kernel"), 999), (("layers", 1, "context"), 10**6), (("layers", 1, "encoder_state"), 10**6),
    (("retouch", "layers"), 10**9), (("retouch", "channels"), 10**5), (("retouch", "stride"), True),
    (("residual", "layers"), 10**9), (("residual", "channels"), 10**6), (("residual",), None),
    (("layers", 1, "context"), 10**4), (("layers",), []), (("layers",), 3), (("steps",), [1]), (("name",), None),
    (("name",), "another"),
])
def test_models_whose_configuration_lies_are_refused_before_they_cost_anything(tmp_path: Path, path: Any,
                                                                               value: Any) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(TINY_MODEL, "pt") as file:
        metadata, tensors = file.metadata(), {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    config = json.loads(metadata["config"])
    changed(config, path, value)
    if path[-1] == "layers" and path[0] in ("retouch", "residual"):  # the last of so many is there
        steps = "steps.0." if path[0] == "residual" else ""
        channels = config[path[0]]["channels"]
        tensors[f"decoder.{path[0]}.{steps}hidden.{value - 3}.weight"] = torch.zeros(channels, channels, 3, 3).char()
    if path[-1] == "context" and value == 10**4:  # what looks around fits, at the least
        for t in (2, 4, 5):
            tensors[f"decoder.steps.{t}.prior_context.weight"] = torch.zeros(value, 8, 3, 3).char()
    if path[-1] == "encoder_state":  # a small tensor that fits
        tensors["encoder.cores.1.encoder_gates.bias"] = torch.zeros(4 * value).half()
    save_file(tensors, tmp_path / "m.safetensors", metadata | {"config": json.dumps(config)})
    if value == "another":  # it decides nothing
        assert Codec(tmp_path / "m.safetensors").fingerprint == Codec(TINY_MODEL).fingerprint
        return
    allocations = Allocations()  # type: ignore[no-untyped-call]
    with allocations, pytest.raises(ModelError):
        Codec(tmp_path / "m.safetensors")
    assert allocations.largest < 4 * (tmp_path / "m.safetensors").stat().st_size


def test_loading_a_model_does_not_load_the_compiler_of_torch() -> None:
    """Some functions on the meta device do: it takes 2 s."""
    program = ("import sys; from convdraw_codec.network.weights import load_model; before = set(sys.modules); "
               "load_model(sys.argv[1]); sys.exit(bool({'sympy', 'torch._dynamo'} & (set(sys.modules) - before)))")
    assert subprocess.run([sys.executable, "-c", program, TINY_MODEL]).returncode == 0
