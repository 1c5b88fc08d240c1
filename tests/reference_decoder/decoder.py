"""A second decoder, in plain numpy and slow, written from docs/format.md alone: it shares no code with the codec.

``python -m tests.reference_decoder.decoder MODEL.safetensors FILE.cdr OUTPUT.png`` decodes a file.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from .container import File
from .network import Decoder, Model, f32, patches, rectify, whole
from .segments import latent_maps, maps_of_a_cut

# Section 6: residual steps
PLACES, COLOURS = ((0, 0), (1, 1), (0, 1), (1, 0)), (1, 0, 2)  # (row, column); green, red, blue


def ordered(x: np.ndarray) -> np.ndarray:
    return patches(x, 2)[[4 * colour + 2 * y + x for y, x in PLACES for colour in COLOURS]]


def exact_levels(model: Model, shown: np.ndarray, payloads: list[bytes], cut: bool, grey: bool) -> np.ndarray:
    """The levels after the residual steps that are stored; cut: the last one only in part."""
    if grey:
        shown = np.stack(3 * [(shown.sum(0) + 1) // 3])
    exact = shown.copy()
    for i, payload in enumerate(payloads):
        (y, x), colour, head = PLACES[i // 3], COLOURS[i % 3], f"residual.steps.{i}"
        if grey and i % 3:
            assert not payload, "a grey picture has no residuals of colour"
            continue
        seen = model.conv(f"{head}.look", ordered(shown - 128))
        if i:
            seen = seen + model.conv(f"{head}.known", np.clip(ordered(exact - shown), -127, 127)[:i])
        seen = rectify(seen)
        for j in range(model.config["residual"]["layers"] - 2):
            seen = rectify(model.conv(f"{head}.hidden.{j}", seen) + seen.astype(f32) / f32(32))
        a, b = model.conv(f"{head}.exit", seen)
        centre, index = whole(f32(4) * a, -512, 508), whole(f32(16) * b, 0, 63)
        level = (centre + 2) // 4
        rows, table = 64 * (centre + 2 - 4 * level) + index, model.tensors["tables.residual"].astype(np.int64)
        bands = [rows[first:first + 16] for first in range(0, len(rows), 16)]
        groups = [np.zeros_like(band) for band in bands]
        found = (maps_of_a_cut if cut and i == len(payloads) - 1 else latent_maps)(table, payload, bands, groups)
        coded = list(found)[1:]
        v = np.concatenate([np.zeros((0, rows.shape[1]), np.int64), *coded])
        predicted = (shown[colour, y::2, x::2] + level)[:len(v)]
        exact[slice(None) if grey else colour, y:2 * len(v):2, x::2] = (predicted + v) % 256
    return exact


def sample(model: Model, rows: np.ndarray, seed: int, t: int) -> np.ndarray:
    """Section 8: latents of step t drawn from the prior."""
    raw = np.random.Philox(key=seed, counter=[0, 0, 0, t]).random_raw(rows.size)
    u = (raw >> np.uint64(40)).astype(np.int64)
    symbols = (model.cumulative[rows.reshape(-1)] > u[:, None]).argmax(1)
    return (symbols - 15).reshape(rows.shape)


def webp_picture(file: File) -> Image.Image:
    """Section 1, WebP: the VP8L stream is made a WebP file again."""
    assert file.webp is not None
    sides = int.from_bytes(file.webp[1:5], "little")
    assert (sides % 2**14 + 1, sides // 2**14 % 2**14 + 1) == (file.width, file.height), "it has another size"
    chunk = b"WEBPVP8L" + len(file.webp).to_bytes(4, "little") + file.webp + bytes(len(file.webp) % 2)
    whole = io.BytesIO(b"RIFF" + len(chunk).to_bytes(4, "little") + chunk)
    red, green, blue, alpha = Image.open(whole, formats=["WEBP"]).convert("RGBA").split()
    bands = ([red, green, blue], [green], [red, green, blue, alpha], [green, alpha])[file.mode]
    return Image.merge(("RGB", "L", "RGBA", "LA")[file.mode], bands)


def decode(model: Model, data: bytes, fill: str = "retouch", seed: int = 0) -> Image.Image:
    """The picture in a file. fill: "retouch", "mean", "sample" or "none"."""
    file = File(data)
    assert file.fingerprint == model.fingerprint(), "another model made it"
    if file.webp is not None:
        return webp_picture(file)
    multiple, grey = model.layers[0]["stride"], file.mode in (1, 3)
    decoder = Decoder(model, -(-file.height // multiple) * multiple, -(-file.width // multiple) * multiple, file.mean,
                      file.turn)
    for t, payload in enumerate(file.payloads[:file.total]):
        step, rows = model.steps[t], decoder.rows(t)
        luma = model.tensors[f"tables.luma.{step['layer']}"][step["first"]:step["last"]] > 0
        coded = np.flatnonzero(luma | (not grey))
        latents, cut = np.zeros_like(rows), t == file.whole
        groups = np.where(rows >= 128, 0, np.where(luma, 1, 2)[:, None, None])
        read = maps_of_a_cut if cut else latent_maps
        found = read(model.frequencies, payload, list(rows[coded]), list(groups[coded]))
        maps = list(found)[1:]
        for i, latent_map in zip(coded, maps, strict=not cut):
            latents[i] = latent_map
        assert np.abs(latents).max() <= 63, "an invalid latent"
        known, share = len(latents), 64
        if len(maps) < len(coded):
            information = model.tensors["tables.information"].astype(np.int64)[rows[coded]].sum((1, 2))
            known, share = coded[len(maps)], 64 * information[:len(maps)].sum() // max(information.sum(), 1)
        decoder.draw(t, latents, known)
        stored = (t, share) if cut else (t + 1, 0)
    if fill in ("mean", "sample"):
        for t in range(len(file.payloads), file.total):
            decoder.draw(t, sample(model, decoder.rows(t), seed, t) if fill == "sample" else None)
    residual = file.payloads[file.total:]
    levels = decoder.levels(stored if fill == "retouch" and stored[0] < file.total else None)
    if residual:
        levels = exact_levels(model, levels, residual, bool(file.cut), grey)
    levels = levels[:, :file.height, :file.width]
    if grey:
        image = Image.fromarray(((levels.sum(0) + 1) // 3).astype(np.uint8))
    else:
        image = Image.fromarray(levels.transpose(1, 2, 0).astype(np.uint8))
    if file.mode in (2, 3):
        image.putalpha(Image.open(io.BytesIO(file.chunks[b"ALPH"])))
    return image


if __name__ == "__main__":
    decode(Model(Path(sys.argv[1])), Path(sys.argv[2]).read_bytes()).save(sys.argv[3])
