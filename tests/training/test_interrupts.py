"""A run that is interrupted saves first, says where, and goes on from there."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from convdraw_codec import Codec
from convdraw_codec.training.loop import held_back

from ..conftest import ROOT
from .short import short_config

PATIENCE = 100.0  # seconds after which what should have ended never will


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_goes_on(number: signal.Signals, photographs: Path, tmp_path: Path) -> None:
    """It is stopped as soon as it shows progress, in a training that would take days."""
    config, output = tmp_path / "c.toml", tmp_path / "m.safetensors"
    checkpoint = Path(f"{output}.ckpt")
    config.write_text(short_config(10_000))
    command = [sys.executable, "-m", "convdraw_codec", "train", str(photographs), "-o", str(output), "--config",
               str(config), "--threads", "1"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr
        said: list[str] = []
        while not (said and "stage 1 (forecast)" in said[-1]):
            said.append(child.stderr.readline())
            assert said[-1], said  # it ended
        child.send_signal(number)
        _, rest = child.communicate(timeout=PATIENCE)
    assert child.returncode == -number
    assert any(f"Writing {output}, {checkpoint}" in line for line in said)
    assert f"the same command goes on from {checkpoint}" in rest
    with safe_open(checkpoint, "np") as file:
        assert json.loads(file.metadata()["position"])["iteration"] > 0
    config.write_text(short_config(0.01))
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert again.returncode == 0
    assert "Going on at" in again.stderr
    assert Codec(output).total_steps == 2


def test_a_second_signal_is_obeyed() -> None:
    with pytest.raises(KeyboardInterrupt), held_back() as held:
        signal.raise_signal(signal.SIGINT)
        assert held == [signal.SIGINT]
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it was held back as well")


def test_the_first_signal_takes_effect_at_the_end() -> None:
    done = False
    with pytest.raises(KeyboardInterrupt), held_back():
        signal.raise_signal(signal.SIGINT)
        done = True
    assert done
