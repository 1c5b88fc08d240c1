"""A second decoder, in plain numpy and slow, written from docs/format.md alone: it shares no code with the codec.

``python -m tests.reference_decoder.decoder MODEL.safetensors FILE.cdr OUTPUT.png`` decodes a file.
"""

from __future__ import annotations

import io
import itertools
import json
import math
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

DTYPES = {"I8": np.int8, "U8": np.uint8, "I16": np.int16, "I32": np.int32, "F16": np.float16, "F32": np.float32}
f32 = np.float32


# -- 1. Container -------------------------------------------------------------------------------------------

class File:
    """Header, chunks and payloads, every checksum verified."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 32
        header = data[:28]
        assert header[:5] == b"\xcdCDR\x05", "not a .cdr file of version 5"
        assert zlib.crc32(header) == int.from_bytes(data[28:32], "little"), "the header is damaged"
        self.fingerprint, self.mode = header[5:13].hex(), header[13]
        self.width, self.height = (int.from_bytes(header[i:i + 2], "little") for i in (14, 16))
        self.total, chunks = header[18:20]
        self.mean = np.frombuffer(header, np.uint8, 3, 20).astype(np.int64)
        self.turn = np.frombuffer(header, np.int8, 3, 23).tolist()
        self.whole, self.cut = header[26:28]
        self._chain = zlib.crc32(header[:26])
        self.chunks = dict(self._part(4) for _ in range(chunks))
        self.payloads = [self._part(0)[1] for _ in range(self.whole + self.cut)]
        assert self._at == len(data), "bytes follow the last segment"

    def _part(self, name_bytes: int) -> tuple[bytes, bytes]:
        first = self._at
        name, length, shift = self._take(name_bytes), 0, 0
        while True:
            byte = self._take(1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        payload = self._take(length)
        self._chain = zlib.crc32(self._data[first:self._at], self._chain)
        assert self._chain % 2**24 == int.from_bytes(self._take(3), "little"), "a part is damaged"
        return name, payload

    def _take(self, count: int) -> bytes:
        self._at += count
        assert self._at <= len(self._data), "the file ends early"
        return self._data[self._at - count:self._at]


# -- 2. Model -----------------------------------------------------------------------------------------------

class Model:
    """The configuration and the tensors of a model file."""

    def __init__(self, path: Path):
        data = path.read_bytes()
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8:8 + size])
        self.config = json.loads(header.pop("__metadata__")["config"])
        self.tensors: dict[str, np.ndarray] = {}
        for name, entry in header.items():
            first, last = entry["data_offsets"]
            self.tensors[name] = np.frombuffer(data[8 + size + first:8 + size + last],
                                               DTYPES[entry["dtype"]]).reshape(entry["shape"])
        self.layers, self.steps = self.config["layers"], self.config["steps"]
        self.frequencies = self.tensors["tables.frequencies"].astype(np.int64)
        self.cumulative = self.frequencies.cumsum(1)

    def conv(self, name: str, x: np.ndarray) -> np.ndarray:
        """Whole numbers (C, H, W) -> float32 (outputs, H, W)."""
        weight = self.tensors[f"decoder.{name}.weight"].astype(np.int64)
        size = weight.shape[2]
        height, width = x.shape[1:]
        padded = np.pad(x.astype(np.int64), ((0, 0), (size // 2, size // 2), (size // 2, size // 2)))
        total = np.zeros((len(weight), height * width), np.int64)
        for dy, dx in np.ndindex(size, size):
            total += weight[:, :, dy, dx] @ padded[:, dy:dy + height, dx:dx + width].reshape(len(x), -1)
        if f"decoder.{name}.bias" in self.tensors:
            total += self.tensors[f"decoder.{name}.bias"].astype(np.int64)[:, None]
        assert np.abs(total).max() < 2**24
        return (self.tensors[f"decoder.{name}.multiplier"][:, None] * total.astype(f32)).reshape(-1, height, width)

    def fingerprint(self) -> str:
        """Section 9."""
        import hashlib

        digest = hashlib.sha256(json.dumps(self.config | {"name": ""}, sort_keys=True).encode())
        for name in sorted(self.tensors):
            if not name.startswith("encoder."):
                array = self.tensors[name]
                digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
        return digest.hexdigest()[:16]


def whole(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Clamped, then rounded, halves to even; int64."""
    return np.rint(np.clip(x, f32(low), f32(high))).astype(np.int64)


def rectify(x: np.ndarray) -> np.ndarray:
    return whole(f32(32) * x, 0, 127)


