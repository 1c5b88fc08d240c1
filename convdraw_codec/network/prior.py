"""The prior: the recurrent network that predicts the symbols of each step from all earlier ones, in bytes.

It is a convolutional LSTM at every layer, with straight lines for its logistic function and tanh. ``training`` has it
with gradients (``prior_network``).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from .config import Config
from .convolution import ZERO_POINT, ByteConv, Convolver
from .features import low_differences, magnitudes, sizes
from .tables import FIRST, REFINE, ROWS, ZERO

STRIP_PIXELS = 2**19  # that are looked at together
REACH = 2  # positions that a step looks beyond its own: two convolutions
FEW_ROWS = 8  # of positions: strips for threads have no fewer
CELL_LIMIT = 511  # of the memory c, in 1/128
GATE_HALF = 128  # of a product with a gate, which counts in 1/256


@dataclass(frozen=True)
class PriorLayer:
    """What the steps of a layer share: convolutions whose biases are the steps'."""

    embedding: ByteConv
    recurrence: ByteConv
    context: ByteConv


@dataclass(frozen=True)
class PriorStep:
    """What is a step's own: biases, (outputs,) int32, and the heads. thresholds: ``tables.sign_thresholds`` of its
    coefficients."""

    embedding: np.ndarray
    recurrence: np.ndarray
    context: np.ndarray
    rows: ByteConv
    thresholds: np.ndarray


@dataclass
class State:
    """The recurrent state of a layer, (H/s, W/s, state): h in bytes, 128 for 0, and c in 1/128, int16."""

    h: np.ndarray
    c: np.ndarray

    def take(self, made: Iterable[tuple[slice, np.ndarray, np.ndarray]]) -> None:
        """The next h and c of some strips."""
        for strip, h, c in made:
            self.h[strip], self.c[strip] = h, c


