"""Rooms, files and functions stay small enough to read."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ..conftest import ROOT

CODE = ("convdraw_codec", "bench", "tests")
MODULES, LINES, BODY = 12, 400, 50  # modules in a folder, lines of a file, lines of a function behind its signature


def files() -> list[Path]:
    return sorted(path for folder in CODE for path in (ROOT / folder).rglob("*.py"))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name, and lines from the first statement behind the docstring on."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and node.body[1:] else node.body
            yield node.name, (node.end_lineno or 0) - body[0].lineno + 1


def test_no_folder_has_too_many_modules() -> None:
    counts = Counter(path.parent for path in files() if not path.name.startswith("_"))
    assert counts
    assert not {str(folder): count for folder, count in counts.items() if count > MODULES}


def test_no_file_is_too_long() -> None:
    lengths = {str(path): len(path.read_text().splitlines()) for path in files()}
    assert not {path: length for path, length in lengths.items() if length > LINES}


def test_no_function_is_too_long() -> None:
    assert not [(str(path), *found) for path in files() for found in functions(path) if found[1] > BODY]
