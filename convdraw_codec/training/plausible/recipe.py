"""What the training of a texture is told."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import ConfigError
from ...plausible.texture import TextureSize
from ..recipe import Recipe


@dataclass(frozen=True)
class TextureRecipe(Recipe):
    """Stages are of deep "features" alone, or with a "critic". crop: side of a picture. first, last: fewest and most
    steps that are stored. texture, distortion, praise: what the distance of textures, squared error and the critic's
    praise count beside the distance of features. critic_rate: learning rate of the critic."""

    kinds = ("features", "critic")

    model: TextureSize
    crop: int
    first: int
    last: int
    texture: float
    distortion: float
    praise: float
    critic_rate: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop < 1 or not 1 <= self.first <= self.last:
            raise ConfigError("a crop has pixels, and first lies from 1 to last")
        if min(self.texture, self.distortion, self.praise) < 0 or not self.critic_rate > 0:
            raise ConfigError("texture, distortion and praise are not negative, and critic_rate is larger than 0")
