"""The promises of the format on a set of pictures: ``python -m bench verify IMAGES...``. Exit code 1 if one fails.

For every picture and step count: the decoded picture equals the encoder's prediction bit for bit; sizes grow with
every step; cutting a file equals compressing with fewer steps (at a few step counts). Over all: mean PSNR grows with
every step, and mean size is within 2 % of the model's own estimate of its rate, overhead aside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image

import convdraw_codec
from convdraw_codec import Codec, truncate
from convdraw_codec.format.bitstream import read
from convdraw_codec.pictures.conversion import open_picture, to_planes
from convdraw_codec.pictures.metrics import psnr
from convdraw_codec.training.export import restore
from convdraw_codec.training.objectives import CodecNetworks, prior_rates, turned

from ..shared.frame import Pictures, Report, prints_report, takes_pictures

BUNDLED = Path(convdraw_codec.__file__).parent / "models" / "photo.safetensors"


def estimate(codec: Codec, model: str | None, image: Image.Image) -> float:
    """Bytes that the rate of training predicts for all steps: what it minimises is what a file takes."""
    networks = CodecNetworks(codec.model.config)
    restore(model or BUNDLED, networks)
    planes = torch.from_numpy(to_planes(image, codec.model.padding))[None].float()
    with torch.inference_mode():
        latents = networks.prior.latents(turned(planes)[0])
        return float(prior_rates(networks, latents).sum()) * planes[0, 0].numel() / 8


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
                   estimate(codec, model, image))


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
    if not 0.98 <= ratio <= 1.02:
        failures.append(f"payload is {ratio:.4f} of the estimate")
    overhead, allowed = max(r.sizes[-1] - r.payload for r in results), 32 + 6 * steps
    if overhead > allowed:
        failures.append(f"overhead is {overhead} bytes")
    return {"images": len(results), "steps": steps, "payload over estimate": round(ratio, 5),
            "largest overhead in bytes": overhead, "allowed overhead": allowed,
            "mean psnr": quality.round(3).tolist(),
            "mean bytes": np.mean([r.sizes for r in results], axis=0).round(1).tolist(), "failures": failures}
