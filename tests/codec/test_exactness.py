"""The promise of the format: the same pixels whatever the kernels, threads and paths."""

import os
import subprocess
import sys
from typing import Any

import pytest
import torch

from convdraw_codec import Codec
from convdraw_codec.network.exact_conv import CONVOLUTIONS, is_exact
from convdraw_codec.selftest import SEED, conformance_set, digest

from ..conftest import ROOT
from .test_conformance import FEW

SETTINGS = [
    {"ATEN_CPU_CAPABILITY": "default"},
    {"ATEN_CPU_CAPABILITY": "avx2"},
    {"ATEN_CPU_CAPABILITY": "avx512"},
    {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"},
    {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"},
    {},
]
if torch.backends.cpu.get_cpu_capability() != "AVX512":
    SETTINGS = [setting for setting in SETTINGS if setting.get("ATEN_CPU_CAPABILITY") != "avx512"]


@pytest.mark.parametrize("path", [path for path in CONVOLUTIONS if is_exact(path)])
def test_three_files_on_every_path_of_this_machine(path: str) -> None:
    codec, shown = Codec(convolution=path), {}
    for name, data, fill, expected in conformance_set():
        if name in FEW:
            shown[name] = digest(codec.decompress(data, fill=fill, seed=SEED)) == expected
    assert shown == dict.fromkeys(FEW, True)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: " ".join(f"{k}={v}" for k, v in s.items()) or "own")
def test_the_conformance_set_under_every_kernel_setting(setting: Any, threads: int) -> None:
    result = subprocess.run([sys.executable, "-m", "convdraw_codec", "selftest", "--threads", str(threads)],
                            env=os.environ | setting, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stdout
    verdicts = dict(line.split(": ", 1) for line in result.stdout.splitlines())
    assert list(verdicts) == list(CONVOLUTIONS)
    if setting.get("ONEDNN_MAX_CPU_ISA") in ("AVX2", "SSE41") or not is_exact("int8"):  # bytes add in 16 bits
        assert verdicts.pop("int8") == "not exact on this machine, and not used"
    assert all(verdict.startswith("exact") for verdict in verdicts.values())
