"""Generative models: what they measure is what the formulas say, and bits-back coding gives it."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from scipy.stats import norm

from convdraw_codec import ConfigError, ModelError
from convdraw_codec.cli.train import find_config, load_config
from convdraw_codec.generative import bits_back
from convdraw_codec.generative.base import bound, bound_of_started, importance_weighted, sample
from convdraw_codec.generative.conv_draw_gaussian import ConvDRAWConfig, GenerativeLayer
from convdraw_codec.generative.datasets import load_pictures, pixels
from convdraw_codec.generative.draw import DRAWConfig, window
from convdraw_codec.generative.output import Picture
from convdraw_codec.generative.pixel_cnn import CausalSize
from convdraw_codec.generative.products import Down, Each, Up
from convdraw_codec.generative.recipe import GenerativeRecipe
from convdraw_codec.generative.semi_amortized import Refined
from convdraw_codec.generative.trainer import GenerativeTrainer, batches, train
from convdraw_codec.generative.weights import load_generative, model_config, new_model, save_generative
from convdraw_codec.training.checkpoint import Checkpoint
from convdraw_codec.training.recipe import Stage

BITS, LEVELS = Picture(1, 8, 12, "bernoulli"), Picture(3, 8, 8, "gaussian")
CONFIGS: dict[str, ConvDRAWConfig | DRAWConfig] = {
    "one layer": ConvDRAWConfig(BITS, 3, (GenerativeLayer(4, 6, 2, 3),)),
    "two layers": ConvDRAWConfig(LEVELS, 2, (GenerativeLayer(8, 6, 3, 1), GenerativeLayer(2, 5, 2, 5))),
    "causal bits": ConvDRAWConfig(BITS, 2, (GenerativeLayer(4, 6, 2, 3),), CausalSize(4, 2)),
    "causal levels": ConvDRAWConfig(LEVELS, 2, (GenerativeLayer(4, 6, 2, 3),), CausalSize(5, 1)),
    "draw": DRAWConfig(BITS, 3, 16, 4),
    "attention": DRAWConfig(BITS, 3, 16, 4, read=2, write=3),
}


@pytest.fixture(params=CONFIGS)
def model(request: pytest.FixtureRequest) -> Any:
    """Untrained, but with canvases, priors and posteriors that differ from step to step."""
    torch.manual_seed(1)
    model = new_model(CONFIGS[request.param])
    if model.causal:
        torch.nn.init.normal_(model.causal.exit.weight, std=0.3)
    return model


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 2), (5, 4), (7, 7)])
def test_products_are_convolutions(kernel: int, stride: int) -> None:
    each, down, up = Each(4, 5), Down(4, 3, kernel, stride), Up(4, 3, kernel, stride)
    x, around = torch.randn(2, 4, 2 * stride, 3 * stride), kernel // 2
    with torch.no_grad():
        assert torch.allclose(each(x), F.conv2d(x, each.weight[:, :, None, None], each.bias), atol=1e-5)
        expected = F.conv2d(x, down.weight.view(3, 4, kernel, kernel), None, stride, around)
        assert torch.allclose(down(x), expected, atol=1e-5)
        weight = up.weight.view(4, 3, kernel, kernel)
        expected = F.conv_transpose2d(x, weight, None, stride, around, stride + 2 * around - kernel)
        assert torch.allclose(up(x), expected, atol=1e-5)


def some_pictures(picture: Picture, count: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (count, picture.channels, picture.height, picture.width)
    return torch.randint(0, 2 if picture.output == "bernoulli" else 256, shape, generator=generator).float()


def integral(values: np.ndarray, x: np.ndarray) -> float:
    return float(np.trapezoid(values, x))


def test_divergence_is_the_integral_of_its_definition(model: Any) -> None:
    """Of the first step, latent by latent."""
    x = some_pictures(model.picture, 1)
    decoder = model.start(1)
    with torch.no_grad():
        encoder = model.look(model.start_encoder(model.picture.units(x)), decoder)
        p = model.prior(0, decoder)
        q = model.posterior(0, encoder, decoder, p)
        measured = bound(model, x).divergence[0, 0, 0].item()
    expected = 0.0
    numbers = (d.double().flatten().tolist() for d in (q.mean, q.stddev, p.mean.expand_as(q.mean), p.stddev))
    for m, s, prior_mean, prior_deviation in zip(*numbers, strict=True):
        z = np.linspace(m - 12 * s, m + 12 * s, 4001)
        density = norm.pdf(z, m, s)
        log_ratio = norm.logpdf(z, m, s) - norm.logpdf(z, prior_mean, prior_deviation)
        expected += integral(density * log_ratio, z)
    # levels are seen with noise, which the posterior feels
    assert measured == pytest.approx(expected, rel=1e-3 if model.picture.output == "bernoulli" else 0.05)


def test_reconstruction_of_bits_is_their_cross_entropy() -> None:
    canvas, x = torch.randn(4, 1, 8, 12), some_pictures(BITS)
    p = 1 / (1 + np.exp(-canvas.double().numpy()))
    expected = -(x.numpy() * np.log(p) + (1 - x.numpy()) * np.log(1 - p)).sum()
    assert -BITS.distribution(canvas).log_prob(x).sum().item() == pytest.approx(expected, rel=1e-5)


def test_noise_costs_no_less_than_the_levels() -> None:
    """(9): the mean density over a level bounds the logarithm of its probability from above, and is near for wide
    densities."""
    canvas = torch.cat([torch.randn(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)], dim=1)
    x = some_pictures(LEVELS, 1)
    distribution = LEVELS.distribution(canvas)
    u = (torch.arange(200) + 0.5) / 200
    noisy = -torch.stack([distribution.log_prob(x + v) for v in u]).mean(0).sum().item()
    mean, deviation = distribution.mean.double().numpy(), distribution.stddev.double().numpy()
    low, high = norm.cdf(x.numpy(), mean, deviation), norm.cdf(x.numpy() + 1, mean, deviation)
    exact = -np.log(high - low).sum()
    assert exact <= noisy + 1e-3
    assert noisy == pytest.approx(exact, rel=1e-3)


def test_the_ratio_drawn_has_the_divergence_as_its_mean(model: Any) -> None:
    x = some_pictures(model.picture, 1).expand(3000, -1, -1, -1)
    with torch.no_grad():
        cost = bound(model, x, torch.Generator().manual_seed(0))
    difference = (cost.log_ratio - cost.divergence.sum((0, 1))).double()
    assert abs(difference.mean()) < 5 * difference.std() / math.sqrt(len(x))


def test_more_draws_tighten_the_bound(model: Any) -> None:
    x = some_pictures(model.picture, 1).expand(300, -1, -1, -1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        one, many = (importance_weighted(model, x, draws, generator).mean() for draws in (1, 20))
        mean = bound(model, x, generator).nats.mean()
    assert many < one
    assert one.item() == pytest.approx(mean.item(), rel=0.02)


def test_refined_posteriors_tighten_the_bound(model: Any) -> None:
    """With other latents than those that they were refined with."""
    x = model.picture.middles(some_pictures(model.picture))
    with torch.inference_mode():
        at_first, refined = (torch.stack([bound_of_started(model, encoder, torch.Generator().manual_seed(seed)).nats
                                          for seed in range(1, 50)]).mean()
                             for encoder in (model.start_encoder(x), Refined(model, 30).start_encoder(x)))
    assert refined < at_first


def test_refining_leaves_the_model_as_it_is(model: Any) -> None:
    x = some_pictures(model.picture)
    before = bound(model, x, torch.Generator().manual_seed(0)).nats
    refined = Refined(model, 2)
    bound(refined, x)
    assert torch.equal(bound(model, x, torch.Generator().manual_seed(0)).nats, before)
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(bound(Refined(model, 0), x, torch.Generator().manual_seed(0)).nats, before)


def test_every_parameter_learns(model: Any) -> None:
    bound(model, some_pictures(model.picture)).nats.sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_an_untrained_posterior_costs_next_to_nothing(model: Any) -> None:
    """It starts from the prior, whatever the steps before have drawn."""
    with torch.no_grad():
        cost = bound(model, some_pictures(model.picture))
    assert 0 <= cost.divergence.min() <= cost.divergence.max() < 5


def test_a_coarse_layer_hears_of_the_finer_one() -> None:
    model = new_model(CONFIGS["two layers"])
    decoder = model.start(2)
    for layer in range(2):
        decoder = model.absorb(layer, torch.randn_like(model.prior(layer, decoder).mean), decoder)
    finer = torch.autograd.grad(model.prior(0, decoder).mean.sum(), decoder.h[1])
    assert finer[0].abs().sum() > 0


def test_the_first_canvas_is_the_mean_picture() -> None:
    for picture in (BITS, LEVELS):
        config = next(c for c in CONFIGS.values() if c.picture == picture)
        trainer = GenerativeTrainer(recipe(config), torch.device("cpu"), torch.zeros(0))
        levels = torch.full((4, picture.channels, picture.height, picture.width), 64, dtype=torch.uint8)
        trainer.begin_with(levels)
        shown = picture.mean(trainer.model.start(1).canvas)
        assert shown.allclose(torch.full_like(shown, 64 / 255 if picture == BITS else -1.0))
        assert trainer.average.first_canvas.equal(trainer.model.first_canvas)


def test_mirrored_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(recipe(CONFIGS["two layers"]), mirror=True)
    trainer = GenerativeTrainer(config, torch.device("cpu"), torch.zeros(0))
    levels, seen = some_pictures(LEVELS, 8).to(torch.uint8), []
    monkeypatch.setattr(trainer, "losses", lambda x, generator: seen.append(x))
    trainer.loss(levels)
    turned = [torch.equal(a, b.flip(2).float()) for a, b in zip(seen[0], levels, strict=True)]
    same = [torch.equal(a, b.float()) for a, b in zip(seen[0], levels, strict=True)]
    assert any(turned)
    assert any(same)
    assert all(a or b for a, b in zip(turned, same, strict=True))


def test_samples_are_pictures(model: Any) -> None:
    with torch.no_grad():
        drawn = sample(model, 2, torch.Generator().manual_seed(0))
    picture = model.picture
    assert drawn.shape == (model.steps, 2, picture.channels, picture.height, picture.width)
    assert 0 <= drawn.min() < drawn.max() <= 1


def test_filters_are_those_of_the_equations() -> None:
    """(19)-(26), written out."""
    height, width, filters = 9, 14, 3
    parameters = [0.3, -0.2, 0.5, -0.7, 0.1]
    place = window(torch.tensor([parameters]), filters, height, width)
    x, y = (width + 1) / 2 * (0.3 + 1), (height + 1) / 2 * (-0.2 + 1)
    spacing = (max(height, width) - 1) / (filters - 1) * math.exp(-0.7)
    for bank, centre, size in ((place.columns, x, width), (place.rows, y, height)):
        for i in range(1, filters + 1):
            mean = centre + (i - filters / 2 - 0.5) * spacing
            row = [math.exp(-(a - mean) ** 2 / (2 * math.exp(0.5))) for a in range(1, size + 1)]
            assert bank[0, i - 1].tolist() == pytest.approx([v / sum(row) for v in row], abs=1e-6)
    assert place.intensity.item() == pytest.approx(math.exp(0.1))


def test_a_window_beyond_the_picture_can_come_back() -> None:
    """Its filters still sum to one, and it has a gradient."""
    parameters = torch.tensor([[1.6, -1.8, -1.0, -2.0, 0.0]], requires_grad=True)
    place = window(parameters, 2, 8, 12)
    assert place.rows.sum(2).allclose(torch.ones(1, 2))
    place.read(torch.arange(96.0).view(1, 1, 8, 12)).sum().backward()
    assert (parameters.grad[0, :2] != 0).all()
    extreme = window(torch.tensor([[30.0, -40.0, -90.0, 90.0, 90.0]]), 2, 8, 12)
    assert extreme.rows.isfinite().all()
    assert extreme.intensity.isfinite().all()


def test_attention_begins_with_the_whole_picture() -> None:
    model = new_model(DRAWConfig(Picture(1, 28, 28, "bernoulli"), 2, 16, 4, read=2, write=5))
    for head, filters in ((model.to_read, 2), (model.to_write, 5)):
        place = window(head.bias[None], filters, 28, 28)
        centres = [28 / filters * (i + 0.5) - 0.5 for i in range(filters)]
        assert place.rows[0].argmax(1).tolist() == pytest.approx(centres, abs=1)


def test_a_window_reads_what_lies_under_it() -> None:
    picture = torch.zeros(1, 1, 20, 20)
    picture[0, 0, 4, 15] = 1.0  # row 5, column 16, counted from one
    across, down = 16 / 10.5 - 1, 5 / 10.5 - 1
    place = window(torch.tensor([[across, down, -6.0, math.log(2 / 19 * 2), 0.0]]), 3, 20, 20)
    patch = place.read(picture)[0, 0]
    assert patch[1, 1] == pytest.approx(1.0, abs=1e-3)
    assert patch.sum() == pytest.approx(1.0, abs=1e-3)
    assert place.write(patch[None, None])[0, 0, 4, 15] == pytest.approx(1.0, abs=1e-2)


def causal(name: str) -> Any:
    torch.manual_seed(2)
    output = new_model(CONFIGS[name]).causal
    torch.nn.init.normal_(output.exit.weight, std=0.5)
    return output


@pytest.mark.parametrize("name", ["causal bits", "causal levels"])
def test_a_pixel_is_told_of_the_earlier_ones_only(name: str) -> None:
    """Row by row, red before green before blue; and of the whole canvas around it."""
    output = causal(name)
    picture = output.picture
    canvas = torch.randn(1, picture.canvas_channels, picture.height, picture.width)
    x = picture.middles(some_pictures(picture, 1)).requires_grad_()
    distribution = picture.distribution(output(canvas, x))
    for channel in range(picture.channels):
        for y, column in ((0, 0), (3, 5), (7, 7)):
            place = 0, channel, y, column
            gradient = torch.autograd.grad(distribution.mean[place], x, retain_graph=True)[0][0]
            told, own = gradient.abs().sum(0), gradient[:, y, column]
            assert told.flatten()[y * picture.width + column + 1:].sum() == 0
            assert own[channel:].abs().sum() == 0
            assert (own[:channel] != 0).all()
            if y:
                assert told[y - 1, column] > 0
                assert told[y, column - 1] > 0


@pytest.mark.parametrize("name", ["causal bits", "causal levels"])
def test_pixels_in_turn_have_the_distributions_of_the_whole(name: str) -> None:
    output = causal(name)
    picture, x = output.picture, some_pictures(output.picture, 2)
    canvas = torch.randn(2, picture.canvas_channels, picture.height, picture.width)
    in_turn = torch.zeros_like(x)

    def choose(distribution: Any, place: Any) -> Any:
        in_turn[place] = distribution.log_prob(x[place])
        return x[place]

    with torch.no_grad():
        assert torch.equal(output.render(canvas, choose), x)
        whole = picture.distribution(output(canvas, picture.middles(x))).log_prob(x)
    assert torch.allclose(in_turn, whole, atol=1e-4)


def test_a_new_causal_output_changes_nothing(tmp_path: Path) -> None:
    """Training goes on from a model without one."""
    plain = CONFIGS["one layer"]
    torch.manual_seed(1)
    save_generative(new_model(plain), plain, tmp_path / "m.safetensors")
    assert isinstance(plain, ConvDRAWConfig)
    trainer = GenerativeTrainer(recipe(replace(plain, causal=CausalSize(4, 2))), torch.device("cpu"), torch.zeros(0))
    trainer.start_from(tmp_path / "m.safetensors")
    x = some_pictures(BITS)
    with torch.no_grad():
        first, second = (bound(m, x, torch.Generator().manual_seed(0)).nats
                         for m in (load_generative(tmp_path / "m.safetensors"), trainer.model))
    assert torch.equal(first, second)


# -- bits-back -------------------------------------------------------------------------------------------------

def random_words(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(2**32, size=count, dtype=np.uint64).astype(np.uint32)


def test_bits_back_returns_pictures_and_random_words(model: Any) -> None:
    x, first = some_pictures(model.picture, 10), random_words(2000)
    chain = bits_back.encode(model, x, first)
    pictures, left = bits_back.decode(model, chain.words, len(x))
    assert torch.equal(pictures, x.to(torch.uint8))
    assert np.array_equal(left, first)
    assert chain.bits == pytest.approx(32 * (len(chain.words) - len(first)), abs=70)
    assert 0 < chain.start < 32 * len(first)


def test_bits_back_repeats_the_refinement(model: Any) -> None:
    x, first = some_pictures(model.picture, 3), random_words(2000)
    refined = Refined(model, 2)
    pictures, left = bits_back.decode(refined, bits_back.encode(refined, x, first).words, len(x))
    assert torch.equal(pictures, x.to(torch.uint8))
    assert np.array_equal(left, first)


def test_bits_back_costs_what_the_bound_says(model: Any) -> None:
    """In the mean, on truly random words: in a chain, what one picture leaves is not quite random to the next."""
    x = some_pictures(model.picture, 1)
    bits = [bits_back.encode(model, x, random_words(2000, seed)).bits for seed in range(200)]
    with torch.no_grad():
        nats = bound(model, x.expand(2000, -1, -1, -1), torch.Generator().manual_seed(0)).nats.mean().item()
    assert np.mean(bits) == pytest.approx(nats / math.log(2), rel=0.02)


def test_bits_back_asks_for_more_random_words() -> None:
    with pytest.raises(ValueError, match="too few"):
        bits_back.encode(new_model(CONFIGS["one layer"]), some_pictures(BITS), random_words(2))


# -- files, data, training -----------------------------------------------------------------------------------

def test_a_model_survives_its_file(model: Any, tmp_path: Path) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half())  # what a file holds
    save_generative(model, model.config, tmp_path / "m.safetensors")
    again, x = load_generative(tmp_path / "m.safetensors"), some_pictures(model.picture)
    with torch.no_grad():
        first, second = (bound(m, x, torch.Generator().manual_seed(0)).nats for m in (model, again))
    assert torch.equal(first, second)


def test_files_that_are_no_generative_models(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_generative(new_model(CONFIGS["draw"]), CONFIGS["attention"], path)  # of another configuration
    with pytest.raises(ModelError, match="no generative model"):
        load_generative(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="no generative model"):
        load_generative(path)


def write_bits(path: Any, count: int = 40) -> np.ndarray:
    """The left or the right half, with a tenth of the bits changed. The last 8 pictures validate."""
    rng = np.random.default_rng(0)
    left = np.arange(96, dtype=np.uint8) % 12 // 6
    bits = left ^ rng.integers(0, 2, (count, 1), dtype=np.uint8)
    bits ^= (rng.random((count, 96)) < 0.1).astype(np.uint8)
    packed = np.packbits(bits, axis=1)
    np.savez(path, train=packed[:-8], valid=packed[-8:], test=packed[:8])
    return bits


def test_data_sets(tmp_path: Path) -> None:
    bits = write_bits(tmp_path / "bits.npz")
    read = load_pictures([tmp_path / "bits.npz"], BITS, "train", "valid")
    assert np.array_equal(pixels(read, BITS).numpy().reshape(40, 96), bits)
    assert len(load_pictures([tmp_path / "bits.npz"], BITS, "test")) == 8
    with pytest.raises(ConfigError, match="train, valid, test, and not tests"):
        load_pictures([tmp_path / "bits.npz"], BITS, "tests")
    grey = np.random.default_rng(1).integers(0, 256, (6, 8, 12), dtype=np.uint8)
    np.savez(tmp_path / "grey.npz", images=grey)
    assert np.array_equal(load_pictures([tmp_path / "grey.npz"], BITS, "train")[:, 0].numpy(), grey)
    sheet = np.random.default_rng(2).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    Image.fromarray(sheet).save(tmp_path / "sheet.webp", lossless=True)
    tiles = load_pictures([tmp_path / "sheet.webp"] * 2, LEVELS, "train")
    assert tiles.shape == (12, 3, 8, 8)
    assert np.array_equal(tiles[4].numpy(), sheet[8:16, 8:16].transpose(2, 0, 1))
    with pytest.raises(ConfigError, match="holds no 8x8 pictures"):
        load_pictures([tmp_path / "grey.npz"], LEVELS, "train")


def test_levels_become_bits_with_their_probability() -> None:
    grey = torch.full((1, 1, 100, 100), 64, dtype=torch.uint8)
    share = pixels(grey, Picture(1, 100, 100, "bernoulli"), torch.Generator().manual_seed(0)).mean().item()
    assert share == pytest.approx(64 / 255, abs=0.02)


def recipe(config: Any) -> GenerativeRecipe:
    return GenerativeRecipe(model=config, batch=8, seed=1, gradient_limit=1.0, average=0.9, beta=1.0, held_out=8,
                            stages=(Stage("likelihood", 0.1, 3e-3, 1e-3),))


@pytest.mark.parametrize("name", ["one layer", "attention"])
def test_training_goes_on_from_its_checkpoint(tmp_path: Path, name: str) -> None:
    """Stopped in the middle, it ends with the weights that it would have had; and the bound falls."""
    data, config = [tmp_path / "bits.npz"], recipe(CONFIGS[name])
    write_bits(data[0])
    lines: list[str] = []
    train(config, data, tmp_path / "m.safetensors", lines.append, checkpoint_minutes=1e-3)
    log = [json.loads(line) for line in (tmp_path / "m.safetensors.jsonl").read_text().splitlines()]
    assert log[-1]["nats"] < log[0]["nats"]
    halfway = GenerativeTrainer(config, torch.device("cpu"), torch.zeros(0))
    pictures = load_pictures(data, BITS, "train")
    halfway.begin_with(pictures)
    for _, batch in zip(range(10), batches(pictures, 8, range(8), 1, 0), strict=False):
        halfway.step(batch)
    Checkpoint.of(halfway).write(tmp_path / "n.safetensors.ckpt")
    train(config, data, tmp_path / "n.safetensors", lines.append)
    assert any(line.startswith("Going on") for line in lines)
    first, second = (load_file(tmp_path / f"{m}.safetensors.ckpt") for m in "mn")  # files of models are rounded
    assert all(torch.allclose(first[key], second[key], atol=1e-6) for key in first if key.startswith("average."))


@pytest.mark.parametrize("more", [0, 2])
def test_training_begins_with_the_weights_of_a_file(model: Any, tmp_path: Path, more: int) -> None:
    """Of a model with as many steps, or with fewer."""
    save_generative(model, model.config, tmp_path / "m.safetensors")
    longer = replace(model.config, steps=model.steps + more)
    trainer = GenerativeTrainer(recipe(longer), torch.device("cpu"), torch.zeros(0))
    trainer.start_from(tmp_path / "m.safetensors")
    assert trainer.model.steps == model.steps + more
    for name, parameter in load_generative(tmp_path / "m.safetensors").named_parameters():
        assert parameter.equal(trainer.model.get_parameter(name))
        assert parameter.equal(trainer.average.get_parameter(name))
    other = next(config for config in CONFIGS.values() if config != model.config)
    with pytest.raises(ModelError, match=r"m.safetensors is a model of another configuration"):
        GenerativeTrainer(recipe(other), torch.device("cpu"), torch.zeros(0)).start_from(tmp_path / "m.safetensors")


def test_too_few_pictures(tmp_path: Path) -> None:
    write_bits(tmp_path / "bits.npz", 10)
    with pytest.raises(ConfigError, match="too few"):
        train(recipe(CONFIGS["one layer"]), [tmp_path / "bits.npz"], tmp_path / "m.safetensors", print)


@pytest.mark.parametrize("name", ["causal/cifar10", "causal/mnist", "paper/cifar10", "paper/cifar10-small",
                                  "paper/draw", "paper/draw-attention", "paper/mnist", "paper/mnist-small",
                                  "paper/omniglot", "paper/two-layer"])
def test_configurations_that_come_along(name: str) -> None:
    """They are complete, and their models explain a picture."""
    loaded = load_config(find_config(name))
    assert isinstance(loaded, GenerativeRecipe)
    with torch.no_grad():
        model = new_model(loaded.model)
        shape = (2, model.picture.channels, model.picture.height, model.picture.width)
        canvas = model.explain(model.start_encoder(torch.zeros(shape)), lambda q, p: q.mean)
    assert canvas.shape[2:] == shape[2:]


@pytest.mark.parametrize("damage", ["short", "empty", "array", "integers", "folder", "sheet"])
def test_data_that_cannot_be_read(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "data.npz"
    if damage == "short":
        write_bits(path)
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros((4, 12), np.uint8))
    elif damage == "integers":
        np.savez(path, images=np.zeros((4, 12), np.int64))
    elif damage == "folder":
        path.mkdir()
    else:
        path = tmp_path / "sheet.png"
        Image.new("RGB", (9, 9)).save(path)
    with pytest.raises(ConfigError, match=r"data\.npz|sheet\.png"):
        load_pictures([path], BITS, "train")


@pytest.mark.parametrize(("key", "value"), [("steps", 0), ("steps", 10**12), ("steps", "x"), ("output", "Bernoulli"),
                                            ("height", 2**40), ("state", -4), ("read", -1)])
def test_sizes_that_make_no_sense(key: str, value: Any) -> None:
    picture = {"channels": 1, "height": 28, "width": 28, "output": "bernoulli"}
    model = {"steps": 2, "state": 4, "latents": 2, "read": 2}
    (picture if key in picture else model)[key] = value
    with pytest.raises(ConfigError, match=key):
        model_config({"picture": picture, **model})


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    model = new_model(CONFIGS["draw"])
    with torch.no_grad():
        model.first_canvas.fill_(math.nan)
    save_generative(model, CONFIGS["draw"], tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match="no number"):
        load_generative(tmp_path / "m.safetensors")


@pytest.mark.parametrize(("name", "value"), [("beta", 0.0), ("average", 1.0), ("gradient_limit", 0.0),
                                             ("held_out", -1)])
def test_recipes_that_make_no_sense(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=name if name != "held_out" else "held out"):
        replace(recipe(CONFIGS["draw"]), **{name: value})


def test_models_that_cannot_be() -> None:
    picture = {"channels": 1, "height": 28, "width": 28, "output": "bernoulli"}
    layer = {"stride": 3, "state": 4, "latents": 2, "kernel": 3}
    with pytest.raises(ConfigError, match="does not divide"):
        model_config({"picture": picture, "steps": 2, "layers": [layer]})
    with pytest.raises(ConfigError, match="odd"):
        model_config({"picture": picture, "steps": 2, "layers": [layer | {"stride": 2, "kernel": 4}]})
    with pytest.raises(ConfigError, match="stride"):
        model_config({"picture": picture, "steps": 2, "layers": [layer | {"stride": 0}]})
    with pytest.raises(ConfigError, match="whole picture is 1"):
        model_config({"picture": picture, "steps": 2, "layers": [layer | {"stride": 28}]})
    with pytest.raises(ConfigError, match="more than the picture"):
        DRAWConfig(BITS, 2, 4, 2, read=13)
    with pytest.raises(ConfigError, match="multiples"):
        model_config({"picture": picture, "steps": 2, "layers": [layer, layer]})
