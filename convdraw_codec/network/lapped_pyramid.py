"""The transform: a pyramid of lapped block transforms, in which every coefficient belongs to one layer.

A picture's blocks of 8x8 pixels share their borders: an orthonormal filter across them makes the block transform a
lapped one (Malvar's, as pre- and post-filter: Tran, Liang, Tu, "Lapped transform via time-domain pre- and
postfiltering", 2003). Of each block, the coefficients of low frequency stand for a few pixels of a smaller picture,
which is transformed in the same way, as in JPEG XR: the next coarser layer. All of it is orthonormal.

Every function takes arrays of NumPy or tensors of torch. Towards pixels, they hold whole numbers as float64, in units
of ``UNIT`` of a level, and sums are exact in whatever order they are taken.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any  # numpy.ndarray or torch.Tensor

MATRIX_UNIT = 2**13  # stored matrices count in 1/2^13
UNIT = 8  # coefficients and pixels count in 1/8 of a level
TURN = math.radians(15)  # of the filter across blocks of four: best coding gain behind the finest (rho = 0.95)
LARGEST_COEFFICIENT = 2**17  # in 1/8 of a level: what ``Pyramid.synthesis`` takes at most
PROMOTED = 2  # functions along each axis that a coarser layer takes
SUM_AND_DIFFERENCE = np.array([[1, 1], [1, -1]])  # the cosine transform of two pixels, but for a factor


def cosines(size: int, shift: float = 0.0) -> np.ndarray:
    """Orthonormal cosine transform, one basis function a row, float64: DCT-II, or with shift 0.5 DCT-IV."""
    n = np.arange(size)
    basis = np.cos(math.pi / size * (n[None, :] + 0.5) * (n[:, None] + shift)) * math.sqrt(2 / size)
    if shift == 0:
        basis[0] /= math.sqrt(2)
    return basis


def colour_axes() -> np.ndarray:
    """The model's colour axes, orthonormal rows, luma first: (3, 3) float64."""
    axes = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=np.float64)
    return axes / np.linalg.norm(axes, axis=1, keepdims=True)


def lapping_filter(block: int) -> np.ndarray:
    """The filter across one border, (block, block), orthonormal; ``block`` is even.

    It leaves what is even about the border alone, and turns what is odd by J C_II' C_IV J (J reverses), or, for a
    block of four, by ``TURN``.
    """
    half = block // 2
    turn = (cosines(half).T @ cosines(half, 0.5))[::-1, ::-1]
    if block == 4:
        turn = np.array([[math.cos(TURN), math.sin(TURN)], [-math.sin(TURN), math.cos(TURN)]])
    one, none = np.eye(half), np.zeros((half, half))
    fold = np.block([[one, one[::-1]], [one[::-1], -one]])
    return fold @ np.block([[one, none], [none, turn]]) @ fold / 2


