"""The documentation site builds without a warning."""

import subprocess
import sys
from pathlib import Path

import pytest

from ..conftest import ROOT


@pytest.mark.slow
def test_the_site_builds_with_every_page_and_every_public_name(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    build = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)], cwd=ROOT,
                           capture_output=True, text=True)
    assert build.returncode == 0, build.stderr
    reference = (tmp_path / "api" / "index.html").read_text()
    import convdraw_codec

    assert [name for name in convdraw_codec.__all__ if name not in reference] == []
    assert (tmp_path / "checkout" / "bench" / "results" / "kodak" / "rate-distortion.png").exists()
