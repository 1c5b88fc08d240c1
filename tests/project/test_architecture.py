"""Imports run one way: every room of the package knows only the rooms below it."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

import convdraw_codec

PACKAGE = Path(convdraw_codec.__file__).parent
CORE = {"errors", "configuration", "options", "atomic_write"}  # what any room may use
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(), "configuration": set(), "options": set(), "atomic_write": set(), "format": set(),
    "network": {"format"},
    "pictures": {"format"},
    "coding": {"network", "format"},
    "plausible": {"coding", "network", "format"},
    "codec": {"plausible", "pictures", "coding", "network", "format"},
    "pillow_plugin": {"codec", "pictures", "format"},
    "selftest": {"codec", "network"},
    "training": {"plausible", "pictures", "coding", "network", "format"},
    "generative": {"training", "pictures", "coding", "network", "format"},
    "cli": {"selftest", "pillow_plugin", "codec", "generative", "training", "plausible", "pictures", "coding",
            "network", "format", "__init__"},
    "__init__": {"codec", "pillow_plugin", "format"},
    "__main__": {"cli"},
}


def room(parts: tuple[str, ...]) -> str:
    return parts[0] if parts else "__init__"


def imports(path: Path) -> list[tuple[str, ast.ImportFrom]]:
    """The rooms that a module imports from, with the statements."""
    place = path.relative_to(PACKAGE).parent.parts
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = place[:len(place) + 1 - node.level] + tuple((node.module or "").split(".") if node.module else ())
            rooms = {room(base)} if base else {alias.name if alias.name in MAY_IMPORT else "__init__"
                                               for alias in node.names}
            found += [(name, node) for name in sorted(rooms)]
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Any) -> None:
    own = room(path.relative_to(PACKAGE).with_suffix("").parts)
    if own not in MAY_IMPORT:  # folders of data
        assert not imports(path)
        return
    assert {name for name, _ in imports(path)} - CORE - {own} <= MAY_IMPORT[own]


def test_no_room_imports_one_that_imports_it() -> None:
    def below(name: str, seen: tuple[str, ...] = ()) -> None:
        assert name not in seen, f"a circle: {seen}"
        for lower in MAY_IMPORT.get(name, set()) - {"__init__"}:
            below(lower, (*seen, name))

    for name in MAY_IMPORT:
        below(name)


PAGE = PACKAGE.parent / "docs" / "architecture.md"


def names(path: Path) -> set[str]:
    """Functions, classes, methods and constants of a module, methods with their class."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
            found |= {f"{node.name}.{inner.name}" for inner in getattr(node, "body", ())
                      if isinstance(inner, ast.FunctionDef)}
    return found


def test_the_page_names_what_is_there() -> None:
    links = re.findall(r"\[`([\w.]+)`\]\(\.\./([\w/.]+\.py)\)", PAGE.read_text())
    assert len(links) > 40
    for name, file in links:
        assert name in names(PACKAGE.parent / file), (name, file)


def test_the_page_names_every_room() -> None:
    text = PAGE.read_text()
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {room for room in rooms if f"`{room}/`" not in text} == set()
