"""Time and memory: ``python -m bench speed [PICTURE] [--sizes 256x256,768x512] [--codecs cdraw]``. Prints JSON.

Encoding and decoding of PICTURE, mirrored from tile to tile until it fills each size, by every codec, each with one
core and with two, in a process of its own with the model loaded. The best of a few runs; progress goes to standard
error. Peers are at the middle of their ladder of settings, cdraw has all its steps, so their bits per pixel differ;
CompressAI's models have random weights, which does not change the arithmetic, but the bytes.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import onnxruntime
import torch
from PIL import Image

from convdraw_codec.cli.process import cores
from convdraw_codec.network.model import Model

from ..shared import parallel
from ..shared.codecs import CODECS, PEERS, missing, the_codec
from ..shared.frame import Report, prints_report
from ..shared.memory import peak_mb
from ..shared.pictures import EXAMPLE, mirrored, opened
from . import compressai_models

SIZES = "256x256,512x512,768x512,1024x1024,2048x2048,4096x4096"
RUNS, ENOUGH = 3, 20.0  # runs, unless these seconds are over
PATIENCE = 30.0  # seconds: a codec that takes longer is not tried on larger pictures
ENTRIES = (*CODECS, *compressai_models.NAMES)


@dataclass(frozen=True)
class Task:
    """One row of the result; threads: cores that the process may use."""

    codec: str
    picture: Path
    width: int
    height: int
    threads: int

    def named(self) -> dict[str, Any]:
        """As a row says it."""
        return {"codec": self.codec, "size": [self.width, self.height], "threads": self.threads}


def best(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the fastest run, and what it returned."""
    seconds: list[float] = []
    while len(seconds) < RUNS and sum(seconds) < ENOUGH:
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return round(min(seconds), 4), result


