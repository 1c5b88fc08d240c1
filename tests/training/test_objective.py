"""What the objectives measure, and what they teach."""


import numpy as np
import pytest
import torch

from convdraw_codec.training.objective import (
    Objective,
    colours_of_each,
    cut_canvases,
    residual_loss,
    retouch_loss,
    rollout,
    tradeoffs,
)

from ..tiny import tiny_model
from .short import batch, noise


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


def test_every_parameter_learns() -> None:
    """On pictures of pure noise, where every coefficient is significant."""
    model, stored = tiny_model(), torch.full((4,), 7)
    objective = Objective(model, 20.0)
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 3, 16, 16))).float()
    objective(image, stored, noise()).backward()
    retouch_loss(model, image, [1.0, 3.5]).backward()
    residual_loss(model, image).backward()
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


def test_what_the_retouch_learns_from_is_cut_where_it_says() -> None:
    """Canvases of different cuts differ, and how much is stored counts in 1/64 of a step."""
    x = batch()
    taken = list(cut_canvases(tiny_model(), x, colours_of_each(x), [2.0, 2.5, 2.99, 3.0, 6.5]))
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
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        loss = retouch_loss(model, batch(), [6.2, 1.0, 3.5])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(1, abs=1e-3)
    assert losses[-1] < 0.98
    assert all(p.grad is None for name, p in model.named_parameters() if not name.startswith("retouch"))
