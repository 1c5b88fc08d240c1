"""The promises of the format on a set of pictures: ``python -m bench.verify IMAGES...``. Exit code 1 if one fails.

For every picture and step count: the decoded picture equals the encoder's prediction bit for bit; cutting a file
equals compressing with fewer steps; sizes grow with every step. Over all: mean PSNR grows with every step, and
mean size is within 1 % of the model's own estimate of its rate, overhead aside.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image

from convdraw_codec import Codec, truncate
from convdraw_codec.bitstream import read
from convdraw_codec.images import open_image, to_planes
from convdraw_codec.training.objective import rollout

from .metrics import psnr
from .rate_distortion import find_images


def estimate(codec: Codec, image: Image.Image) -> float:
    """Bytes that the differentiable rate of training predicts for all steps."""
    model = codec._model
    planes = torch.from_numpy(to_planes(image, model.padding))[None]
    with torch.inference_mode():
        result = rollout(model, planes, torch.full((1,), codec.total_steps), noisy=False)
    return result.rate.sum().item() * planes.shape[2] * planes.shape[3] / 8


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--model", type=click.Path(exists=True, dir_okay=False))
def main(images: tuple[Path, ...], model: str | None) -> None:
    """Check every promise on IMAGES, files or folders."""
    codec = Codec(model)
    failures, sizes, payloads, estimates, qualities = [], [], [], [], []
    with click.progressbar(find_images(images), file=sys.stderr) as bar:
        for path in bar:
            image = open_image(path)
            data = codec.compress(image)
            pictures = list(codec.progressive(data))
            cuts = [truncate(data, steps + 1) for steps in range(codec.total_steps)]
            predicted = [p.tobytes() for p in codec.predict(image)]
            if predicted != [p.tobytes() for p in pictures]:
                failures.append(f"{path.name}: decoded pictures differ from the encoder's prediction")
            for steps, cut in enumerate(cuts, 1):
                if cut != codec.compress(image, steps):
                    failures.append(f"{path.name}: cut to {steps} steps differs from compressing with {steps}")
            sizes.append([len(cut) for cut in cuts])
            if (np.diff(sizes[-1]) <= 0).any():
                failures.append(f"{path.name}: sizes do not grow with every step")
            qualities.append([psnr(image, p) for p in pictures])
            payloads.append(sum(map(len, read(data)[1])))
            estimates.append(estimate(codec, image))
    mean_quality = np.mean(qualities, axis=0)
    if (np.diff(mean_quality) <= 0).any():
        failures.append("mean PSNR does not grow with every step")
    ratio, overhead = sum(payloads) / sum(estimates), np.max(np.array(sizes)[:, -1] - payloads)
    if not 0.99 <= ratio <= 1.01:
        failures.append(f"payload is {ratio:.4f} of the estimate")
    if overhead > 32 + 6 * codec.total_steps:
        failures.append(f"overhead is {overhead} bytes")
    print(json.dumps({"images": len(sizes), "steps": codec.total_steps, "payload over estimate": round(ratio, 5),
                      "largest overhead in bytes": int(overhead), "allowed": 32 + 6 * codec.total_steps,
                      "mean psnr": mean_quality.round(3).tolist(),
                      "mean bytes": np.mean(sizes, axis=0).round(1).tolist(), "failures": failures}, indent=1))
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
