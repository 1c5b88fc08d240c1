"""Codecs in other processes: after a fork, and pickled."""

import pickle
import subprocess
import sys

import pytest

from convdraw_codec import Codec, codec

from ..conftest import ROOT
from ..tiny import TINY_MODEL

FORK = """
import multiprocessing
from convdraw_codec import Codec
from tests.conftest import synthetic
from tests.tiny import TINY_MODEL

codec, picture = Codec(TINY_MODEL, threads=2), synthetic(100, 150)
data = codec.compress(picture)  # threads have run
with multiprocessing.get_context("fork").Pool(1) as pool:
    assert pool.apply(codec.compress, [picture]) == data
assert codec.compress(picture) == data
"""


@pytest.mark.skipif(sys.platform != "linux", reason="forks after threads")
def test_a_forked_process_works() -> None:
    subprocess.run([sys.executable, "-c", FORK], cwd=ROOT, check=True, timeout=60)


@pytest.mark.parametrize(("chosen", "then"), [(None, "float32"), ("int8", "int8")])
def test_a_pickled_codec_keeps_the_users_choice_alone(monkeypatch: pytest.MonkeyPatch, chosen: str | None,
                                                      then: str) -> None:
    """Another machine may have other kernels."""
    pickled = pickle.dumps(Codec(TINY_MODEL, convolution=chosen))
    monkeypatch.setattr(codec, "fastest_exact", lambda device: "float32")
    assert pickle.loads(pickled).network.convolve.path == then
