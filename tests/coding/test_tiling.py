"""Tiles change nothing of a picture."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convdraw_codec import Codec
from convdraw_codec.coding.lossy import Decoder, Encoder
from convdraw_codec.format.rotation import Colours
from convdraw_codec.pictures.conversion import to_planes
from convdraw_codec.selftest import digest

from ..conftest import synthetic


@pytest.mark.parametrize(("pixels", "width"), [(1, 1), (300, 2048), (2000, 16), (2000, 40)])
@pytest.mark.parametrize("shape", [(90, 20), (33, 100)])
def test_tiles_change_nothing(tiny: Codec, monkeypatch: pytest.MonkeyPatch, pixels: int, width: int,
                              shape: Any) -> None:
    """A picture in tiles: decoded to the same pixels, encoded to a file that decodes to what was predicted."""
    array = synthetic(*shape)
    data = tiny.compress(array)
    expected = [digest(picture) for picture in tiny.progressive(data)]
    sampled = digest(tiny.decompress(data, 2, fill="sample"))
    monkeypatch.setattr("convdraw_codec.coding.tiling.TILE_PIXELS", pixels)
    monkeypatch.setattr("convdraw_codec.coding.tiling.TILE_WIDTH", width)
    assert [digest(picture) for picture in tiny.progressive(data)] == expected
    assert digest(tiny.decompress(data, 2, fill="sample")) == sampled
    tiled, predicted = tiny.compress(array), [digest(picture) for picture in tiny.predict(array)]
    monkeypatch.undo()
    assert [digest(picture) for picture in tiny.progressive(tiled)] == predicted
    assert abs(len(tiled) - len(data)) < 20


def test_tiles_of_the_photo_model(photo: Codec, monkeypatch: pytest.MonkeyPatch, example: Path) -> None:
    """With three layers: the same pixels, and the encoder chooses the same latents, but for ties in floating point."""
    with Image.open(example) as opened:
        planes = to_planes(opened.convert("RGB").crop((100, 50, 340, 210)), 32)

    def run() -> tuple[list[np.ndarray], list[np.ndarray]]:
        decoder = Decoder(photo.model, planes.shape[1], planes.shape[2], Colours())
        encoder, chosen, shown = Encoder(decoder, planes), [], []
        for t in range(15):
            latents, _ = encoder.choose(t, np.arange(decoder.shape(t)[0]))
            chosen.append(latents)
            decoder.draw(t, whole[t] if whole else latents)
            shown.append(decoder.pixels(retouched=True))
        return chosen, shown

    whole: list[np.ndarray] = []
    whole, expected = run()
    monkeypatch.setattr("convdraw_codec.coding.tiling.TILE_PIXELS", 64 * 64)
    monkeypatch.setattr("convdraw_codec.coding.tiling.TILE_WIDTH", 64)
    chosen, shown = run()
    for a, b in zip(expected, shown, strict=True):
        assert np.array_equal(a, b)
    differ = sum((a != b).sum() for a, b in zip(whole, chosen, strict=True))
    assert differ <= 1e-4 * sum(a.size for a in whole)
