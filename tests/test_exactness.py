"""The promise of the format: the same pixels whatever the kernels, threads and paths."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from .make_golden import DATA

SETTINGS = [
    {"ATEN_CPU_CAPABILITY": "default"},
    {"ATEN_CPU_CAPABILITY": "avx2"},
    {"ATEN_CPU_CAPABILITY": "avx512"},
    {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"},
    {},
]

# Decodes every golden file of the photo model, whole and cut, by every path, and prints the digests as JSON.
PROGRAM = """
import json, sys, torch
from convdraw_codec import Codec
from convdraw_codec.integer import CONVOLUTIONS
from tests.make_golden import DATA, digest
torch.set_num_threads(int(sys.argv[1]))
names = sorted(json.loads((DATA / "photo.json").read_text()))
paths = {path: Codec(convolution=path) for path in CONVOLUTIONS}
print(json.dumps({f"{path} {name} {steps}": digest(codec.decompress(DATA / f"{name}.cdr", steps))
                  for path, codec in paths.items() for name in names for steps in (8, codec.total_steps)}))
"""


if torch.backends.cpu.get_cpu_capability() != "AVX512":
    SETTINGS = [setting for setting in SETTINGS if setting.get("ATEN_CPU_CAPABILITY") != "avx512"]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: " ".join(f"{k}={v}" for k, v in s.items()) or "own")
def test_golden_files_under_every_kernel_setting(setting, threads):
    golden = json.loads((DATA / "photo.json").read_text())
    assert len(golden) == 3
    result = subprocess.run([sys.executable, "-c", PROGRAM, str(threads)], env=os.environ | setting,
                            capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    decoded = json.loads(result.stdout)
    assert len(decoded) == 2 * 2 * len(golden)
    for key, value in decoded.items():
        _, name, steps = key.split()
        assert value == golden[name][steps], key
