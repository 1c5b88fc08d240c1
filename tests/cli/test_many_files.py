"""Many files: each gets its result or its message, and a second run finishes what a first one left."""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convdraw_codec.cli import many_files as batch
from convdraw_codec.cli.many_files import Task

from ..conftest import ROOT, synthetic
from .runner import MODEL, run
from .workers import kill_itself


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five pictures, two of them further below, and a file that is no picture."""
    monkeypatch.chdir(tmp_path)
    Path("in/deep").mkdir(parents=True)
    for i, name in enumerate(("a.png", "b.bmp", "c.png", "deep/a.png", "deep/e.jpg")):
        Image.fromarray(synthetic(9 + i, 16, i)).save(f"in/{name}")
    Path("in/notes.txt").write_text("no picture")
    return tmp_path


FILES = ["a.png", "b.bmp", "c.png", "deep/a.png", "deep/e.jpg", "notes.txt"]


def files(below: str) -> list[str]:
    return sorted(str(path.relative_to(below)) for path in Path(below).rglob("*") if path.is_file())


def test_what_cannot_be_opened_is_not_taken_from_a_folder(folder: Path) -> None:
    Image.fromarray(synthetic(9, 16)).save("in/d.pdf")  # Pillow writes them, and reads none
    assert run("compress", "in", "-o", "out", "--recursive", "--steps", "1", *MODEL).exit_code == 0
    assert "d.cdr" not in files("out")


def test_a_process_that_is_killed_loses_no_file_in_silence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [Task(Path(name), Path(name)) for name in ("a", "deadly", "b")]
    results = dict(batch.run(tasks, kill_itself, 2))
    assert results == {tasks[0]: "a", tasks[1]: None, tasks[2]: "b"}
    monkeypatch.setattr(batch, "run", lambda tasks, work, jobs: [(task, None) for task in tasks])
    result = run("compress", "in/a.png", "-o", "out/", "--jobs", "2", *MODEL)
    assert result.exit_code == 1
    assert result.stderr.startswith("cdraw: error: cannot work on in/a.png: its process was killed")


def test_a_folder_that_cannot_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path.name == "deep":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return there(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    result = run("compress", "in", "-o", "out", "--recursive", "--steps", "1", *MODEL)
    assert result.exit_code == 1
    assert result.stderr == "cdraw: error: cannot read in/deep: permission denied\n"


def cut(*arguments: str) -> list[str]:
    """The results of a batch with one step."""
    result = run("compress", *arguments, "--steps", "1", *MODEL)
    assert result.exit_code == 0, result.stderr
    return sorted(str(path) for path in Path().rglob("*.cdr"))


def test_without_a_folder_each_result_lies_beside_its_source(folder: Path) -> None:
    assert cut("in/a.png", "in/deep/a.png") == ["in/a.cdr", "in/deep/a.cdr"]
    assert cut("in", "-r", "--force") == ["in/a.cdr", "in/b.cdr", "in/c.cdr", "in/deep/a.cdr", "in/deep/e.cdr"]


def test_two_files_that_differ_in_their_suffix_keep_it(folder: Path) -> None:
    shutil.copy("in/a.png", "in/a.jpg")
    expected = ["a.jpg.cdr", "a.png.cdr", "b.cdr", "c.cdr", "deep/a.cdr", "deep/e.cdr"]
    assert cut("in", "-r", "-o", "out") == [f"out/{name}" for name in expected]
    assert run("decompress", "out", "-r", "-o", "back", "--steps", "1", *MODEL).exit_code == 0
    assert files("back")[:3] == ["a.jpg.png", "a.png.png", "b.png"]


def test_links_to_folders_are_followed_once_round(folder: Path) -> None:
    Path("in/deep/up").symlink_to("..")
    Path("in/linked").symlink_to("deep")
    expected = ["a", "b", "c", "deep/a", "deep/e", "linked/a", "linked/e"]
    assert cut("in", "-r", "-o", "out") == [f"out/{name}.cdr" for name in expected]


def test_hidden_names_are_left_out_and_so_is_the_output(folder: Path) -> None:
    shutil.copytree("in/deep", "in/.hidden")
    shutil.copy("in/a.png", "in/._a.png")
    shutil.copytree("in/deep", "in/out")
    assert cut("in", "-r", "-o", "in/out") == [f"in/out/{name}.cdr" for name in ("a", "b", "c", "deep/a", "deep/e")]


def test_a_link_to_nowhere_is_an_error_of_its_own(folder: Path) -> None:
    Path("in/gone.png").symlink_to("nowhere.png")
    Path("in/album").symlink_to("not mounted")
    result = run("compress", "in", "-r", "-o", "out", "--steps", "1", *MODEL)
    assert result.exit_code == 1
    assert "cdraw: error: cannot read in/gone.png: no such file or directory\n" in result.stderr
    assert "cdraw: error: cannot read in/album: no such file or directory\n" in result.stderr
    assert len(files("out")) == 5


def test_a_folder_without_pictures(folder: Path) -> None:
    Path("empty").mkdir()
    result = run("compress", "empty", "-r", *MODEL)
    assert result.exit_code == 2
    assert result.stderr.endswith("Error: there are no pictures below empty.\n")
    assert "Error: there are no .cdr files below in.\n" in run("decompress", "in", "-r", *MODEL).stderr


def test_a_missing_input_is_named(folder: Path) -> None:
    result = run("decompress", "missing", "-r", "-o", "back", *MODEL)
    assert result.exit_code == 1
    assert result.stderr == "cdraw: error: cannot read missing: no such file or directory\n"


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_second_run_has_nothing_left_to_do(folder: Path, jobs: str) -> None:
    assert run("compress", "in", "-o", "out", "-r", "--steps", "1", *MODEL).exit_code == 0
    result = run("compress", "in", "-o", "out", "-r", "--skip-existing", "--jobs", jobs, *MODEL)
    assert (result.exit_code, result.stderr) == (0, "there already: 5 files\n")


def test_failures_in_several_processes(folder: Path) -> None:
    for name in ("x", "y"):
        Path(f"in/{name}.cdr").write_text("no such file")
    result = run("decompress", "in", "-r", "-o", "out", "--jobs", "2")
    assert result.exit_code == 1
    first, second = sorted(result.stderr.splitlines())
    assert first.startswith("cdraw: error: cannot decode in/x.cdr: ")
    assert second.startswith("cdraw: error: cannot decode in/y.cdr: ")


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_a_folder_there_and_back(folder: Path, jobs: str) -> None:
    result = run("compress", "in", "-o", "out", "--recursive", "--jobs", jobs, *MODEL)
    assert result.exit_code == 0, result.stderr
    assert files("out") == ["a.cdr", "b.cdr", "c.cdr", "deep/a.cdr", "deep/e.cdr"]
    assert len(result.stderr.splitlines()) == 6
    assert "5 files: " in result.stderr
    assert run("decompress", "out", "-o", "back/", "-r", *MODEL).exit_code == 0
    assert files("back") == ["a.png", "b.png", "c.png", "deep/a.png", "deep/e.png"]
    with Image.open("back/deep/e.png") as image:
        assert image.size == (16, 13)


def test_one_failure_does_not_stop_the_others(folder: Path) -> None:
    Path("in/b.bmp").write_bytes(b"BMnothing")
    result = run("compress", "in/a.png", "in/b.bmp", "in/absent.png", "in/c.png", "-o", "out", "--steps", "2", *MODEL)
    assert result.exit_code == 1
    assert files("out") == ["a.cdr", "c.cdr"]
    failures = [line for line in result.stderr.splitlines() if line.startswith("cdraw: error: ")]
    assert len(failures) == 2
    assert any("in/b.bmp" in line for line in failures)
    assert any("in/absent.png" in line for line in failures)


def test_what_is_there_is_refused_skipped_or_made_anew(folder: Path) -> None:
    assert run("compress", "in/a.png", "-o", "out/", *MODEL).exit_code == 0
    before = Path("out/a.cdr").read_bytes()
    again = ("compress", "in/a.png", "in/c.png", "-o", "out", "--steps", "1", *MODEL)
    refused = run(*again)
    assert refused.exit_code == 1
    assert "out/a.cdr exists" in refused.stderr
    Path("out/c.cdr").unlink()
    skipped = run(*again, "--skip-existing")
    assert skipped.exit_code == 0
    assert "there already: 1 file\n" in skipped.stderr
    assert Path("out/a.cdr").read_bytes() == before
    assert run(*again, "--force").exit_code == 0
    assert Path("out/a.cdr").read_bytes() != before


@pytest.mark.parametrize(("arguments", "message"), [
    (("in",), "--recursive takes the files below it"),
    (("in/a.png", "in/c.png", "-o", "one.cdr"), "many files go to a folder"),
    (("in/deep", "-r", "-o", "one.png"), "many files go to a folder"),
    (("in", "-o", "out"), "--recursive takes the files below it"),
    (("in/a.png", "in/deep/a.png", "-o", "out"), "would both become"),
    (("in/a.png", "-", "-o", "out"), "take one file"),
    (("in/a.png", "in/c.png", "-o", "in/b.bmp"), "many files go to a folder"),
    (("in/deep", "-o", "-"), "take one file"),
])
def test_plans_that_make_no_sense(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run("compress", *arguments, *MODEL)
    assert result.exit_code == 2
    assert message in result.stderr
    assert os.listdir() == ["in"]
    assert files("in") == FILES


def test_a_killed_run_leaves_nothing_half_written_and_is_finished_by_another(folder: Path) -> None:
    for i in range(30):
        Image.fromarray(synthetic(64, 64, i)).save(f"in/{i}.png")
    command = [sys.executable, "-m", "convdraw_codec", "compress", "in", "-o", "out", "-r", *MODEL]
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)})
    while not list(Path("out").glob("1*.cdr")):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
            pytest.fail("the run ended before it could be killed")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run("decompress", "out", "-o", "seen", "-r", *MODEL).exit_code == 0
    assert run("compress", "in", "-o", "out", "-r", "--skip-existing", "--steps", "1", *MODEL).exit_code == 0
    assert len([name for name in files("out") if name.endswith(".cdr")]) == 35
    with Image.open("in/29.png") as image:
        assert np.asarray(image).shape == (64, 64, 3)


def test_several_processes_where_signals_have_no_mask(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""
    monkeypatch.delattr(signal, "pthread_sigmask")
    result = run("compress", "in", "-o", "out", "-r", "--jobs", "2", *MODEL)
    assert result.exit_code == 0, result.stderr
