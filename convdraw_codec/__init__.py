"""cdraw: a neural image codec in which one file holds every quality.

>>> from convdraw_codec import Codec, truncate
>>> data = Codec().compress("picture.png")          # doctest: +SKIP
>>> Codec().decompress(truncate(data, steps=6))     # doctest: +SKIP

``truncate``, ``inspect`` and the exceptions need no model; ``Codec`` loads one. Torch is for training.
``register_cdr_opener`` lets Pillow open and save .cdr files.
"""

from typing import TYPE_CHECKING

from .errors import CdrawError, CdrError, ConfigError, ImageError, MachineError, ModelError, TruncatedError
from .format.bitstream import Header, inspect, truncate

if TYPE_CHECKING:
    from .codec import Codec
    from .pillow_plugin import register_cdr_opener

__all__ = ["CdrError", "CdrawError", "Codec", "ConfigError", "Header", "ImageError", "MachineError", "ModelError",
           "TruncatedError", "inspect", "register_cdr_opener", "truncate"]
__version__ = "0.1.0"


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> object:
    if name == "Codec":  # only on demand: it takes time to import
        from .codec import Codec

        return Codec
    if name == "register_cdr_opener":
        from .pillow_plugin import register_cdr_opener

        return register_cdr_opener
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
