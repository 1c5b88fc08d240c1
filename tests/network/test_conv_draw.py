"""The model: its transform, its configurations, and what may depend on what."""

from typing import Any

import pytest
import torch

from convdraw_codec.cli.train import find_config, load_config
from convdraw_codec.errors import ConfigError
from convdraw_codec.network.config import Config, Layer, RetouchSize, Step
from convdraw_codec.network.conv_draw import Choice, ConvDRAW, DecoderState
from convdraw_codec.network.priors import bits
from convdraw_codec.network.quantiser import half_cells, target
from convdraw_codec.network.transform.lapped_transform import lap
from convdraw_codec.network.untrained import untrained

from ..conftest import synthetic
from ..tiny import CONFIG, tiny_model


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(synthetic(height, width, seed)).permute(2, 0, 1).float()[None]


def rounded(mean: torch.Tensor, index: torch.Tensor, sign: torch.Tensor | None) -> Choice:
    latents = target(mean, sign).round().clamp(-63, 63)
    return Choice(latents, half_cells(latents, sign), bits(latents, index, sign))


def drawn(model: ConvDRAW, t: int, state: DecoderState, latents: torch.Tensor) -> DecoderState:
    """The decoder after step t."""
    step = model.config.steps[t]
    given = state.before(step)
    added = half_cells(latents, model.sign(t, given.layer))
    layer = model.decode(t, given.layer, model.look(t, given.canvas), added)
    return state.after(step, model.write(t, given.canvas, layer.h, added), layer)


def tensors(state: DecoderState) -> list[torch.Tensor]:
    return [state.canvas, *(tensor for layer in state.layers for tensor in (layer.h, layer.c, layer.history))]


@pytest.mark.parametrize(("name", "steps", "layers"), [("photo", 25, 3), ("paper-single-layer", 32, 1),
                                                       ("paper-two-layer", 32, 2)])
def test_the_configurations_that_come_with_cdraw(name: str, steps: int, layers: int) -> None:
    config = load_config(find_config(name)).model
    assert isinstance(config, Config)
    model = untrained(config)
    assert (len(model.steps), len(model.cores)) == (steps, layers)
    size = 2 * model.padding
    with torch.no_grad():
        state, x = model.start(1, size, size), lap(picture(size, size), model.lapping)
        encoder = model.start_encoder(x)
        errors = []
        for t, step in enumerate(model.config.steps):
            taken = model.step(t, x, encoder[step.layer], state.before(step), rounded)
            encoder[step.layer], state = taken.encoder, state.after(step, taken.canvas, taken.layer)
            shape = (1, model.heads(t).latents, *taken.seen.shape[2:])
            assert taken.index.shape == taken.choice.latents.shape == taken.choice.rate.shape == shape
            assert taken.index.min() >= 0
            assert taken.index.max() <= 63
            errors.append((x - state.canvas / 16).square().mean().item())
    assert errors[-1] < 0.1 * errors[0]


def test_the_decoder_is_whole_numbers() -> None:
    """Canvas in 1/16, everything else in units: every tensor of the state is exact."""
    model = tiny_model()
    state = model.start(1, 16, 16)
    with torch.no_grad():
        for t in range(len(model.steps)):
            seen = model.look(t, state.canvas)
            state = drawn(model, t, state, torch.randint(-2, 3, (1, model.heads(t).latents, *seen.shape[2:])).float())
            for tensor in (seen, *tensors(state)):
                assert torch.equal(tensor, tensor.round())


def test_a_prior_does_not_see_its_own_latents() -> None:
    """Equation (4): p_t is fixed by what came before."""
    model = tiny_model()
    with torch.no_grad():
        state = model.start(1, 16, 16)
        seen, given = model.look(0, state.canvas), state.before(model.config.steps[0])
        shape = (1, model.heads(0).latents, *seen.shape[2:])
        before = model.prior(0, given, seen)
        states = [drawn(model, 0, state, torch.full(shape, v)) for v in (0.0, 2.0)]
        assert torch.equal(before, model.prior(0, given, seen))
        after = [model.prior(1, s.before(model.config.steps[1]), model.look(1, s.canvas)) for s in states]
    assert not torch.equal(*after)


def test_steps_leave_older_states_alone() -> None:
    """Fills branch off: drawing from a state must not change it."""
    model = tiny_model()
    with torch.no_grad():
        state = model.start(1, 16, 16)
        copy = [tensor.clone() for tensor in tensors(state)]
        drawn(model, 0, state, torch.ones(1, model.heads(0).latents, *model.look(0, state.canvas).shape[2:]))
    for old, new in zip(copy, tensors(state), strict=True):
        assert torch.equal(old, new)


@pytest.mark.parametrize(("steps", "message"), [
    ((Step(0, 100, 0, 48), Step(0, 40, 0, 48)), "divides the quantiser"),
    ((Step(0, 80, 0, 10), Step(0, 40, 0, 5), Step(0, 40, 0, 10)), "divides the quantiser"),
    ((Step(0, 108, 0, 49),), "coefficients 0 to 47"),
])
def test_schedules_that_make_no_sense(steps: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config("bad", CONFIG.layers, steps, CONFIG.retouch, CONFIG.residual)


@pytest.mark.parametrize("arguments", [(0, 108, 5, 5), (0, 108, 5, 4), (0, 108, -1, 4), (0, 0, 0, 4), (0, 1e9, 0, 4),
                                       (0, float("nan"), 0, 4), (0.0, 108, 0, 4), (0, "108", 0, 4), (0, 108, False, 4)])
def test_steps_that_make_no_sense(arguments: Any) -> None:
    with pytest.raises(ConfigError):
        Step(*arguments)


def test_layers_may_be_anything_that_nests() -> None:
    model = untrained(Config("other", (Layer(12, 4, 4, 4, 4), Layer(4, 4, 4, 4, 4, kernel=5)), (Step(1, 30, 0, 12),),
                            RetouchSize(2, 4, 2), CONFIG.residual))
    assert sum(n * s for n, s in zip(model.coefficients, (1, 9), strict=True)) == 12 * 12 * 3
