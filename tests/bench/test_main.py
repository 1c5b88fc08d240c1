"""``python -m bench`` knows every command."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from bench.__main__ import COMMANDS, main

from ..conftest import ROOT


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.exception
    assert f"{name} [OPTIONS]" in result.output


def test_every_module_with_a_command_is_in_the_group() -> None:
    found = {path.relative_to(ROOT / "bench").with_suffix("").as_posix().replace("/", ".")
             for path in (ROOT / "bench").glob("*/*.py") if "\ndef main(" in path.read_text()}
    assert found == set(COMMANDS.values())


def test_an_unknown_command() -> None:
    result = CliRunner().invoke(main, ["nothing"])
    assert result.exit_code == 2
    assert "No such command 'nothing'" in result.output


def test_fuzzing_starts_before_the_package_is_imported() -> None:
    """It has to be instrumented."""
    program = ("import sys; from bench.__main__ import main; main(['fuzz', '--help'], standalone_mode=False); "
               "sys.exit('convdraw_codec' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True).returncode == 0
