"""Codecs in other processes: after a fork, and pickled."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from convdraw_codec import Codec, codec
from convdraw_codec.network.weights import load_model

from ..conftest import ROOT
from ..tiny import TINY_MODEL

FORK = """
import multiprocessing, torch
from convdraw_codec import Codec
from tests.conftest import synthetic
from tests.tiny import TINY_MODEL

torch.set_num_threads(2)
codec, picture = Codec(TINY_MODEL), synthetic(100, 150)
data = codec.compress(picture)  # OpenMP's threads have run
with multiprocessing.get_context("fork").Pool(1) as pool:
    assert pool.apply(codec.compress, [picture]) == data
assert torch.get_num_threads() == 2
"""


@pytest.mark.skipif(sys.platform != "linux", reason="forks after threads")
def test_a_forked_process_works() -> None:
    subprocess.run([sys.executable, "-c", FORK], cwd=ROOT, check=True, timeout=60)


@pytest.mark.parametrize(("chosen", "then"), [(None, "float64"), ("float32", "float32")])
def test_a_pickled_codec_keeps_the_users_choice_alone(monkeypatch: pytest.MonkeyPatch, chosen: str | None,
                                                      then: str) -> None:
    """Another machine may have other kernels."""
    pickled = pickle.dumps(Codec(TINY_MODEL, convolution=chosen))
    used = []

    def load(path: Path, convolution: str) -> object:
        used.append(convolution)
        return load_model(path, convolution)

    monkeypatch.setattr(codec, "fastest_exact", lambda: "float64")
    monkeypatch.setattr(codec, "load_model", load)
    pickle.loads(pickled)
    assert used == [then]
