"""The promises of the format on a set of pictures: ``python -m bench verify IMAGES...``. Exit code 1 if one fails.

For every picture and step count: the decoded picture equals the encoder's prediction bit for bit; sizes grow with
every step; cutting a file equals compressing with fewer steps (at a few step counts). Over all: mean PSNR grows with
every step, and mean size is within 1 % of the model's own estimate of its rate, overhead aside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image

from convdraw_codec import Codec, truncate
from convdraw_codec.coding import scale_offsets as shifts
from convdraw_codec.coding.rotation_fit import colours_of
from convdraw_codec.format.bitstream import read
from convdraw_codec.format.constants import PRECISION
from convdraw_codec.network.priors import SCALES, bits
from convdraw_codec.pictures.conversion import open_picture, to_planes
from convdraw_codec.pictures.metrics import psnr
from convdraw_codec.training.objective import take_steps

from ..shared.frame import Pictures, Report, prints_report, takes_pictures


def estimate(codec: Codec, image: Image.Image) -> float:
    """Bytes that the rate of training predicts for all steps, with the scales of each group of latents shifted as is
    best for it."""
    model, planes = codec.model, torch.from_numpy(to_planes(image, codec.model.padding))[None].float()
    picture, total = model.to_canvas(planes, [colours_of(np.asarray(image))]), 0.0
    of_shift = PRECISION - np.log2(shifts.shift_frequencies(PRECISION))
    with torch.inference_mode():
        for t, taken in enumerate(take_steps(model, picture, torch.full((1,), codec.total_steps))):
            latents = taken.choice.latents
            refined = torch.zeros_like(latents) if taken.sign is None else taken.sign.abs()
            groups = torch.where(refined > 0, 0, 1 + model.chroma(t)[:, None, None].long())
            costs = torch.stack([bits(latents, (taken.index + shifts.UNIT * k).clamp(0, SCALES - 1), taken.sign)
                                 for k in range(-shifts.LIMIT, shifts.LIMIT + 1)])
            for group in groups.unique():
                total += (costs[:, groups == group].double().sum(1).numpy() + of_shift).min()
    return total / 8


@cache
def codec_from(model: str | None) -> Codec:
    """One instance a process."""
    return Codec(model)


@dataclass(frozen=True)
class Checked:
    """What one picture showed: failed promises; at each step count bytes and PSNR; payload, estimated payload."""

    failures: list[str]
    sizes: list[int]
    quality: list[float]
    payload: int
    estimate: float


def check_image(model: str | None, path: Path) -> Checked:
    """All promises on one picture."""
    codec, image, failures = codec_from(model), open_picture(path).pixels, []
    data = codec.compress(image)
    cuts = [truncate(data, steps + 1) for steps in range(codec.total_steps)]
    pictures = list(codec.progressive(data))
    for steps, (cut, picture, predicted) in enumerate(zip(cuts, pictures, codec.predict(image), strict=True), 1):
        if picture.tobytes() != predicted.tobytes():
            failures.append(f"{path.name}, {steps} steps: the decoded picture differs from the prediction")
        if steps in (1, len(cuts) // 3, 2 * len(cuts) // 3) and cut != codec.compress(image, steps):
            failures.append(f"{path.name}: cut to {steps} steps differs from compressing with {steps}")
    middle = len(cuts) // 2
    if codec.decompress(cuts[middle]).tobytes() != pictures[middle].tobytes():
        failures.append(f"{path.name}: a cut file decodes to another picture than its whole file after as many steps")
    sizes = [len(cut) for cut in cuts]
    if (np.diff(sizes) <= 0).any():
        failures.append(f"{path.name}: sizes do not grow with every step")
    return Checked(failures, sizes, [psnr(image, p) for p in pictures], sum(map(len, read(data).segments)),
                   estimate(codec, image))


@click.command()
@click.option("--model", type=click.Path(exists=True, dir_okay=False))
@prints_report
@takes_pictures
def main(pictures: Pictures, model: str | None) -> Report:
    """Check every promise on IMAGES, files or folders."""
    results = pictures.each(partial(check_image, model), "verifying")
    failures = [failure for result in results for failure in result.failures]
    steps = len(results[0].sizes)
    quality = np.mean([r.quality for r in results], axis=0)
    if (np.diff(quality) <= 0).any():
        failures.append("mean PSNR does not grow with every step")
    ratio = sum(r.payload for r in results) / sum(r.estimate for r in results)
    if not 0.99 <= ratio <= 1.01:
        failures.append(f"payload is {ratio:.4f} of the estimate")
    overhead, allowed = max(r.sizes[-1] - r.payload for r in results), 32 + 6 * steps
    if overhead > allowed:
        failures.append(f"overhead is {overhead} bytes")
    return {"images": len(results), "steps": steps, "payload over estimate": round(ratio, 5),
            "largest overhead in bytes": overhead, "allowed overhead": allowed,
            "mean psnr": quality.round(3).tolist(),
            "mean bytes": np.mean([r.sizes for r in results], axis=0).round(1).tolist(), "failures": failures}
