"""The README keeps its word."""

import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_ci_runs_the_test_command_of_the_readme():
    assert blocks("sh")[1].strip() == (ROOT / ".ci" / "run").read_text().strip().splitlines()[-1]


def test_the_python_example_runs(tmp_path, monkeypatch, example):
    monkeypatch.chdir(tmp_path)
    with Image.open(example) as image:
        image.crop((100, 100, 230, 200)).save("photo.png")
    shown: list[Image.Image] = []
    monkeypatch.setattr(Image.Image, "show", lambda picture: shown.append(picture))
    exec(compile(blocks("python")[0].replace('; Codec("model.safetensors") is another', ""), "README.md", "exec"), {})
    assert [picture.size for picture in shown] == [(130, 100)] * 25
    exec(compile(blocks("python")[1], "README.md", "exec"), {})
    with Image.open("photo.cdr") as saved:
        assert saved.size == (130, 100)


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.name)
def test_pages_are_finished_and_their_links_lead_somewhere(page):
    text = page.read_text()
    assert not re.search(r"@[A-Z]+@", text)
    for target in re.findall(r"\]\((?!http)([^)]+)\)", text):
        assert (page.parent / target).exists(), target


