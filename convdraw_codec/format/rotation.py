"""The colours in which a picture is coded: its mean is the first canvas, and its own axes are those of the model.

A rotation for each picture, found by ``coding.rotation_fit``, so errors keep their size. Needs neither torch nor numpy.
"""

from __future__ import annotations

from dataclasses import dataclass

TURN_UNIT = 2**14  # the matrix of a turn counts in 1/2^14
FIRST = 127  # the component of a turn's quaternion that is not stored


@dataclass(frozen=True)
class Colours:
    """mean: red, green and blue, 0..255. turn: -128..127 each; 127 and these three are a quaternion of any length."""

    mean: tuple[int, int, int] = (128, 128, 128)
    turn: tuple[int, int, int] = (0, 0, 0)

    def matrix(self) -> list[list[int]]:
        """What takes a colour of the canvas, less the first canvas, to one of the picture, less its mean: three rows
        of whole numbers in 1/2^14, a rotation but for their rounding, halves up."""
        a, (b, c, d) = FIRST, self.turn
        turned = [[a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
                  [2 * (b * c + a * d), a * a - b * b + c * c - d * d, 2 * (c * d - a * b)],
                  [2 * (b * d - a * c), 2 * (c * d + a * b), a * a - b * b - c * c + d * d]]
        length = a * a + b * b + c * c + d * d
        return [[(2 * TURN_UNIT * entry + length) // (2 * length) for entry in row] for row in turned]
