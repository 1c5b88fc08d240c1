"""The scripts in examples/ do what they say."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from convdraw_codec import Codec

from ..conftest import ROOT, synthetic

EXAMPLES = ROOT / "examples"


def run(name: str, *arguments: object, data: bytes = b"") -> str:
    """What a script prints."""
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout.decode()


@pytest.fixture
def files(tmp_path: Path, tiny: Codec) -> Path:
    """A folder with two .cdr files."""
    for number in range(2):
        (tmp_path / f"{number}.cdr").write_bytes(tiny.compress(synthetic(40, 56, number)))
    return tmp_path


def test_every_script_is_listed_and_tested() -> None:
    scripts = {path.name for path in EXAMPLES.glob("*.py")}
    assert scripts == set(re.findall(r"\((\w+\.py)\)", (EXAMPLES / "README.md").read_text()))
    assert all(f'"{name}"' in Path(__file__).read_text() for name in scripts)


def test_shorter_cuts_are_smaller_and_softer(tmp_path: Path) -> None:
    Image.fromarray(synthetic(64, 96)).save(tmp_path / "picture.png")
    first, *cuts = run("compress_and_cut.py", tmp_path / "picture.png").splitlines()
    whole = int(re.findall(r"\d+", first)[0])
    sizes, qualities = zip(*((int(size), float(db)) for size, db in
                             (re.findall(r"(\d+) bytes.* ([\d.]+) dB", cut)[0] for cut in cuts)), strict=True)
    assert [*sizes] == pytest.approx([whole // share for share in (2, 10, 50)], abs=2)
    assert [*qualities] == sorted(qualities, reverse=True)


def test_the_preview_draws_once_a_step_over_the_picture_before(photo: Codec) -> None:
    text = run("preview.py", data=photo.compress(synthetic(64, 96), 3))
    pictures = re.split(r"\x1b\[(\d+)A", text)
    lines = pictures[0].splitlines()
    assert pictures[1::2] == [str(len(lines))] * 2
    assert len({line.count("▀") for line in text.splitlines()}) == 1


def test_thumbnails(tmp_path: Path, photo: Codec) -> None:
    (tmp_path / "a.cdr").write_bytes(photo.compress(synthetic(150, 300), 3))
    assert run("thumbnails.py", tmp_path, tmp_path / "page.png") == "a.cdr: (300, 150), 3 steps\n"
    with Image.open(tmp_path / "page.png") as page:
        assert page.size == (512, 128)
        assert page.getpixel((60, 30)) != (255, 255, 255)
        assert page.getpixel((200, 30)) == (255, 255, 255)


@pytest.mark.parametrize("request_, status, size", [
    ("/0.cdr", 200, None), ("/0.cdr?size=120", 200, 120), ("/0.cdr?size=3", 400, None), ("/0.cdr?size=x", 400, None),
    ("/2.cdr", 404, None), ("/../files.py", 404, None), ("/%2e%2e/0.cdr", 200, None)])
def test_the_server_cuts_to_the_size_that_is_asked_for(files: Path, request_: str, status: int, size: int | None
                                                       ) -> None:
    answer = runpy.run_path(str(EXAMPLES / "serve.py"))["answer"]
    found, body = answer(files, request_)
    assert found == status
    if status == 200:
        assert len(body) == (size or len((files / "0.cdr").read_bytes()))


@pytest.mark.slow
def test_a_small_model_is_trained_and_used(tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(8):
        Image.fromarray(synthetic(80, 96, number)).save(folder / f"{number}.png")
    config = re.sub(r"^(megapixels|warm_up) = .*", r"\1 = 0.02", (EXAMPLES / "small.toml").read_text(),
                    flags=re.MULTILINE)
    (tmp_path / "quick.toml").write_text(config)
    shown = run("train_small.py", folder, tmp_path / "small.safetensors", tmp_path / "quick.toml")
    assert re.search(r"0\.png: \d+ bytes with model [0-9a-f]{16}", shown)
    with Image.open(tmp_path / "small.safetensors.png") as picture:
        assert picture.size == (96, 80)
