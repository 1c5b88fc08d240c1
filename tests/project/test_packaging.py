"""What the package asks for is what it is tested with."""

import re
import tomllib
from pathlib import Path

from packaging.version import Version

from ..conftest import ROOT


def pinned(path: Path) -> dict[str, str]:
    """Versions by package in a constraints file."""
    return dict(re.findall(r"^([\w-]+)==(\S+)$", path.read_text(), re.MULTILINE))


def lowest() -> dict[str, str]:
    """The lowest versions that pyproject.toml allows of everything that a test run needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["compare"], *extras["bench"], *extras["test"]]
    return {name: version for entry in asked if not entry.startswith("cdraw[")
            for name, version in re.findall(r"^([\w-]+)>=([\d.]+)(?:,.*)?$", entry)}


def test_the_lowest_versions_are_listed() -> None:
    versions, tested = lowest(), pinned(ROOT / "tests" / "lowest-versions.txt")
    assert versions.keys() == tested.keys()
    for name in versions.keys() - {"torch"}:
        assert Version(tested[name]) == Version(versions[name]), name


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(entry for extra, entries in project["optional-dependencies"].items()
                                         if extra != "fuzz" for entry in entries)]
    names = {re.split(r"[^\w-]", entry)[0] for entry in asked if not entry.startswith("cdraw[")}
    assert names <= pinned(ROOT / "constraints.txt").keys()
