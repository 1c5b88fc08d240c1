"""Does it hold, and does memory grow? ``python -m bench soak --minutes 20``. Prints JSON.

Each round compresses a picture to a random number of steps or under a random budget, cuts the file at random, and
decodes both: what comes out must be what the encoder predicted, or for a cut what it decodes to by the other path of
convolutions; and a flipped bit must be noticed. Ends with exit code 1 if anything differed.
"""

from __future__ import annotations

import random
import time

import click
import numpy as np
import torch
from PIL import Image

from convdraw_codec import CdrError, Codec, truncate
from convdraw_codec.selftest import digest

from ..shared.frame import Report, prints_report
from ..shared.memory import resident_mb
from ..shared.pictures import EXAMPLE

LARGEST_SIDE = 400
LARGEST_FIRST = 8  # rounds: buffers stay as large as the largest picture has made them
WARM_UP = 0.5  # of the rounds, before memory counts: caches fill, heaps spread
BLOCKS = 8  # of the other rounds, to whose means the slope is fitted: one round's memory is much like the last one's


def random_picture(rng: random.Random, photograph: Image.Image, smallest: int) -> Image.Image:
    """A part of the photograph, or noise, in some mode, with sides from ``smallest`` to ``LARGEST_SIDE``."""
    width, height = (rng.randint(smallest, LARGEST_SIDE) for _ in range(2))
    if rng.random() < 0.1:
        noise = np.random.default_rng(rng.getrandbits(32)).integers(0, 256, (height, width, 3), np.uint8)
        picture = Image.fromarray(noise)
    else:
        left, top = rng.randint(0, photograph.width - width), rng.randint(0, photograph.height - height)
        picture = photograph.crop((left, top, left + width, top + height))
    return picture.convert(rng.choice(("RGB", "RGB", "L", "RGBA", "LA")))


def one_round(rng: random.Random, codecs: list[Codec], photograph: Image.Image,
              smallest: int) -> tuple[list[int], list[str]]:
    """Sizes in bytes of the files decoded, and what went wrong."""
    picture, failures = random_picture(rng, photograph, smallest), []
    fast, slow = codecs
    torch.set_num_threads(rng.randint(1, 2))
    steps = rng.randint(1, fast.total_steps)
    data = fast.compress(picture, steps)
    *_, predicted = fast.predict(picture, steps)
    torch.set_num_threads(rng.randint(1, 2))
    if digest(fast.decompress(data)) != digest(predicted):
        failures.append(f"{picture.mode} {picture.size}, {steps} steps: not what was predicted")
    size = rng.randint(len(truncate(data, 1)), len(data))
    cut = fast.compress(picture, size=size) if rng.random() < 0.3 else truncate(data, size=size)
    if len(cut) > size:
        failures.append(f"{picture.mode} {picture.size}: {len(cut)} bytes for a budget of {size}")
    if digest(fast.decompress(cut)) != digest(slow.decompress(cut)):
        failures.append(f"{picture.mode} {picture.size}, cut to {size}: paths disagree")
    damaged = bytearray(cut)
    damaged[rng.randrange(len(cut))] ^= 1 << rng.randrange(8)
    try:
        fast.decompress(bytes(damaged))
        failures.append(f"{picture.mode} {picture.size}: a flipped bit went unnoticed")
    except CdrError:
        pass
    return [len(data), len(cut), len(damaged)], failures


@click.command()
@click.option("--minutes", type=float, default=20.0, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@prints_report
def main(minutes: float, seed: int) -> Report:
    """Run for MINUTES."""
    rng, codecs = random.Random(seed), [Codec(convolution=path) for path in (None, "float32")]
    with Image.open(EXAMPLE) as opened:
        photograph = opened.convert("RGB")
    start = time.monotonic()
    sizes: list[int] = []
    failures: list[str] = []
    memory: list[tuple[float, float]] = []
    while (elapsed := time.monotonic() - start) < 60 * minutes:
        done, wrong = one_round(rng, codecs, photograph, LARGEST_SIDE if len(memory) < LARGEST_FIRST else 1)
        sizes, failures = sizes + done, failures + wrong
        memory.append((elapsed / 60, resident_mb()))
    report: Report = {"minutes": minutes, "rounds": len(memory), "files": len(sizes), "bytes": sum(sizes),
                      "failures": failures}
    if len(memory) >= 2 * BLOCKS:
        blocks = np.array_split(memory[int(WARM_UP * len(memory)):], BLOCKS)
        minute, used = np.array([block.mean(0) for block in blocks]).T
        slope, error = np.polyfit(minute, used, 1, cov=True)
        report |= {"memory_mb": used.round(2).tolist(), "memory_slope_mb_a_minute": round(float(slope[0]), 3),
                   "standard_error": round(float(error[0, 0]) ** 0.5, 3)}
    return report
