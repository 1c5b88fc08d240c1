"""Where a picture varies more or less than the prior expects: shifts of rows, a few for each step, which a file tells.

Rows are distributions, in families of rising scale. A shift moves all latents of a group, in units of two rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

LIMIT, UNIT = 7, 2  # shifts are -7..7, in units of two rows


def shift_frequencies(precision: int) -> np.ndarray:
    """Of the shifts -7..7, summing to 2**precision: half of it for none, and half as much for each one further."""
    frequencies = 2 ** (precision - 2 - np.abs(np.arange(-LIMIT, LIMIT + 1)))
    frequencies[LIMIT] += (1 << precision) - frequencies.sum()
    return frequencies


class Shifts:
    """Which latents are shifted together.

    groups: the group of the latents in each kind of map, under each family of rows; whole numbers from 0 on, (kinds,
    families). scales: rows of a family.
    """

    def __init__(self, groups: Sequence[Sequence[int]], scales: int):
        self._largest = scales - 1
        self._family, self._scale = np.divmod(np.arange(len(groups[0]) * scales), scales)
        self._groups = np.array(groups)[:, self._family]

    def there(self, rows: Sequence[np.ndarray], kinds: Sequence[int]) -> np.ndarray:
        """The groups that have latents in maps of rows, in rising order."""
        there = np.zeros(self._groups.shape, bool)
        for row_map, kind in zip(rows, kinds, strict=True):
            there[kind] |= np.bincount(row_map.reshape(-1), minlength=len(self._scale)) > 0
        return np.unique(self._groups[there])

    def shifted(self, groups: np.ndarray, shifts: np.ndarray) -> np.ndarray:
        """The row that takes the place of each one in each kind of map, (kinds, rows) uint8, with the shifts of those
        groups; the others stay."""
        every = np.zeros(self._groups.max() + 1, np.int64)
        every[groups] = shifts
        scale = (self._scale + UNIT * every[self._groups]).clip(0, self._largest)
        return ((self._largest + 1) * self._family + scale).astype(np.uint8)

    def best(self, symbols: Iterable[np.ndarray], rows: Sequence[np.ndarray], kinds: Sequence[int], groups: np.ndarray,
             frequencies: np.ndarray) -> np.ndarray:
        """The shift of each of the groups that are there, with which maps of symbols take the fewest bits.

        frequencies: of the symbols in each row, positive, each row with the same sum, a power of two.
        """
        counts = np.zeros((*self._groups.shape, frequencies.shape[1]))
        for symbol_map, row_map, kind in zip(symbols, rows, kinds, strict=True):
            pairs = frequencies.shape[1] * row_map.reshape(-1).astype(np.int64) + symbol_map.reshape(-1)
            counts[kind] += np.bincount(pairs, minlength=frequencies.size).reshape(frequencies.shape)
        precision = int(frequencies[0].sum()).bit_length() - 1
        bits, of_shift = (precision - np.log2(table) for table in (frequencies, shift_frequencies(precision)))
        tried = np.array(sorted(range(-LIMIT, LIMIT + 1), key=abs))  # of equals, the smallest
        costs = []
        for shift in tried:
            each = (counts * bits[self.shifted(groups, np.full(len(groups), shift))]).sum(2)
            costs.append(np.bincount(self._groups.ravel(), each.ravel())[groups] + of_shift[LIMIT + shift])
        return tried[np.argmin(costs, axis=0)]
