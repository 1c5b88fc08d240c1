"""Sections 2 to 5 of docs/format.md: convolutions, the transform, the prior, the estimator. Whole numbers as int64."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open


class Model:
    """A model file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with safe_open(path, "np") as file:
            self.config: dict[str, Any] = json.loads(file.metadata()["config"])
            self.tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        self.layers, self.steps = self.config["layers"], self.config["steps"]
        self.frequencies = self.tensors["tables.frequencies"].astype(np.int64)

    def table(self, name: str) -> np.ndarray:
        return self.tensors[f"tables.{name}"].astype(np.int64)

    def fingerprint(self) -> str:
        digest = hashlib.sha256(json.dumps(self.config | {"name": ""}, sort_keys=True).encode())
        for name, array in sorted(self.tensors.items()):
            digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
        return digest.hexdigest()[:16]

    def pass_of(self, t: int) -> int:
        """The number of the pass to which step t belongs, from 0 on."""
        sent: list[tuple[int, int]] = []
        number = 0
        for before, step in itertools.pairwise(self.steps[:t + 1]):
            sent += [(before["layer"], i) for i in range(before["first"], before["last"])]
            if step["layer"] < before["layer"] or any(
                    (step["layer"], i) in sent for i in range(step["first"], step["last"])):
                number, sent = number + 1, []
        return number

    def ends_pass(self, t: int) -> bool:
        """Whether step t is the last one of its pass."""
        return t + 1 == len(self.steps) or self.pass_of(t + 1) > self.pass_of(t)

    def conv(self, name: str, x: np.ndarray, outside: Any = 0, bias: np.ndarray | None = None) -> np.ndarray:
        """x: (H, W, inputs) bytes, ``outside`` beyond the picture."""
        weight, factor = self.tensors[f"{name}.weight"].astype(np.int64), self.tensors[f"{name}.factor"]
        bias, k = self.tensors[f"{name}.bias"] if bias is None else bias, weight.shape[2]
        height, width, _ = x.shape
        around = np.ones((height + k - 1, width + k - 1, x.shape[2]), np.int64) * outside
        around[k // 2:k // 2 + height, k // 2:k // 2 + width] = x
        total = np.zeros((height, width, len(weight)), np.int64) + bias
        for dy in range(k):
            for dx in range(k):
                total += around[dy:dy + height, dx:dx + width] @ weight[:, :, dy, dx].T
        return np.rint(np.clip(total.astype(np.float32) * factor, 0, 255)).astype(np.int64)


def rounded(x: np.ndarray, bits: int = 26) -> np.ndarray:
    """x / 2^bits, halves to even."""
    low, rest, half = x >> bits, x & (2**bits - 1), 2 ** (bits - 1)
    return low + ((rest > half) | ((rest == half) & (low % 2 == 1)))


def along(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The matrix times every block of n, along the last two axes."""
    n = len(matrix)
    for _ in range(2):
        x = (x.reshape(*x.shape[:-1], -1, n) @ matrix.T).reshape(x.shape).swapaxes(-1, -2)
    return x


def across(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The matrix times the n values about every border of blocks, along the last two axes."""
    n = len(matrix)
    for _ in range(2):
        result = x << 13
        for border in range(n, x.shape[-1], n):
            about = slice(border - n // 2, border + n // 2)
            result[..., about] = x[..., about] @ matrix.T
        x = result.swapaxes(-1, -2)
    return x


def differences(low: np.ndarray) -> np.ndarray:
    """(3, 2h, 2w) -> (h, w, 15)."""
    a, b, c, d = low[:, ::2, ::2], low[:, ::2, 1::2], low[:, 1::2, ::2], low[:, 1::2, 1::2]
    total = a + b + c + d
    right, down = np.zeros_like(total), np.zeros_like(total)
    right[:, :, :-1], down[:, :-1] = np.diff(total, axis=2), np.diff(total, axis=1)
    return np.concatenate([a + c - b - d, a + b - c - d, a - b - c + d, right, down]).transpose(1, 2, 0)


def split(x: np.ndarray) -> np.ndarray:
    """(h, w, 4 channels) -> (2h, 2w, channels)."""
    height, width, channels = x.shape
    squares = x.reshape(height, width, 2, 2, channels // 4).transpose(0, 2, 1, 3, 4)
    return squares.reshape(2 * height, 2 * width, channels // 4)


def joined(x: np.ndarray) -> np.ndarray:
    """The inverse."""
    height, width, channels = x.shape
    squares = x.reshape(height // 2, 2, width // 2, 2, channels).transpose(0, 2, 1, 3, 4)
    return squares.reshape(height // 2, width // 2, 4 * channels)


def patches_of(planes: np.ndarray, s: int) -> np.ndarray:
    """(3, H, W) -> (H/s, W/s, 3 s s)."""
    _, height, width = planes.shape
    patches = planes.reshape(3, height // s, s, width // s, s).transpose(1, 3, 0, 2, 4)
    return patches.reshape(height // s, width // s, 3 * s * s)


def planes_of(patches: np.ndarray, s: int) -> np.ndarray:
    """The inverse."""
    height, width, _ = patches.shape
    return patches.reshape(height, width, 3, s, s).transpose(2, 0, 3, 1, 4).reshape(3, height * s, width * s)


def seen(patches: np.ndarray, unit: int) -> np.ndarray:
    """Less the mean around, in 1/16 of a unit, about 128."""
    height, width, channels = patches.shape
    each = patches.reshape(height, width, 3, channels // 3)
    sums = np.pad(each.sum(3), ((2, 2), (2, 2), (0, 0)), "edge")
    around, count = sum(sums[y:y + height, x:x + width] for y in range(5) for x in range(5)), 25 * channels // 3
    less = each - ((around + count // 2) // count)[..., None]
    return 128 + np.clip((less * 16 + unit // 2) // unit, -127, 127).reshape(patches.shape)


class Decoder:
    """What is known of one picture, and the memory of the prior."""

    def __init__(self, model: Model, height: int, width: int) -> None:
        self.model, self.known, self.cells, self.open, self.h, self.c = model, [], [], [], [], []
        for i, layer in enumerate(model.layers):
            shape = height // layer["stride"], width // layer["stride"]
            coefficients = len(model.table(f"places.{i}"))
            self.known.append(np.zeros((*shape, coefficients), np.int64))
            self.cells.append(np.zeros(coefficients, np.int64))
            self.open.append(np.zeros((*shape, coefficients), bool))
            self.h.append(np.full((*shape, layer["state"]), 128))
            self.c.append(np.zeros((*shape, layer["state"]), np.int64))
        self.begun = 0
        self.expected: dict[int, np.ndarray] = {}

    def cell(self, t: int) -> int:
        return int(8 * self.model.steps[t]["quantiser"])

    def first(self, t: int) -> np.ndarray:
        """Which coefficients step t sends for the first time."""
        step = self.model.steps[t]
        return np.array([not any(other["layer"] == step["layer"] and other["first"] <= i < other["last"]
                                 for other in self.model.steps[:t]) for i in range(step["first"], step["last"])])

    def sent(self, t: int, grey: bool) -> np.ndarray:
        """Which symbols of step t a file holds, shaped like them."""
        step = self.model.steps[t]
        i, mine = step["layer"], slice(step["first"], step["last"])
        luma = self.model.table(f"places.{i}")[mine] < len(self.model.table(f"functions.{i}")) ** 2
        return np.broadcast_to(luma | (not grey), self.known[i][..., mine].shape)

    def middles(self, layer: int) -> np.ndarray:
        known = self.known[layer]
        return (2 * known + np.sign(known) * (1 + self.open[layer])) * self.cells[layer] // 2

    def synthesis(self, layer: int, values: np.ndarray, low: np.ndarray | None) -> np.ndarray:
        table = self.model.table
        functions, places = table(f"functions.{layer}"), table(f"places.{layer}")
        n, (height, width, _) = len(functions), values.shape
        blocks = np.zeros((height, width, 3 * n * n), np.int64)
        blocks[..., places] = values
        x = blocks.reshape(height, width, 3, n, n).transpose(2, 0, 3, 1, 4).reshape(3, height * n, width * n)
        x = 2 * x  # so that halves are whole numbers
        if low is not None:
            a, b, c, d = low[:, ::2, ::2], low[:, ::2, 1::2], low[:, 1::2, ::2], low[:, 1::2, 1::2]
            x[:, ::n, ::n], x[:, ::n, 1::n] = a + b + c + d, a - b + c - d
            x[:, 1::n, ::n], x[:, 1::n, 1::n] = a + b - c - d, a - b - c + d
        y = rounded(along(x, functions.T), 27)
        return rounded(across(y, table(f"filters.{layer}").T))

    def analysis(self, layer: int, planes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the picture of a layer and coarser ones: its coefficients, and the picture of those, whole numbers."""
        functions = self.model.table(f"functions.{layer}")
        n = len(functions)
        blocks = rounded(along(rounded(across(planes, self.model.table(f"filters.{layer}"))), functions))
        _, height, width = blocks.shape
        positions = blocks.reshape(3, height // n, n, width // n, n).transpose(1, 3, 0, 2, 4)
        positions = positions.reshape(height // n, width // n, 3 * n * n)
        a, b, c, d = (blocks[:, i::n, j::n] for i in (0, 1) for j in (0, 1))
        smaller = np.zeros((3, 2 * height // n, 2 * width // n), np.int64)
        smaller[:, ::2, ::2], smaller[:, ::2, 1::2] = rounded(a + b + c + d, 1), rounded(a - b + c - d, 1)
        smaller[:, 1::2, ::2], smaller[:, 1::2, 1::2] = rounded(a + b - c - d, 1), rounded(a - b - c + d, 1)
        return positions[..., self.model.table(f"places.{layer}")], smaller

    def units(self, i: int, t: int) -> np.ndarray:
        """Of offsets of layer i before step t."""
        cells, units = (np.full(self.known[i].shape[2], first) for first in (0, self.cell(t - 1)))
        for s in reversed(range(t, len(self.model.steps))):
            step = self.model.steps[s]
            if step["layer"] == i:
                units[step["first"]:step["last"]] = self.cell(s)
        for s in range(t):
            step = self.model.steps[s]
            if step["layer"] == i:
                cells[step["first"]:step["last"]] = self.cell(s)
        return np.where(cells, cells, units)

    def forecast(self, t: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Offsets of the finest layer before step t, less 128; and the smaller picture as it most likely is."""
        model, name, last = self.model, "forecast", len(self.known) - 1
        low, known = self.low(last), self.known[last]
        x = 128 + np.clip(2 * known + np.sign(known), -127, 127)
        x = split(model.conv(f"{name}.entry", x))
        if low is not None:
            (_, height, width), unit = low.shape, 8 * self.cell(t - 1)
            seen = np.clip(low, -2**16, 2**16)
            padded = np.pad(seen, ((0, 0), (2, 2), (2, 2)), "edge")
            total = sum(padded[:, y:y + height, z:z + width] for y in range(5) for z in range(5))
            seen = 128 + np.clip(((seen - (total + 12) // 25) * 16 + unit // 2) // unit, -127, 127)
            x = np.concatenate([x, seen.transpose(1, 2, 0)], axis=2)
        x = model.conv(f"{name}.mix", x, 128, model.tensors[f"{name}.biases"][t])
        for j in range(model.config["forecast"]["layers"] - 1):
            x = np.clip(x + model.conv(f"{name}.hidden.{j}", x) - 128, 0, 255)
        found = model.conv(f"{name}.exit", joined(x)) - 128
        if low is None:
            return found, None
        return found[..., :-12], low + ((split(found[..., -12:]).transpose(2, 0, 1) * self.cell(t - 1) + 32) >> 6)

    def expect(self, t: int) -> None:
        """Before step t, if it asks for it: bytes for every coefficient."""
        if not self.model.steps[t]["forecast"]:
            return
        last = len(self.known) - 1
        offsets, low = self.forecast(t)
        for i in reversed(range(len(self.known))):
            if i < last:
                assert low is not None
                values, low = self.analysis(i, low if i < last - 1 else np.clip(low, -2**16, 2**16))
                offsets = ((values - self.middles(i)) << 6) // self.units(i, t)
            offsets = np.clip(offsets, -127, 127)
            self.expected[i] = 128 + np.where(self.known[i] < 0, -offsets, offsets)

    def signs(self, t: int) -> np.ndarray:
        """By what symbols of step t are multiplied."""
        step = self.model.steps[t]
        i, mine = step["layer"], slice(step["first"], step["last"])
        if i not in self.expected:
            return np.ones(self.known[i][..., mine].shape, np.int64)
        return np.where((self.known[i][..., mine] == 0) & (self.expected[i][..., mine] < 128), -1, 1)

    def low(self, layer: int) -> np.ndarray | None:
        low = None
        for i in range(layer):
            low = self.synthesis(i, self.middles(i), low)
        return low

    def rows(self, t: int) -> np.ndarray:
        """The row of each symbol of step t, (H/s, W/s, last - first)."""
        model, step = self.model, self.model.steps[t]
        i, head = step["layer"], f"prior.steps.{t}"
        logarithms = model.table("known")[np.minimum(np.abs(self.known[i]), 31)]
        seen, around = logarithms, [self.h[i]]
        if (low := self.low(i)) is not None:
            quotients = np.abs(differences(low)) * 8 // self.cell(t)
            seen = np.concatenate([seen, model.table("quotients")[np.minimum(quotients, 1023)]], axis=2)
            ratio = model.layers[i - 1]["stride"] // model.layers[i]["stride"]
            around.append(self.h[i - 1].repeat(ratio, 0).repeat(ratio, 1))
        if i + 1 < len(model.layers):
            ratio = model.layers[i]["stride"] // model.layers[i + 1]["stride"]
            height, width, state = self.h[i + 1].shape
            squares = self.h[i + 1].reshape(height // ratio, ratio, width // ratio, ratio, state).sum((1, 3))
            around.append((squares + ratio**2 // 2) // ratio**2)
        embedded = model.conv(f"prior.layers.{i}.embedding", seen, bias=model.tensors[f"{head}.embedding"])
        outside = np.array([128] * sum(x.shape[2] for x in around) + [0] * embedded.shape[2])
        gates = model.conv(f"prior.layers.{i}.recurrence", np.concatenate([*around, embedded], axis=2), outside,
                           model.tensors[f"{head}.recurrence"])
        admit, keep, emit, candidate = np.split(gates, 4, axis=2)
        self.c[i] = np.clip((keep * self.c[i] + admit * (candidate - 128) + 128) >> 8, -511, 511)
        self.h[i] = ((emit * np.clip(self.c[i], -127, 127) + 128) >> 8) + 128
        context = model.conv(f"prior.layers.{i}.context", self.h[i], 128, model.tensors[f"{head}.context"])
        first, mine = self.first(t), slice(step["first"], step["last"])
        zero, heads, level = self.known[i] == 0, [context, logarithms], np.zeros((), np.int64)
        if i in self.expected:
            size = np.where(zero, 128 + np.abs(self.expected[i] - 128), self.expected[i])
            odds = model.tensors[f"{head}.signs"].astype(np.int64) * np.maximum(size[..., mine] - 128, 0)
            level = (odds[..., None] >= np.array([1229, 4096, 8602])).sum(3)
            heads.insert(0, size)
        found = np.minimum(model.conv(f"{head}.rows", np.concatenate(heads, axis=2)), 63)
        fresh = found[..., :len(first)] + 64 * level
        if first.all():
            return fresh
        return np.where(first, fresh, np.where(zero[..., mine], fresh + 256, found[..., len(first):] + 512))

    def take(self, t: int, symbols: np.ndarray, there: np.ndarray) -> None:
        """The symbols of step t, where they are ``there``; the others are open."""
        step = self.model.steps[t]
        i, mine = step["layer"], slice(step["first"], step["last"])
        self.known[i][..., mine] *= 2
        self.cells[i][mine] = self.cell(t)
        self.open[i][..., mine] = True
        self.complete(t, symbols, there)
        self.begun = t

    def complete(self, t: int, symbols: np.ndarray, there: np.ndarray) -> None:
        """Symbols of step t that were open."""
        step = self.model.steps[t]
        i, mine = step["layer"], slice(step["first"], step["last"])
        k = self.known[i][..., mine]
        self.known[i][..., mine] = k + np.where(k < 0, -symbols, symbols) * there
        self.open[i][..., mine] &= ~there

    def estimate(self, planes: np.ndarray) -> np.ndarray:
        """As they most likely are."""
        model, s, cell = self.model, self.model.config["estimator"]["stride"], self.cell(self.begun)
        patches = patches_of(np.clip(planes, -16383, 16383), s)
        x = model.conv("estimator.entry", seen(patches, cell), 128, model.tensors["estimator.biases"][self.begun])
        for j in range(model.config["estimator"]["layers"] - 2):
            x = np.clip(x + model.conv(f"estimator.hidden.{j}", x) - 128, 0, 255)
        added = (model.conv("estimator.exit", x) - 128) * cell
        return planes_of(np.clip(patches + ((added + 32) >> 6), -16383, 16383), s)

    def planes(self, *, estimated: bool) -> np.ndarray:
        """What is shown, in the axes of the model, (3, H, W)."""
        last = len(self.known) - 1
        planes = self.synthesis(last, self.middles(last), self.low(last))
        return self.estimate(planes) if estimated else planes

    def levels(self, planes: np.ndarray, mean: np.ndarray, turn: list[int]) -> np.ndarray:
        """The picture, (3, H, W)."""
        a, (b, c, d) = 127, turn
        n = a * a + b * b + c * c + d * d
        products = np.array([[a * a + b * b - c * c - d * d, 2 * b * c - 2 * a * d, 2 * b * d + 2 * a * c],
                             [2 * b * c + 2 * a * d, a * a - b * b + c * c - d * d, 2 * c * d - 2 * a * b],
                             [2 * b * d - 2 * a * c, 2 * c * d + 2 * a * b, a * a - b * b - c * c + d * d]])
        matrix = (2**15 * products + n) // (2 * n) @ self.model.table("axes").T
        turned = np.tensordot(matrix, planes, 1)
        return np.clip((turned + 2**30 * mean[:, None, None] + 2**29) >> 30, 0, 255)
