"""What decompressing offers a choice of. Needs no model."""

from typing import Literal, TypeAlias, get_args

Fill: TypeAlias = Literal["estimate", "plausible", "prior", "none"]
FILLS: tuple[Fill, ...] = get_args(Fill)  # what stands in for steps that are not stored
REDUCTIONS = (1, 2, 4, 8)  # of width and height
LOSSY = {"JPEG", "MPO", "WEBP", "AVIF", "PDF"}  # formats of Pillow that have a quality
