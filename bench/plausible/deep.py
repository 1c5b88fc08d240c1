"""Distances of deep features, which see texture: of one picture from another, and of many from many.

The features are those of EfficientNet-Lite0, which the texture network was trained with, and of EfficientNet-Lite2,
which it was not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from PIL import Image

from convdraw_codec.training.plausible.backbone import Backbone
from convdraw_codec.training.plausible.distances import distances

BACKBONES = {"lite0": (0, (2, 4, 10, 15)), "lite2": (2, (3, 6, 14, 20))}  # size, and blocks: strides 4, 8, 16, 32
PATCHES = 1  # number of the stage whose features stand for patches: stride 8
STRIDE = 32


@cache
def backbone(name: str) -> Backbone:
    """One of ``BACKBONES``, once a process."""
    size, stages = BACKBONES[name]
    return Backbone(size, stages)


@torch.no_grad()
def features(name: str, image: Image.Image) -> list[torch.Tensor]:
    """Of a picture, whose sides are cut off to multiples of 32 pixels; after each stage, (1, channels, h, w)."""
    width, height = (side // STRIDE * STRIDE for side in image.size)
    pixels = np.asarray(image.convert("RGB").crop((0, 0, width, height)))
    return backbone(name)(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float())


def distance(found: list[torch.Tensor], true: list[torch.Tensor]) -> float:
    """Of features: the mean over stages and positions of the squared distance of unit vectors, 0 to 4."""
    return distances(found, true).mean().item()


@dataclass(frozen=True)
class Moments:
    """Of the features of patches: how many, their sum (C,), and the sum of their products (C, C)."""

    count: int
    total: np.ndarray
    products: np.ndarray

    @classmethod
    def of(cls, found: list[torch.Tensor]) -> Moments:
        """Of a picture."""
        rows = found[PATCHES][0].flatten(1).T.double().numpy()
        return cls(len(rows), rows.sum(0), rows.T @ rows)

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.total + other.total, self.products + other.products)

    @property
    def gaussian(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance."""
        mean = self.total / self.count
        return mean, self.products / self.count - np.outer(mean, mean)


def frechet(a: Moments, b: Moments) -> float:
    """The Frechet distance of the Gaussians with those moments (Heusel et al., 2017, with patches for pictures)."""
    (mean_a, covariance_a), (mean_b, covariance_b) = a.gaussian, b.gaussian
    values, vectors = np.linalg.eigh(covariance_a)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(root @ covariance_b @ root).clip(0)).sum()
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(covariance_a) + np.trace(covariance_b) - 2 * shared)