def coder(name: str) -> tuple[Callable[[Image.Image], Any], Callable[[Any], Any]]:
    """Encoder and decoder of a codec."""
    if name == "cdraw":
        return the_codec().compress, the_codec().decompress
    if name in compressai_models.NAMES:
        return compressai_models.coder(name)
    peer = next(peer for peer in PEERS if peer.name == name)
    return partial(peer.encode, setting=peer.settings[len(peer.settings) // 2]), peer.decode


def measure(task: Task) -> dict[str, Any]:
    """What one codec takes for one size."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:task.threads])
    torch.set_num_threads(task.threads)
    encode, decode = coder(task.codec)
    decode(encode(opened(task.picture).crop((0, 0, 64, 64))))  # warm
    image, before = mirrored(task.picture, task.width, task.height), peak_mb()
    encoding, data = best(lambda: encode(image))
    decoding, _ = best(lambda: decode(data))
    size = sum(map(len, data[0])) if isinstance(data, tuple) else len(data)
    row = task.named() | {"bytes": size, "bpp": round(8 * size / (task.width * task.height), 4),
                          "encode_s": encoding, "decode_s": decoding,
                          "memory_before_mb": round(before), "peak_memory_mb": round(peak_mb())}
    if task.codec in compressai_models.NAMES:
        row["kmac_per_pixel"] = compressai_models.multiply_adds(encode, decode)
    if task.codec == "cdraw":
        row["kmac_per_pixel"] = multiply_adds(the_codec().model)
    if task.codec == "cdraw" and decoding < ENOUGH:
        total = the_codec().total_steps
        row["decode_steps_s"] = {str(steps): best(partial(the_codec().decompress, data, steps))[0]
                                 for steps in (total // 4, total // 2, 3 * total // 4)}
        row["progressive_s"] = best(lambda: sum(1 for _ in the_codec().progressive(data)))[0]
    return row


def multiply_adds(model: Model) -> dict[str, float]:
    """Thousands of multiply-adds per pixel of convolutions: of all steps and forecasts, which encoder and decoder
    both take; and to decode, for the picture that is shown, too."""
    prior = 0.0
    for step, own in zip(model.config.steps, model.prior.steps, strict=True):
        shared = model.prior.layers[step.layer]
        weights = sum(conv.weight.size for conv in (shared.embedding, shared.recurrence, shared.context, own.rows))
        prior += weights / model.config.layers[step.layer].stride**2 / 1000
    forecast, estimator = model.forecast, model.estimator
    weights = sum(conv.weight.size for conv in (forecast.entry, forecast.exit))
    weights += 4 * sum(conv.weight.size for conv in (forecast.mix, *forecast.hidden))  # at half the stride
    prior += sum(step.forecast for step in model.config.steps) * weights / model.config.strides[-1]**2 / 1000
    weights = sum(conv.weight.size for conv in (estimator.entry, *estimator.hidden, estimator.exit))
    shown = weights / model.config.estimator.stride**2 / 1000
    return {"encode": round(prior, 1), "decode": round(prior + shown, 1)}


def startup() -> dict[str, float]:
    """Seconds to import the package, and then to load the model, in a process of its own."""
    program = """import time
start = time.perf_counter(); import convdraw_codec; imported = time.perf_counter(); convdraw_codec.Codec()
print(imported - start, time.perf_counter() - imported)"""
    runs = [subprocess.check_output([sys.executable, "-c", program]).split() for _ in range(RUNS)]
    imports, loads = zip(*runs, strict=True)
    return {"import_s": round(min(map(float, imports)), 3), "load_model_s": round(min(map(float, loads)), 3)}


def machine() -> str:
    """The processor's name, where the system tells it."""
    if (told := Path("/proc/cpuinfo")).exists():
        for line in told.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def measured(tasks: list[Task]) -> Iterator[dict[str, Any]]:
    """A row each, one after the other, each in a process of its own."""
    slow: dict[tuple[str, int], int] = {}
    with click.progressbar(tasks, file=sys.stderr, label="speed") as bar:
        for task in bar:
            pixels, who = task.width * task.height, (task.codec, task.threads)
            if pixels > slow.get(who, pixels):
                yield task.named() | {"left_out": f"failed, or took more than {PATIENCE:.0f} s, before"}
                continue
            try:
                row = parallel.in_own_process(measure, task)
            except (BrokenProcessPool, MemoryError, RuntimeError):  # killed, or torch finds no memory
                row = task.named() | {"left_out": "failed, as for want of memory"}
                slow[who] = min(pixels, slow.get(who, pixels))
            if max(row.get("encode_s", 0), row.get("decode_s", 0)) > PATIENCE:
                slow[who] = min(pixels, slow.get(who, pixels))
            yield row


@click.command()
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=EXAMPLE)
@click.option("--sizes", default=SIZES, show_default=True, help="WIDTHxHEIGHT, with commas between.")
@click.option("--threads", default="1,2", show_default=True, help="Numbers of cores, with commas between.")
@click.option("--codecs", multiple=True, type=click.Choice(ENTRIES), default=ENTRIES,
              help="Repeat to choose several. Default: all.")
@prints_report
def main(picture: Path, sizes: str, threads: str, codecs: tuple[str, ...]) -> Report:
    """Measure codecs on PICTURE at several sizes."""
    try:
        shapes = [tuple(int(n) for n in size.split("x", 1)) for size in sizes.split(",")]
        counts = [int(count) for count in threads.split(",")]
        if min(*map(min, shapes), *counts) < 1:
            raise ValueError
        tasks = [Task(codec, picture, width, height, count)
                 for codec in codecs for width, height in shapes for count in counts]
    except ValueError as error:
        raise click.UsageError(f"sizes look like {SIZES}, threads like 1,2") from error
    if max(counts) > cores():
        raise click.UsageError(f"this process may use {cores()} cores")
    lacking = {name: reason for name in codecs if (reason := missing(name) or compressai_models.missing(name))}
    for name, reason in lacking.items():
        click.echo(f"{name} is left out: {reason}", err=True)
    rows = list(measured([task for task in tasks if task.codec not in lacking]))
    return {"machine": machine(), "onnxruntime": onnxruntime.__version__, "picture": picture.name, **startup(),
            "rows": rows}
