"""Whatever a program has set in torch: the same bytes and the same pixels, in loading, probing, encoding, decoding."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import torch

from convdraw_codec import Codec
from convdraw_codec.network.exact_conv import CONVOLUTIONS, is_exact
from convdraw_codec.options import FILLS

from ..conftest import synthetic
from ..tiny import TINY_MODEL

PATHS = [path for path in CONVOLUTIONS if is_exact(path)]


@contextmanager
def changed(change: Callable[[Any], object], value: object, back: object) -> Iterator[None]:
    change(value)
    try:
        yield
    finally:
        change(back)


def settings() -> dict[str, AbstractContextManager[Any]]:
    """Each of them anew."""
    return {
        **{str(dtype): changed(torch.set_default_dtype, dtype, torch.float32)
           for dtype in (torch.float64, torch.float16, torch.bfloat16)},
        "meta device": changed(torch.set_default_device, "meta", None),
        "meta device here": torch.device("meta"),
        "one thread": changed(torch.set_num_threads, 1, torch.get_num_threads()),
        "three threads": changed(torch.set_num_threads, 3, torch.get_num_threads()),
        "grad": torch.enable_grad(),
        "no grad": torch.no_grad(),
        "inference": torch.inference_mode(),
        "autocast": torch.autocast("cpu", dtype=torch.bfloat16),
        "deterministic": changed(torch.use_deterministic_algorithms, True, False),
    }


def everything(encoder: Codec, decoder: Codec) -> list[bytes]:
    """What a codec gives for a picture: files, and pixels of a cut one under every fill."""
    array = synthetic(21, 30)
    whole, lossless = encoder.compress(array), encoder.compress(array, lossless=True)
    pictures = [decoder.decompress(whole, 3, fill, seed=5) for fill in FILLS]
    pictures += [decoder.decompress(data) for data in (whole, lossless)]
    assert pictures[-1].tobytes() == array.tobytes()
    return [whole, lossless, *(picture.tobytes() for picture in pictures)]


@pytest.mark.parametrize("path", [PATHS[0], *(pytest.param(path, marks=pytest.mark.slow) for path in PATHS[1:])])
@pytest.mark.parametrize("name", settings())
def test_settings_of_torch_change_nothing(tiny: Codec, name: str, path: str) -> None:
    expected = everything(tiny, tiny)
    codec = Codec(TINY_MODEL, convolution=path)
    with settings()[name]:
        inside = Codec(TINY_MODEL, convolution=path)
        assert everything(inside, inside) == expected
        assert everything(tiny, codec) == expected
    assert everything(inside, inside) == expected


@pytest.mark.parametrize("name", settings())
def test_settings_of_torch_change_no_probe(name: str) -> None:
    with settings()[name]:
        assert [path for path in CONVOLUTIONS if is_exact.__wrapped__(path)] == PATHS


@pytest.mark.parametrize("path", PATHS)
def test_low_precision_of_products_changes_no_pixels(tiny: Codec, path: str) -> None:
    """The encoder may then choose other latents; the decoder's factors have 8 bits, which bfloat16 holds."""
    data = tiny.compress(synthetic(21, 30))
    expected = [tiny.decompress(data, 3, fill, seed=5).tobytes() for fill in FILLS]
    codec = Codec(TINY_MODEL, convolution=path)
    with changed(torch.set_float32_matmul_precision, "medium", "highest"):
        assert is_exact.__wrapped__(path)
        assert [codec.decompress(data, 3, fill, seed=5).tobytes() for fill in FILLS] == expected
