"""The promise of the format: the same pixels whatever the kernels, threads and paths."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from convdraw_codec import Codec
from convdraw_codec.network.convolution import GRAPHS, is_exact
from convdraw_codec.selftest import SEED, conformance_set, digest

from ..conftest import ROOT
from .test_conformance import FEW


@pytest.mark.parametrize("path", [path for path in GRAPHS if is_exact(path)])
def test_three_files_on_every_path_of_this_machine(path: str) -> None:
    codec, shown = Codec(convolution=path), {}
    for name, data, fill, expected in conformance_set():
        if name in FEW:
            shown[name] = digest(codec.decompress(data, fill=fill, seed=SEED)) == expected
    assert shown == dict.fromkeys(FEW, True)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_the_conformance_set_with_every_number_of_threads(threads: int) -> None:
    for path in filter(is_exact, GRAPHS):
        codec = Codec(convolution=path, threads=threads)
        for name, data, fill, expected in conformance_set():
            assert digest(codec.decompress(data, fill=fill, seed=SEED)) == expected, name


PROGRAM = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError("there is no torch")
sys.meta_path.insert(0, NoTorch())
from convdraw_codec.cli.process import main
sys.argv[0] = "cdraw"
main()
"""


def test_a_program_without_torch_compresses_and_decompresses(tmp_path: Path, example: Path) -> None:
    for arguments in (["compress", str(example), "-o", "a.cdr", "--steps", "9"], ["decompress", "a.cdr", "-o", "a.png"],
                      ["compare", str(example), "a.cdr"], ["selftest"]):
        result = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True,
                                cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)})
        assert result.returncode == 0, result.stderr