def block_functions(strides: list[int]) -> list[np.ndarray]:
    """The block transform of each layer along one axis, coarse to fine, (n, n) with orthonormal rows by frequency.

    Those of the finest layer are cosines of pixels. Those of others, of pixels of the smaller picture, are nearest to
    cosines of the pixels that these stand for.
    """
    on_pixels = [cosines(strides[-1])]  # the functions of each layer on pixels of the picture
    result = list[np.ndarray]()
    for coarser, stride in reversed(list(itertools.pairwise(strides))):
        low = on_pixels[0][:PROMOTED]
        span = np.kron(np.eye(coarser // stride), low)
        left, _, right = np.linalg.svd(cosines(coarser)[:len(span)] @ span.T)
        pixels = np.kron(np.eye(coarser // stride), cosines(PROMOTED).T @ low)
        on_pixels.insert(0, left @ right @ span)
        result.insert(0, on_pixels[0] @ pixels.T)
    return [*result, on_pixels[-1]]


def places(strides: list[int]) -> list[np.ndarray]:
    """Where each coefficient of a layer stands among the functions of a block, (coefficients,), for every layer:
    n n colour + n v + u, v down and u across, those that the coarser layer takes left out.

    They are ordered by the deviation to expect in a photograph, largest first.
    """
    result = []
    for layer, (stride, functions) in enumerate(zip(strides, block_functions(strides), strict=True)):
        n, deviations, found = len(functions), [], []
        for v, u in itertools.product(range(n), repeat=2):
            if layer and u < PROMOTED and v < PROMOTED:
                continue
            frequency = math.hypot(u, v) / (2 * stride)
            for colour, amplitude in enumerate((1.0, 0.2, 0.15)):
                deviations.append(amplitude * (6 / frequency if frequency else 80 * stride))
                found.append(n * n * colour + n * v + u)
        order = np.argsort(-np.array(deviations, np.float32), kind="stable")
        result.append(np.array(found)[order])
    return result


def coefficient_counts(strides: list[int]) -> list[int]:
    """How many coefficients each layer has."""
    sizes = [PROMOTED * coarser // stride for coarser, stride in itertools.pairwise(strides)] + strides[-1:]
    return [3 * (size**2 - (PROMOTED**2 if layer else 0)) for layer, size in enumerate(sizes)]



def _along(x: Array, matrix: Array) -> Array:
    """Apply a square matrix to every block of pixels, along both axes: (..., H, W)."""
    n = len(matrix)
    *batch, height, width = x.shape
    columns = (x.reshape(*batch, height, width // n, n) @ matrix.T).reshape(x.shape)  # row by row: see ``_across``
    return (matrix @ columns.reshape(*batch, height // n, n, width)).reshape(x.shape)


def _across(x: Array, matrix: Array) -> Array:
    """Apply the matrix across every border of the blocks, along both axes; the picture's ends scale by its unit.

    Products of many small matrices are as fast as those of a large one, for which BLAS would take threads of its own.
    """
    n, half = len(matrix), len(matrix) // 2
    unit = 1.0 if abs(matrix).max() <= 1 else float(MATRIX_UNIT)
    *batch, height, width = x.shape
    columns = x * unit if width == n else _like(x)
    if width > n:
        inner = x[..., half:-half].reshape(*batch, height, width // n - 1, n)
        columns[..., half:-half] = (inner @ matrix.T).reshape(*batch, height, width - n)
        for end in (slice(None, half), slice(-half, None)):
            columns[..., end] = x[..., end] * unit
    if height == n:
        return columns * unit
    result = _like(x)
    inner = columns[..., half:-half, :].reshape(*batch, height // n - 1, n, width)
    result[..., half:-half, :] = (matrix @ inner).reshape(*batch, height - n, width)
    for end in (slice(None, half), slice(-half, None)):
        result[..., end, :] = columns[..., end, :] * unit
    return result


def _like(x: Array) -> Array:
    """An array of that shape and kind, whatever it holds."""
    return np.empty_like(x) if isinstance(x, np.ndarray) else x.new_empty(x.shape)


def _chosen(x: Array, channels: np.ndarray) -> Array:
    """Some channels, those of the last axis."""
    return x.take(channels, axis=-1) if isinstance(x, np.ndarray) else x[..., channels]  # take is twice as fast


def _divided(x: Array) -> Array:
    """Sums of products with two matrices in whole numbers, halves to even. Overwrites x."""
    x *= MATRIX_UNIT**-2
    return np.rint(x, out=x) if isinstance(x, np.ndarray) else x.round_()


def _real(x: Array) -> Array:
    """Whole numbers as float64."""
    return x.astype(np.float64) if isinstance(x, np.ndarray) else x.double()


def _to_pixels(low: Array) -> Array:
    """The two functions of lowest frequency along both axes to 2x2 pixels of the smaller picture, or back."""
    matrix = SUM_AND_DIFFERENCE.astype(low.dtype) if isinstance(low, np.ndarray) else low.new_tensor(SUM_AND_DIFFERENCE)
    return _along(low, matrix) * 0.5


def _lowest(planes: Array, n: int) -> Array:
    """The functions that a coarser layer takes, of blocks of n: (..., 2 h, 2 w)."""
    *batch, height, width = planes.shape
    blocks = planes.reshape(*batch, height // n, n, width // n, n)[..., :PROMOTED, :, :PROMOTED]
    return blocks.reshape(*batch, height // n * PROMOTED, width // n * PROMOTED)


def to_positions(planes: Array, n: int) -> Array:
    """Blocks beside one another, (..., 3, h n, w n), to channels of positions, (..., h, w, 3 n n)."""
    *batch, colours, height, width = planes.shape
    blocks = planes.reshape(*batch, colours, height // n, n, width // n, n)
    blocks = blocks.swapaxes(-2, -3).swapaxes(-5, -4).swapaxes(-4, -3)
    return blocks.reshape(*batch, height // n, width // n, colours * n * n)


def from_positions(positions: Array, n: int) -> Array:
    """The inverse."""
    *batch, height, width, channels = positions.shape
    blocks = positions.reshape(*batch, height, width, channels // n**2, n, n)
    blocks = blocks.swapaxes(-4, -3).swapaxes(-5, -4).swapaxes(-2, -3)
    return blocks.reshape(*batch, channels // n**2, height * n, width * n)


@dataclass(frozen=True)
class Pyramid:
    """Of each layer, coarse to fine: the block transform along an axis and the filter across borders, (n, n) whole
    numbers in 1/2^13, float64; and where its coefficients stand, see ``places``."""

    functions: list[Array]
    filters: list[Array]
    places: list[np.ndarray]

    @classmethod
    def of(cls, strides: list[int]) -> Pyramid:
        """For those strides, as arrays of NumPy."""
        functions = [np.rint(matrix * MATRIX_UNIT) for matrix in block_functions(strides)]
        filters = [np.rint(lapping_filter(len(matrix)) * MATRIX_UNIT) for matrix in functions]
        return cls(functions, filters, places(strides))

    def analysis(self, planes: Array) -> list[Array]:
        """Planes (..., 3, H, W), H and W multiples of the coarsest stride -> the coefficients of each layer, coarse to
        fine, (..., H/s, W/s, coefficients), in real numbers of the planes' unit."""
        result: list[Array] = []
        for layer in reversed(range(len(self.places))):
            coefficients, planes = self.split(layer, planes)
            result.insert(0, coefficients)
        return result

    def split(self, layer: int, planes: Array) -> tuple[Array, Array]:
        """The coefficients of one layer, and the smaller picture that is left for the coarser ones, (..., 3, 2 h, 2 w).
        """
        functions, across, where = self.functions[layer], self.filters[layer], self.places[layer]
        n = len(functions)
        planes = _across(planes, across / MATRIX_UNIT)
        planes = _along(planes, functions / MATRIX_UNIT)
        return _chosen(to_positions(planes, n), where), _to_pixels(_lowest(planes, n))

    def whole_split(self, layer: int, planes: Array) -> tuple[Array, Array]:
        """As ``split``, of whole numbers below 2^20, and all of it whole numbers."""
        functions, across, where = self.functions[layer], self.filters[layer], self.places[layer]
        planes = _divided(_across(_real(planes), across))
        planes = _divided(_along(planes, functions))
        return _chosen(to_positions(planes, len(functions)), where), _to_pixels(_lowest(planes, len(functions))).round()

    def synthesis(self, layer: int, coefficients: Array, smaller: Array | None) -> Array:
        """From the coefficients of a layer (..., h, w, coefficients), and the smaller picture that the coarser layers
        make, (..., 3, 2 h, 2 w), None at the coarsest: the picture (..., 3, n h, n w), float64. All whole numbers."""
        functions, across, where = self.functions[layer], self.filters[layer], self.places[layer]
        n = len(functions)
        source = np.full(3 * n * n, len(where))
        source[where] = np.arange(len(where))
        blocks = _real(from_positions(_chosen(coefficients, source.clip(max=len(where) - 1)), n))
        if smaller is not None:
            *batch, height, width = blocks.shape
            inside = blocks.reshape(*batch, height // n, n, width // n, n)
            inside[..., :PROMOTED, :, :PROMOTED] = _to_pixels(_real(smaller)).reshape(
                *batch, height // n, PROMOTED, width // n, PROMOTED)
        return _divided(_across(_divided(_along(blocks, functions.T)), across.T))

    def largest_sum(self, limit: float, *, towards_pixels: bool = True) -> float:
        """The largest magnitude that any sum of ``synthesis``, or else of ``whole_split``, can reach from numbers up to
        ``limit``."""
        largest, layers = 0.0, list(zip(self.functions, self.filters, strict=True))
        for layer in layers if towards_pixels else layers[::-1]:
            for matrix in layer if towards_pixels else layer[::-1]:
                gain = abs(matrix).sum(0 if towards_pixels else 1).max().item() ** 2
                largest = max(largest, limit * max(gain, MATRIX_UNIT**2))
                limit = limit * max(gain, MATRIX_UNIT**2) / MATRIX_UNIT**2 + 1
            limit *= 1 if towards_pixels else 2  # four of the lowest functions, halved
        return largest
