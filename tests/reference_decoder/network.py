"""Sections 2 to 5 of docs/format.md: the model, and how it draws."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

DTYPES = {"I8": np.int8, "U8": np.uint8, "I16": np.int16, "I32": np.int32, "F16": np.float16, "F32": np.float32}
f32 = np.float32


class Model:
    """The configuration and the tensors of a model file."""

    def __init__(self, path: Path) -> None:
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

    def __init__(self, model: Model, height: int, width: int, mean: np.ndarray, turn: list[int]) -> None:
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
