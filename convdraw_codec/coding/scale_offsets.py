"""Per-step scale offsets: side information that raises or lowers the predicted scale of a group of latents.

Table indexes name distributions, in families of rising scale. An offset moves those of all latents of a group, in units
of two. It helps where a picture varies more or less than the prior expects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

Maps: TypeAlias = Sequence[np.ndarray] | np.ndarray  # of (H, W), one a channel
LIMIT, UNIT = 7, 2  # offsets are -7..7, in units of two table indexes


def shift_frequencies(precision: int) -> np.ndarray:
    """Of the offsets -7..7, summing to 2**precision: half of it for none, and half as much for each one further."""
    frequencies = 2 ** (precision - 2 - np.abs(np.arange(-LIMIT, LIMIT + 1)))
    frequencies[LIMIT] += (1 << precision) - frequencies.sum()
    return frequencies


class Shifts:
    """Which latents share an offset. groups: that of the latents in each kind of map, under each family of indexes,
    from 0 on, (kinds, families). scales: distributions of a family."""

    def __init__(self, groups: Sequence[Sequence[int]], scales: int):
        self._largest = scales - 1
        self._family, self._scale = np.divmod(np.arange(len(groups[0]) * scales), scales)
        self._groups = np.array(groups)[:, self._family]

    def there(self, indexes: Maps, kinds: Sequence[int]) -> np.ndarray:
        """The groups that have latents in maps of table indexes, in rising order."""
        there = np.zeros(self._groups.shape, bool)
        for index_map, kind in zip(indexes, kinds, strict=True):
            there[kind] |= np.bincount(index_map.reshape(-1), minlength=len(self._scale)) > 0
        return np.unique(self._groups[there])

    def shifted(self, groups: np.ndarray, shifts: np.ndarray) -> np.ndarray:
        """The table index that takes the place of each one in each kind of map, (kinds, indexes) uint8, with the
        offsets of those groups; the others stay."""
        every = np.zeros(self._groups.max() + 1, np.int64)
        every[groups] = shifts
        scale = (self._scale + UNIT * every[self._groups]).clip(0, self._largest)
        return ((self._largest + 1) * self._family + scale).astype(np.uint8)

    def best(self, symbols: Iterable[np.ndarray], indexes: Maps, kinds: Sequence[int],
             groups: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        """The offset of each of those groups with which maps of symbols take the fewest bits. frequencies: of the
        symbols in each distribution, positive, each with the same sum, a power of two."""
        counts = np.zeros((*self._groups.shape, frequencies.shape[1]))
        for symbol_map, index_map, kind in zip(symbols, indexes, kinds, strict=True):
            pairs = frequencies.shape[1] * index_map.reshape(-1).astype(np.int64) + symbol_map.reshape(-1)
            counts[kind] += np.bincount(pairs, minlength=frequencies.size).reshape(frequencies.shape)
        precision = int(frequencies[0].sum()).bit_length() - 1
        bits, of_shift = (precision - np.log2(table) for table in (frequencies, shift_frequencies(precision)))
        tried = np.array(sorted(range(-LIMIT, LIMIT + 1), key=abs))  # of equals, the smallest
        costs = []
        for shift in tried:
            each = (counts * bits[self.shifted(groups, np.full(len(groups), shift))]).sum(2)
            costs.append(np.bincount(self._groups.ravel(), each.ravel())[groups] + of_shift[LIMIT + shift])
        return tried[np.argmin(costs, axis=0)]