@dataclass(frozen=True)
class Prior:
    """The networks of all layers and steps. quotients: ``tables.quotient_table``."""

    config: Config
    layers: list[PriorLayer]
    steps: list[PriorStep]
    quotients: np.ndarray

    def start(self, height: int, width: int) -> list[State]:
        """The state before the first step, for a picture of that size."""
        result = []
        for layer in self.config.layers:
            shape = height // layer.stride, width // layer.stride, layer.state
            result.append(State(np.full(shape, ZERO_POINT, np.uint8), np.zeros(shape, np.int16)))
        return result

    def step(self, t: int, states: list[State], logarithms: np.ndarray, low: np.ndarray | None,
             expected: np.ndarray | None, convolve: Convolver) -> Iterator[tuple[slice, np.ndarray]]:
        """Take step t: the row of each of its symbols, (rows, W/s, last - first) uint16, 0..575, strip by strip. The
        state goes on, after the last strip.

        logarithms: ``known_logarithms`` of the step's layer, (H/s, W/s, coefficients). low: the picture that coarser
        layers make, None for the coarsest. expected: of its coefficients, see ``coding.canvas``, None if nothing is.
        """
        state, (height, width, _) = states[self.config.steps[t].layer], logarithms.shape
        made = list[tuple[slice, np.ndarray, np.ndarray]]()

        def ahead(strip: slice) -> tuple[slice, np.ndarray, np.ndarray, np.ndarray]:
            h, c, context = self._recur(t, states, logarithms, low, strip, convolve)
            told = None if expected is None else expected[strip]
            return strip, h, c, self._heads(t, context, logarithms[strip], told, convolve)

        rows = STRIP_PIXELS // (width * self.config.stride(t) ** 2)
        for strip, h, c, found in convolve.each(ahead, strips(height, rows, convolve.threads)):
            state.take(made)  # only now, since this strip has looked at the state of the one before
            made = [(strip, h, c)]
            yield strip, found
        state.take(made)

    def _recur(self, t: int, states: list[State], logarithms: np.ndarray, low: np.ndarray | None, strip: slice,
               convolve: Convolver) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The next h and c of a strip, and the context that heads see."""
        at, height = self.config.steps[t].layer, len(logarithms)
        inner = widened(strip, height, 1)
        gates = self._gates(t, states, logarithms, low, widened(strip, height, REACH), strip, convolve)
        h, c = recur(gates, states[at].c[inner])
        around = margins(h, inner, strip, np.full(h.shape[2], ZERO_POINT, np.uint8))
        mine = slice(strip.start - inner.start, strip.stop - inner.start)
        return h[mine], c[mine], convolve(self.layers[at].context, around, self.steps[t].context)

    def _heads(self, t: int, context: np.ndarray, logarithms: np.ndarray, expected: np.ndarray | None,
               convolve: Convolver) -> np.ndarray:
        """The row of each symbol of a strip."""
        step, own = self.config.steps[t], self.steps[t]
        zero, mine, seen = logarithms == 0, slice(step.first, step.last), [context, logarithms]
        levels: np.ndarray | int = 0
        if expected is not None:
            size = sizes(expected, zero)
            seen.insert(0, size)
            levels = sign_levels(size[..., mine], own.thresholds)
        found = np.minimum(convolve(own.rows, np.concatenate(seen, axis=2)), ROWS - 1)
        return chosen(found, self.config.seen_first(t), zero[..., mine], levels)

    def _gates(self, t: int, states: list[State], logarithms: np.ndarray, low: np.ndarray | None, seen: slice,
               strip: slice, convolve: Convolver) -> np.ndarray:
        """In bytes, of a strip and a row around it, as far as the picture goes."""
        step, layers = self.config.steps[t], self.config.layers
        at, own = step.layer, self.steps[t]
        known = logarithms[seen]
        if low is not None:
            known = np.concatenate([known, magnitudes(low_differences(low, seen), step.cell, self.quotients)], axis=2)
        around = [states[at].h[seen]]
        if at:
            around.append(enlarged(states[at - 1].h, layers[at - 1].stride // layers[at].stride, seen))
        if at + 1 < len(layers):
            around.append(pooled(states[at + 1].h, layers[at].stride // layers[at + 1].stride, seen))
        signed = sum(each.shape[2] for each in around)
        together = np.concatenate([*around, convolve(self.layers[at].embedding, known, own.embedding)], axis=2)
        outside = np.where(np.arange(together.shape[2]) < signed, ZERO_POINT, 0).astype(np.uint8)
        inner = widened(strip, logarithms.shape[0], 1)
        return convolve(self.layers[at].recurrence, margins(together, seen, inner, outside), own.recurrence)


def strips(height: int, rows: int, parts: int = 1) -> list[slice]:
    """Rows from top to bottom: at most so many at a time, but ``REACH``, and in ``parts``, if each has some."""
    count = max(-(-height // max(rows, 1)), min(parts, height // FEW_ROWS))
    count = max(1, min(count, height // REACH))
    ends = [height * i // count for i in range(count + 1)]
    return [slice(*each) for each in itertools.pairwise(ends)]


def widened(strip: slice, height: int, by: int) -> slice:
    """With rows around it, as far as the picture goes."""
    return slice(max(strip.start - by, 0), min(strip.stop + by, height))


def margins(given: np.ndarray, seen: slice, strip: slice, outside: np.ndarray) -> np.ndarray:
    """Of what is given in the rows ``seen``, a strip with a position around it, which is ``outside`` beyond the
    picture: (rows + 2, W + 2, C)."""
    rows, (_, width, channels) = strip.stop - strip.start, given.shape
    result = np.empty((rows + 2, width + 2, channels), given.dtype)
    result[:, 0] = result[:, -1] = outside
    first, last = max(strip.start - 1, seen.start), min(strip.stop + 1, seen.stop)
    top, bottom = first - strip.start + 1, last - strip.start + 1
    result[:top], result[bottom:] = outside, outside
    result[top:bottom, 1:-1] = given[first - seen.start:last - seen.start]
    return result


def enlarged(h: np.ndarray, ratio: int, rows: slice) -> np.ndarray:
    """Rows of a finer layer, in which each position of a coarser one is a square."""
    there = h[rows.start // ratio:-(-rows.stop // ratio)].repeat(ratio, axis=0).repeat(ratio, axis=1)
    return there[rows.start % ratio:][:rows.stop - rows.start]


def pooled(h: np.ndarray, ratio: int, rows: slice) -> np.ndarray:
    """Rows of a coarser layer: means of squares of positions, rounded to whole numbers, halves up."""
    squares = h[rows.start * ratio:rows.stop * ratio]
    squares = squares.reshape(len(squares) // ratio, ratio, -1, ratio, h.shape[2])
    return ((squares.sum((1, 3), dtype=np.int32) + ratio**2 // 2) // ratio**2).astype(np.uint8)


def recur(gates: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The next h and c, from gates (H, W, 4 state) uint8 and the last c: admit, keep and emit in 1/256, and the
    candidate in 1/128, about 128."""
    admit, keep, emit, candidate = np.split(gates, 4, axis=2)
    total = np.multiply(keep, c, dtype=np.int32)
    total += np.multiply(admit, np.subtract(candidate, ZERO_POINT, dtype=np.int16), dtype=np.int32)
    total += GATE_HALF
    total >>= 8
    c = total.clip(-CELL_LIMIT, CELL_LIMIT).astype(np.int16)
    h = np.multiply(emit, c.clip(-127, 127), dtype=np.int16)  # which holds 255 * 127, and a half more
    h += GATE_HALF
    h >>= 8
    h += ZERO_POINT
    return h.astype(np.uint8), c


def sign_levels(size: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How certain the sign of each coefficient is that is 0 so far, uint8: how many thresholds its ``sizes`` reach."""
    away, (first, *others) = size - np.uint8(ZERO_POINT), thresholds.T
    result = (away >= first).view(np.uint8)
    for threshold in others:
        result += away >= threshold
    return result


def chosen(rows: np.ndarray, first: np.ndarray, zero: np.ndarray, levels: np.ndarray | int) -> np.ndarray:
    """The row of each symbol, 0..575, from what the heads say, (H, W, outputs), where coefficients are ``zero`` so far,
    and the levels of certainty about their signs: see ``tables`` for the families."""
    count = len(first)
    result = (rows[..., :count] + np.uint8(ROWS) * np.asarray(levels, np.uint8)).astype(np.uint16)  # FIRST is 0
    if first.all():
        return result
    result += np.where(first, FIRST, ZERO).astype(np.uint16)
    change = rows[..., count:] + np.uint16(REFINE) - result  # modulo 2**16: several times faster than np.where
    change *= ~(zero | first)
    result += change
    return result
