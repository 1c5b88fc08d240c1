"""What can go wrong with a user's files. Every message is one sentence, or the end of one that names the file."""


def counted(number: int, noun: str) -> str:
    """As in "1 byte" and "1,200 bytes"."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


class CdrawError(ValueError):
    """Base of all errors of this package."""


class CdrError(CdrawError):
    """A .cdr file that cannot be decoded as asked."""


class TruncatedError(CdrError):
    """A .cdr file that is damaged or ends early. ``steps``: how many whole steps precede that place."""

    def __init__(self, message: str, steps: int = 0):  # pickle and copy call it with the message alone
        super().__init__(message)
        self.steps = steps


class ImageError(CdrawError):
    """A picture that cannot be compressed."""


class ModelError(CdrawError):
    """A model file that cannot be used."""


class ConfigError(CdrawError):
    """A model or training configuration that makes no sense."""


class MachineError(CdrawError):
    """A machine that cannot decode exactly."""
