"""README and pages keep their word."""

import doctest
import io
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from convdraw_codec.cli.commands import main

from ..conftest import ROOT
from ..golden.make_reference import PAGE, reference

DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_ci_runs_the_test_command_of_the_readme_and_then_the_slow_tests() -> None:
    tests, slow = (ROOT / ".ci" / "run").read_text().splitlines()[-2:]
    assert tests == blocks("sh")[1].strip()
    assert slow == ".venv/bin/pytest -m slow"


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with Image.open(example) as image:
        image.crop((100, 100, 230, 200)).save("photo.png")
    shown: list[Image.Image] = []
    monkeypatch.setattr(Image.Image, "show", lambda picture: shown.append(picture))
    exec(compile(blocks("python")[0], "README.md", "exec"), {})
    assert [picture.size for picture in shown] == [(130, 100)] * 25
    exec(compile(blocks("python")[1], "README.md", "exec"), {})
    with Image.open("photo.cdr") as saved:
        assert saved.size == (130, 100)


class SizesNearly(doctest.OutputChecker):
    """A size in bytes may differ by 1/1000: the encoder uses floating point, which differs between processors."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        sizes = want.strip(), got.strip()
        if all(re.fullmatch(r"\d{4,}", size) for size in sizes):
            return abs(int(sizes[0]) - int(sizes[1])) <= int(sizes[0]) / 1000
        return super().check_output(want, got, optionflags)


@pytest.mark.parametrize(("want", "got", "same"), [("346615", "346614", True), ("4147", "4152", False),
                                                   ("25", "26", False), ("4147", "4147.0", False)])
def test_sizes_that_are_nearly_the_same(want: str, got: str, same: bool) -> None:
    assert SizesNearly().check_output(f"{want}\n", f"{got}\n", 0) == same


def test_the_guide_says_what_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: Path) -> None:
    """Every example of the Python guide."""
    (tmp_path / "photo.jpg").write_bytes(example.read_bytes())
    monkeypatch.chdir(tmp_path)
    report = io.StringIO()
    test = doctest.DocTestParser().get_doctest((DOCS / "python.md").read_text(), {}, "python.md", None, 0)
    result = doctest.DocTestRunner(SizesNearly(), optionflags=doctest.ELLIPSIS).run(test, out=report.write)
    assert result.attempted > 20
    assert not result.failed, report.getvalue()


def test_the_command_reference_is_that_of_the_commands() -> None:
    assert PAGE.read_text() == reference(), "run python -m tests.golden.make_reference"
    asked = CliRunner().invoke(main, ["truncate", "--help"], terminal_width=100, prog_name="cdraw").stdout
    assert asked in PAGE.read_text()


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "quick-start.md"], ids=lambda p: p.name)
def test_commands_and_options_in_pages_exist(page: Any) -> None:
    known = reference()
    for line in "\n".join(blocks("sh", page.read_text())).splitlines():
        for command, rest in re.findall(r"cdraw (\w+)([^#|&]*)", line):
            section = known.partition(f"## cdraw {command}\n")[2].partition("\n## ")[0]
            assert section, line
            for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest):
                assert re.search(rf"{option}\b", section), line
