"""Every kind of generative model, untrained."""

from ...generative.conftest import model

__all__ = ["model"]
