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
from .network import Decoder, Model
from .segments import decoded
from .texture import plausible

# Section 7: residual steps
PLACES, COLOURS = ((0, 0), (1, 1), (0, 1), (1, 0)), (1, 0, 2)  # (row, column); green, red, blue


def squares(x: np.ndarray) -> np.ndarray:
    """(3, H, W) -> (H/2, W/2, 12), in the order of the steps."""
    return np.stack([x[colour, y::2, z::2] for y, z in PLACES for colour in COLOURS], axis=2)


def exact_levels(model: Model, shown: np.ndarray, payloads: list[bytes], cut: bool, grey: bool) -> np.ndarray:
    """The levels after the residual steps that are stored; cut: the last one only in part."""
    if grey:
        shown = np.stack(3 * [(shown.sum(0) + 1) // 3])
    exact = shown.copy()
    for i, payload in enumerate(payloads):
        (y, x), colour, name = PLACES[i // 3], COLOURS[i % 3], f"residual.{i}"
        if grey and i % 3:
            assert not payload, "a grey picture has no residuals of colour"
            continue
        past = 128 + np.clip(8 * (squares(exact) - squares(shown))[..., :i], -127, 127)
        seen = model.conv(f"{name}.entry", np.concatenate([squares(shown), past], axis=2), 128)
        for j in range(model.config["residual"]["layers"] - 2):
            seen = model.conv(f"{name}.hidden.{j}", seen)
        centre, scale = np.moveaxis(model.conv(f"{name}.exit", seen), 2, 0)
        centre = centre - 128
        level, left = (centre + 2) // 4, (centre + 2) % 4
        rows, table = 64 * left + np.minimum(scale, 63), model.table("residual_frequencies")
        found, there = decoded(table, 256 - np.arange(256), payload, rows.reshape(-1), cut and i == len(payloads) - 1)
        before = exact[colour, y::2, x::2]
        new = (shown[colour, y::2, x::2] + level + found.reshape(rows.shape)) % 256
        exact[slice(None) if grey else colour, y::2, x::2] = np.where(there.reshape(rows.shape), new, before)
    return exact


def sample(model: Model, rows: np.ndarray, seed: int, t: int) -> np.ndarray:
    """Section 8: symbols of step t drawn from the prior."""
    raw = np.random.Philox(key=seed, counter=[0, 0, 0, t]).random_raw(rows.size)
    u = (raw >> np.uint64(40)).astype(np.int64)
    symbols = (model.frequencies[model.pass_of(t)].cumsum(1)[rows.reshape(-1)] > u[:, None]).argmax(1)
    return (symbols - 15).reshape(rows.shape)


def model_steps(decoder: Decoder, file: File, grey: bool, seed: int | None) -> None:
    """Sections 4 and 6: the steps that are stored; and, section 8, if there is a seed, all others."""
    model, late = decoder.model, dict[int, tuple[np.ndarray, np.ndarray]]()
    slopes, stored = model.table("slopes"), min(len(file.payloads), file.total)
    for t in range(stored):
        decoder.expect(t)
        rows, sent, ends = decoder.rows(t), decoder.sent(t, grey), model.ends_pass(t)
        parts = {**late, t: (rows, sent)} if ends else {t: (rows, sent & (slopes[rows] > 256))}
        symbols, known = decoded(model.frequencies[model.pass_of(t)], slopes, file.payloads[t],
                                 np.concatenate([rows[held] for rows, held in parts.values()]), t == file.whole)
        decoder.take(t, np.zeros(rows.shape, np.int64), ~sent)
        late[t] = rows, sent
        for s, (rows, held) in parts.items():
            found, there, count = np.zeros(rows.shape, np.int64), np.zeros(rows.shape, bool), held.sum()
            found[held], there[held] = symbols[:count], known[:count]
            symbols, known = symbols[count:], known[count:]
            decoder.complete(s, found * decoder.signs(s), there)
            late[s] = rows, late[s][1] & ~there
        if ends and t != file.whole:
            late.clear()
    if seed is not None:
        for s, (rows, still) in late.items():
            decoder.complete(s, sample(model, rows, seed, s) * decoder.signs(s), still)
        for t in range(stored, file.total):
            decoder.expect(t)
            symbols = sample(model, decoder.rows(t), seed, t) * decoder.sent(t, grey)
            decoder.take(t, symbols * decoder.signs(t), np.ones(symbols.shape, bool))


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


def decode(model: Model, data: bytes, fill: str = "estimate", seed: int = 0, detail: float = 1) -> Image.Image:
    """The picture in a file. fill: "estimate", "plausible", "prior" or "none"."""
    file = File(data)
    assert file.fingerprint == model.fingerprint(), "another model made it"
    if file.webp is not None:
        return webp_picture(file)
    multiple, grey = model.layers[0]["stride"], file.mode in (1, 3)
    decoder = Decoder(model, -(-file.height // multiple) * multiple, -(-file.width // multiple) * multiple)
    model_steps(decoder, file, grey, seed if fill == "prior" else None)
    residual = file.payloads[file.total:]
    planes = decoder.planes(estimated=fill != "none" or bool(residual))
    if fill == "plausible" and not residual:
        planes = plausible(decoder, planes, seed, detail)
    levels = decoder.levels(planes, file.mean, file.turn)
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