def patches(x: np.ndarray, s: int) -> np.ndarray:
    channels, height, width = x.shape
    cut = x.reshape(channels, height // s, s, width // s, s)
    return cut.transpose(0, 2, 4, 1, 3).reshape(channels * s * s, height // s, width // s)


def unpatch(x: np.ndarray, s: int) -> np.ndarray:
    channels, height, width = x.shape
    cut = x.reshape(channels // (s * s), s, s, height, width)
    return cut.transpose(0, 3, 1, 4, 2).reshape(channels // (s * s), height * s, width * s)


# -- 3-5. Decoding --------------------------------------------------------------------------------------------

def both(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    for _ in range(2):
        runs = x.swapaxes(1, 2).reshape(len(x), x.shape[2], -1, matrix.shape[1])
        x = (runs @ matrix.T).reshape(len(x), x.shape[2], -1)
    return x


def cross(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    b = len(matrix)
    for _ in range(2):
        result = x << 14
        if b > 1 and x.shape[2] > b:
            for border in range(b, x.shape[2], b):
                v = x[:, :, border - b // 2:border + b // 2]
                result[:, :, border - b // 2:border + b // 2] = v @ matrix
        x = result.swapaxes(1, 2)
    return x


def halves_to_even(x: np.ndarray) -> np.ndarray:
    """x / 2^28, exactly."""
    low, rest = x >> 28, x & (2**28 - 1)
    return low + ((rest > 2**27) | ((rest == 2**27) & (low % 2 == 1)))


class Decoder:
    """Canvas and memories of one picture."""

    def __init__(self, model: Model, height: int, width: int, mean: np.ndarray, turn: list[int]):
        self.model, tensors, self.mean, (b, c, d) = model, model.tensors, mean, turn
        a, n = 127, 127 * 127 + b * b + c * c + d * d
        products = np.array([[a * a + b * b - c * c - d * d, 2 * b * c - 2 * a * d, 2 * b * d + 2 * a * c],
                             [2 * b * c + 2 * a * d, a * a - b * b + c * c - d * d, 2 * c * d - 2 * a * b],
                             [2 * b * d - 2 * a * c, 2 * c * d + 2 * a * b, a * a - b * b - c * c + d * d]])
        self.turn = (2**15 * products + n) // (2 * n)
        self.canvas = np.ones((3, height, width), np.int64) * tensors["decoder.initial_canvas"][:, None, None]
        self.h, self.c, self.history = [], [], []
        for i, layer in enumerate(model.layers):
            size = height // layer["stride"], width // layer["stride"]
            first = next(t for t, step in enumerate(model.steps) if step["layer"] == i)
            coefficients = tensors[f"decoder.steps.{first}.history_embedding.weight"].shape[1]
            self.h.append(np.zeros((layer["state"], *size), np.int64))
            self.c.append(np.zeros((layer["state"], *size), np.int64))
            self.history.append(np.zeros((coefficients, *size), np.int64))

    def refines(self, t: int) -> bool:
        """Whether step t is a refinement."""
        steps, step = self.model.steps, self.model.steps[t]
        return any(other["layer"] == step["layer"] and other["first"] < step["last"] and step["first"] < other["last"]
                   for other in steps[:t])

    def look(self, t: int) -> np.ndarray:
        layer = self.model.steps[t]["layer"]
        levels = whole(self.canvas.astype(f32) / f32(16) - f32(128), -127, 127)
        return rectify(self.model.conv(f"cores.{layer}.canvas_embedding",
                                       patches(levels, self.model.layers[layer]["stride"])))

    def rows(self, t: int) -> np.ndarray:
        """The row of each latent of step t."""
        step, conv, head = self.model.steps[t], self.model.conv, f"steps.{t}"
        layer, past = step["layer"], self.history[step["layer"]]
        known = rectify(conv(f"{head}.history_embedding", np.minimum(np.abs(past), 31)))
        memory = self.h[layer]
        if layer > 0:
            ratio = self.model.layers[layer - 1]["stride"] // self.model.layers[layer]["stride"]
            memory = np.concatenate([memory, self.h[layer - 1].repeat(ratio, 1).repeat(ratio, 2)])
        hidden = rectify(conv(f"{head}.prior_state", memory)
                         + conv(f"{head}.prior_context", np.concatenate([self.look(t), known])))
        index = conv(f"{head}.prior_index", hidden)
        if not self.refines(t):
            return whole(f32(16) * index, 0, 63)
        zero = past[step["first"]:step["last"]] == 0
        half = len(index) // 2
        return whole(f32(16) * np.where(zero, index[:half], index[half:]), 0, 63) + np.where(zero, 64, 128)

    def draw(self, t: int, latents: np.ndarray | None, known: int | None = None) -> None:
        """Step t. latents: None if there are none; known: of how many maps, if not of all."""
        step, conv = self.model.steps[t], self.model.conv
        layer, first, last = step["layer"], step["first"], step["last"]
        core, stride, past = f"cores.{layer}", self.model.layers[layer]["stride"], self.history[layer]
        mine = past[first:last]
        added = np.zeros_like(mine)
        if latents is not None:
            sign = np.sign(mine) if self.refines(t) else np.zeros_like(mine)
            added = np.where(sign == 0, 2 * latents + np.sign(latents), (2 * latents + 1) * sign)
            if known is not None:
                added[known:] = 0
        x = np.concatenate([rectify(conv(f"steps.{t}.latent_embedding", added)), self.look(t)])
        gates = (conv(f"{core}.decoder.gates_from_input", x) + conv(f"{core}.decoder.gates_from_state", self.h[layer]))
        admit, keep, emit, candidate = np.split(whole(f32(128) * gates, -1023, 1023) + 1023, 4)
        logistic, tanh = (self.model.tensors[f"tables.{name}"].astype(np.int64) for name in ("logistic", "tanh"))
        c = logistic[keep] * self.c[layer] + logistic[admit] * tanh[candidate]
        self.c[layer] = whole(c.astype(f32) / f32(128), -1023, 1023)
        h = np.rint((logistic[emit] * tanh[self.c[layer] + 1023]).astype(f32) / f32(128))
        self.h[layer] = np.clip(h, -127, 127).astype(np.int64)
        every = np.zeros_like(past)
        every[first:last] = added
        unit = f32(16 * (step["quantiser"] / math.sqrt(3 * stride**2)))
        cells = conv(f"{core}.write", self.h[layer]) + conv(f"{core}.synthesis", every)
        written = unpatch(whole(cells * unit, -16384, 16384), stride)
        self.canvas = np.clip(self.canvas + self.spread(written, layer), -4096, 8176)
        past[first:last] = np.clip(2 * mine + added, -16383, 16383)

    def spread(self, x: np.ndarray, layer: int, k: int = 0) -> np.ndarray:
        if layer + k == len(self.model.layers) - 1:
            return x
        shrink, filter_ = (self.model.tensors[f"tables.{name}.{k}"].astype(np.int64) for name in ("shrink", "overlap"))
        small = halves_to_even(both(x, shrink))
        new = halves_to_even(cross(self.spread(small, layer, k + 1), filter_))
        return x + halves_to_even(both(new - small, shrink.T))

    def levels(self, stored: tuple[int, int] | None) -> np.ndarray:
        """The picture, (3, H, W); retouched if only so much is ``stored``: steps, and 1/64 of the next one."""
        tensors = self.model.tensors
        turned = np.tensordot(self.turn, self.canvas - tensors["decoder.initial_canvas"][:, None, None], 1)
        colours = (turned + 2**18 * self.mean[:, None, None] + 2**9) // 2**10
        sums = cross(colours, tensors["tables.lapping"].astype(np.int64))
        levels = np.clip((sums + 2**35) // 2**36, 0, 255)
        if stored is None:
            return levels
        conv, size, steps = self.model.conv, self.model.config["retouch"], self.model.steps
        m, j = stored
        where = np.zeros((len(steps) + 1, 1, 1), np.int64)
        where[m], where[m + 1] = 64 - j, j
        x = rectify(conv("retouch.entry", patches(levels - 128, size["stride"])) + conv("retouch.stored", where))
        for i in range(size["layers"] - 2):
            x = rectify(conv(f"retouch.hidden.{i}", x) + x.astype(f32) / f32(32))
        q, p = (f32(steps[max(i, 0)]["quantiser"]) for i in (m - 1, m))
        unit = (f32(64 - j) * q + f32(j) * p) / f32(64)
        added = unpatch(np.rint(conv("retouch.exit", x) * unit).astype(np.int64), size["stride"])
        return np.clip((sums + 2**32 * added + 2**35) // 2**36, 0, 255)


# -- 6. Residual steps -------------------------------------------------------------------------------------

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


# -- 7. Payloads ---------------------------------------------------------------------------------------------

class Invalid(Exception):
    """The data is no output of the range coder."""


class RangeDecoder:
    def __init__(self, data: bytes, behind: int):
        padded = data + bytes(-len(data) % 4) if not behind else data + b"\xff" * (-len(data) % 4)
        words = (int.from_bytes(padded[i:i + 4], "big") for i in range(0, len(padded), 4))
        self._words: Iterator[int] = itertools.chain(words, itertools.repeat(behind * 0x01010101))
        self._point = next(self._words) << 32 | next(self._words)
        self._lower, self._range = 0, 2**64 - 1

    def symbol(self, frequencies: list[int]) -> int:
        scale = self._range >> 24
        q = ((self._point - self._lower) % 2**64) // scale
        if q >= 2**24:
            raise Invalid
        before = symbol = 0
        while q >= before + frequencies[symbol]:
            before += frequencies[symbol]
            symbol += 1
        self._lower = (self._lower + scale * before) % 2**64
        self._range = scale * frequencies[symbol]
        if self._range < 2**32:
            self._lower, self._range = self._lower << 32 & 2**64 - 1, self._range << 32
            self._point = (self._point << 32 | next(self._words)) & 2**64 - 1
        return symbol


SHIFTS = [2 ** (22 - abs(k)) for k in range(-7, 8)]  # frequencies
SHIFTS[7] = 2**24 - sum(SHIFTS[:7] + SHIFTS[8:])


def latent_maps(table: np.ndarray, payload: bytes, rows: Sequence[np.ndarray], groups: Sequence[np.ndarray],
                behind: int = 0) -> Iterator[np.ndarray]:
    """The shifts, then the maps of a payload followed by bytes ``behind``; raises Invalid where it is."""
    decoder, frequencies = RangeDecoder(payload, behind), table.tolist()
    shifts = np.zeros(3, np.int64)
    for group in range(3):
        if any((group == of_map).any() for of_map in groups):
            shifts[group] = decoder.symbol(SHIFTS) - 7
    yield shifts
    for row_map, group_map in zip(rows, groups, strict=True):
        latents = np.zeros(row_map.size, np.int64)
        flat = (row_map // 64 * 64 + np.clip(row_map % 64 + 2 * shifts[group_map], 0, 63)).reshape(-1)
        for position in np.argsort(flat, kind="stable"):
            latents[position] = decoder.symbol(frequencies[flat[position]]) - 15
        for position in np.flatnonzero(latents == 16):
            latents[position] = decoder.symbol([2**16] * 256) - 128
        yield latents.reshape(row_map.shape)


def maps_of_a_cut(table: np.ndarray, payload: bytes, rows: Sequence[np.ndarray], groups: Sequence[np.ndarray]
                  ) -> Iterator[np.ndarray]:
    """Those of ``latent_maps`` that are the same however the payload goes on."""
    both_ways = [latent_maps(table, payload, rows, groups, behind) for behind in (0, 255)]
    for _ in range(1 + len(rows)):
        try:
            first, second = (next(maps) for maps in both_ways)
        except Invalid:
            return
        if not np.array_equal(first, second):
            return
        yield first


# -- 8. Sampled fill ----------------------------------------------------------------------------------------

def sample(model: Model, rows: np.ndarray, seed: int, t: int) -> np.ndarray:
    """Latents of step t drawn from the prior."""
    raw = np.random.Philox(key=seed, counter=[0, 0, 0, t]).random_raw(rows.size)
    u = (raw >> np.uint64(40)).astype(np.int64)
    symbols = (model.cumulative[rows.reshape(-1)] > u[:, None]).argmax(1)
    return (symbols - 15).reshape(rows.shape)


# -- All of it ----------------------------------------------------------------------------------------------

def decode(model: Model, data: bytes, fill: str = "retouch", seed: int = 0) -> Image.Image:
    """The picture in a file. fill: "retouch", "mean", "sample" or "none"."""
    file = File(data)
    assert file.fingerprint == model.fingerprint(), "another model made it"
    multiple, grey = model.layers[0]["stride"], file.mode in (1, 3)
    decoder = Decoder(model, -(-file.height // multiple) * multiple, -(-file.width // multiple) * multiple, file.mean,
                      file.turn)
    for t, payload in enumerate(file.payloads[:file.total]):
        step, rows = model.steps[t], decoder.rows(t)
        luma = model.tensors[f"tables.luma.{step['layer']}"][step["first"]:step["last"]] > 0
        coded = np.flatnonzero(luma | (not grey))
        latents, cut = np.zeros_like(rows), t == file.whole
        groups = np.where(rows >= 128, 0, np.where(luma, 1, 2)[:, None, None])
        found = (maps_of_a_cut if cut else latent_maps)(model.frequencies, payload, rows[coded], groups[coded])
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
