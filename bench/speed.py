"""Time and memory: ``python -m bench.speed [PICTURE] [--threads 2]``. Prints JSON.

Each figure is the best of a few runs with the model loaded, in a process of its own.
"""

from __future__ import annotations

import json
import math
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import click
import torch
from torch import nn

from convdraw_codec import Codec
from convdraw_codec.draw import ConvDRAW
from convdraw_codec.images import open_picture
from convdraw_codec.integer import IntegerConv

DEFAULT = Path(__file__).parent.parent / "docs" / "example.jpg"


def best(function, runs: int) -> float:
    """Seconds of the fastest run."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def multiply_adds(model: ConvDRAW) -> tuple[float, float, float]:
    """Thousands of multiply-adds per pixel: of all steps in the decoder, in the encoder's own part; of the retouch."""
    decoder = encoder = 0.0
    for t, step in enumerate(model.config.steps):
        positions = model.config.layers[step.layer].stride ** -2
        for part in (model.heads(t), model.core(t)):
            for module in part.modules():
                if isinstance(module, IntegerConv):
                    decoder += math.prod(module.shape) * positions / 1000
                elif isinstance(module, nn.Conv2d):
                    encoder += module.weight.numel() * positions / 1000
    layers = [module for module in model.retouch.modules() if isinstance(module, IntegerConv) and module.padding]
    return decoder, encoder, sum(math.prod(module.shape) for module in layers) / model.retouch.stride**2 / 1000


@click.command()
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=DEFAULT)
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True)
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True)
@click.option("--convolution", default="float32", show_default=True)
def main(picture: Path, threads: int, runs: int, convolution: str) -> None:
    """Measure import, load, compress, decompress and peak memory on PICTURE."""
    program = "import time; s = time.perf_counter(); import convdraw_codec; print(time.perf_counter() - s)"
    imports = [float(subprocess.check_output([sys.executable, "-c", program])) for _ in range(runs)]

    torch.set_num_threads(threads)
    start = time.perf_counter()
    codec = Codec(convolution=convolution)
    load = time.perf_counter() - start
    image = open_picture(picture).pixels
    data = codec.compress(image)
    half = codec.total_steps // 2
    decoder, encoder, retouch = multiply_adds(codec._model)
    print(json.dumps({
        "machine": platform.processor() or platform.machine(), "torch": torch.__version__, "threads": threads,
        "convolution": convolution, "size": image.size, "bytes": len(data),
        "decoder_kmac_per_pixel": round(decoder, 1), "encoder_kmac_per_pixel": round(encoder, 1),
        "retouch_kmac_per_pixel": round(retouch, 1),
        "import_s": round(min(imports), 3), "load_model_s": round(load, 3),
        "compress_s": round(best(lambda: codec.compress(image), runs), 3),
        "decompress_s": round(best(lambda: codec.decompress(data), runs), 3),
        f"decompress_{half}_steps_s": round(best(lambda: codec.decompress(data, half), runs), 3),
        "progressive_s": round(best(lambda: list(codec.progressive(data)), 1), 3),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }, indent=1))


if __name__ == "__main__":
    main()
