"""The browser decoder in web/: its own tests, where there is what they need."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..conftest import ROOT

WEB = ROOT / "web"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
MINUTES = 15


def node_tests(folder: str, *builds: str) -> None:
    """Run these scripts that build, and the tests of a folder. Skips where Node.js is missing, or what npm installs."""
    node = shutil.which("node")
    if not node:
        pytest.skip("there is no Node.js")
    if not (WEB / "node_modules").is_dir():
        pytest.skip("run npm ci in web/ first")
    environment = os.environ | {"CDRAW": f"{sys.executable} -m convdraw_codec"}
    for command in (*([build] for build in builds), ["--test", "--test-force-exit", folder]):
        done = subprocess.run([node, *command], cwd=WEB, capture_output=True, text=True, timeout=60 * MINUTES,
                              env=environment)
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]


def test_the_decoder_in_node() -> None:
    node_tests("test/node/", "build.mjs")


@pytest.mark.slow
def test_the_decoder_in_chromium() -> None:
    if not any(map(shutil.which, CHROMIUM)):
        pytest.skip("there is no Chromium")
    node_tests("test/browser/", "build.mjs", "demo/build.mjs")


def test_the_types() -> None:
    compiler = WEB / "node_modules" / ".bin" / "tsc"
    if not compiler.exists():
        pytest.skip("run npm ci in web/ first")
    done = subprocess.run([compiler, "--noEmit"], cwd=WEB, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def sources() -> list[Path]:
    folders = (WEB / "src", WEB / "test", WEB / "demo" / "src")
    return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in (".ts", ".mjs"))


def test_no_source_is_too_long() -> None:
    assert sources()
    assert not {str(path): count for path in sources() if (count := len(path.read_text().splitlines())) > 400}


def test_versions_are_pinned() -> None:
    package = json.loads((WEB / "package.json").read_text())
    lock = json.loads((WEB / "package-lock.json").read_text())["packages"]
    for name, version in (package["dependencies"] | package["devDependencies"]).items():
        assert lock[f"node_modules/{name}"]["version"] == version, name
