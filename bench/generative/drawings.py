"""Pictures of pictures: sheets, and how DRAW draws."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from convdraw_codec.generative.base import draw_from, mean_of
from convdraw_codec.generative.draw import DRAW, Window

DRAWINGS, FRAMES, ZOOM = 4, 8, 4  # sequences of DRAW, pictures of each, and how much larger


def to_image(rows: list[list[Tensor]]) -> Image.Image:
    """Pictures (channels, H, W), 0..1, side by side in rows, with a gap."""
    padded = [[np.pad(one.permute(1, 2, 0).numpy(), ((0, 1), (0, 1), (0, 0)), constant_values=1) for one in row]
              for row in rows]
    sheet = (np.concatenate([np.concatenate(row, axis=1) for row in padded]) * 255).round().astype(np.uint8)
    return Image.fromarray(sheet[..., 0] if sheet.shape[2] == 1 else sheet)


def sequence(model: DRAW, generator: torch.Generator) -> list[Image.Image]:
    """One sample after each step, enlarged, with the window that was just written through as a rectangle."""
    frames = []
    for decoder in model.generate(1, lambda p: draw_from(p, generator)):
        picture = to_image([[mean_of(model, decoder.canvas)[0]]]).convert("RGB")
        picture = picture.resize((ZOOM * picture.width, ZOOM * picture.height), Image.Resampling.NEAREST)
        if decoder.window:
            outline(picture, decoder.window, model.config.write)
        frames.append(picture)
    return frames


def drawing(model: DRAW, generator: torch.Generator) -> Image.Image:
    """Some samples as they are drawn, each in a row."""
    chosen = np.linspace(0, model.steps - 1, min(FRAMES, model.steps)).round().astype(int)
    frames = [[shown[t] for t in chosen] for shown in (sequence(model, generator) for _ in range(DRAWINGS))]
    width, height = frames[0][0].size
    sheet = Image.new("RGB", (width * len(frames[0]), height * len(frames)), "white")
    for i, row in enumerate(frames):
        for j, frame in enumerate(row):
            sheet.paste(frame, (j * width, i * height))
    return sheet


def outline(picture: Image.Image, window: Window, filters: int) -> None:
    """The rectangle that the grid of filters covers; its line is as wide as their deviation."""
    reach = window.spacing.item() * (filters - 1) / 2
    corners = [(centre - 0.5 + side * reach) * ZOOM for side in (-1, 1) for centre in window.centre[0].tolist()]
    ImageDraw.Draw(picture).rectangle(corners, outline=(209, 73, 91), width=max(1, round(window.deviation.item())))
