"""Real faults, not mocks: full and read-only file systems, killed processes, closed pipes, two writers at once.

File systems of their own need Linux with user namespaces, or root.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from convdraw_codec import Codec
from convdraw_codec.atomic_write import write_output

from ..conftest import ROOT, synthetic
from ..tiny import TINY_MODEL

CDRAW = [sys.executable, "-m", "convdraw_codec"]
MODEL = ["--model", str(TINY_MODEL)]


def namespaces() -> bool:
    mount = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return bool(shutil.which("unshare")) and subprocess.run(mount, capture_output=True).returncode == 0


own_file_system = pytest.mark.skipif(not namespaces(), reason="needs Linux and user namespaces")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.fromarray(synthetic(300, 400)).save(tmp_path / "in.png")
    return tmp_path / "in.png"


@pytest.fixture
def coded(picture: Path, tiny: Codec) -> Path:
    picture.with_suffix(".cdr").write_bytes(tiny.compress(picture))
    return picture.with_suffix(".cdr")


def on_a_disk(folder: Path, options: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in ``folder``, a file system of its own, which is gone afterwards."""
    setup = f"mount -t tmpfs -o {options} none {folder} && cd {folder} && {script}"
    return subprocess.run(["unshare", "-rm", "sh", "-c", setup], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT)})


@own_file_system
@pytest.mark.parametrize("command", ["truncate", *(pytest.param(command, marks=pytest.mark.slow)
                                                   for command in ("compress", "decompress", "montage"))])
def test_a_full_disk(tmp_path: Path, picture: Path, coded: Path, command: str) -> None:
    """Exit code 1, one sentence; the old output is as it was, and nothing else is there."""
    disk = tmp_path / "disk"
    disk.mkdir()
    source, options = {"compress": (picture, MODEL), "decompress": (coded, MODEL), "montage": (coded, MODEL),
                       "truncate": (coded, ["--steps", "7"])}[command]
    target = "out.png" if command in ("decompress", "montage") else "out.cdr"
    line = " ".join([*CDRAW, command, str(source), "-o", target, "--force", *options])
    result = on_a_disk(disk, "size=8k", f"echo old > {target}; {line}; echo $?; cat {target}; ls -A")
    assert result.stdout.split() == ["1", "old", target], result.stderr
    assert result.stderr == f"cdraw: error: cannot write {target}: no space left on device\n"


@own_file_system
def test_a_read_only_disk(tmp_path: Path, coded: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    line = " ".join([*CDRAW, "truncate", str(coded), "--steps", "7", "-o", "out.cdr", "--force"])
    script = f"echo old > out.cdr; mount -o remount,ro {disk}; {line}; echo $?; cat out.cdr; ls -A"
    result = on_a_disk(disk, "size=1m", script)
    assert result.stdout.split() == ["1", "old", "out.cdr"], result.stderr
    assert result.stderr == "cdraw: error: cannot write out.cdr: read-only file system\n"


WRITER = """
import sys
from convdraw_codec import Codec
from convdraw_codec.atomic_write import write_output
contents = [bytes([65 + i]) * 200_000 for i in range(int(sys.argv[2]))]
print("ready", flush=True)
for _ in range(int(sys.argv[3])):
    for content in contents:
        write_output(sys.argv[1], content)
"""


def writer(target: Path, contents: int, rounds: int) -> subprocess.Popen[bytes]:
    """A process that writes different contents to the target, again and again; it has begun."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(target), str(contents), str(rounds)],
                               stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    return process


def kill_a_writer(target: Path, rng: random.Random) -> None:
    """Start one, and kill it at a random point."""
    with writer(target, 2, 10**6) as process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_while_writing(tmp_path: Path, kills: int) -> None:
    """The output is always one of the whole contents."""
    target, rng = tmp_path / "out", random.Random(0)
    write_output(target, b"A" * 200_000)
    for _ in range(kills):
        kill_a_writer(target, rng)
        assert target.read_bytes() in (b"A" * 200_000, b"B" * 200_000)


def test_a_later_writer_clears_up(tmp_path: Path) -> None:
    target, rng = tmp_path / "out", random.Random(0)
    left: list[Path] = []
    while not left:  # until one was in the middle
        kill_a_writer(target, rng)
        left = [path for path in tmp_path.iterdir() if path != target]
    write_output(target, b"C")
    assert {*left} < {*tmp_path.iterdir()}  # somebody may still be at them
    for path in left:
        os.utime(path, (0, 0))
    write_output(target, b"D")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert target.read_bytes() == b"D"


@pytest.mark.parametrize("moment", ["chmod", "fsync", "replace"])
def test_stopped_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """Whatever ends the work, it leaves the old output, with its permissions, and nothing else."""
    target = tmp_path / "out"
    target.write_bytes(b"old")
    target.chmod(0o640)

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, moment, stop)
        write_output(target, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert target.read_bytes() == b"old"
    write_output(target, b"new")
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_writer_that_fails_leaves_the_others_alone(tmp_path: Path) -> None:
    """One process meets a full disk (a limit of its own) again and again, while another writes the same output."""
    target = tmp_path / "out"
    failing = f"""
import contextlib, resource
from convdraw_codec import Codec
from convdraw_codec.atomic_write import write_output
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
print("ready", flush=True)
failures = 0
for _ in range(200):
    try:
        write_output({str(target)!r}, b"Z" * 200_000)
    except OSError:
        failures += 1
assert failures == 200
"""
    with (subprocess.Popen([sys.executable, "-c", failing], stdout=subprocess.PIPE, cwd=ROOT) as other,
          writer(target, 3, 30) as process):
        assert process.wait() == 0
        assert other.wait() == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert target.read_bytes() == b"C" * 200_000


def test_two_processes_write_the_same_output(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with writer(target, 3, 30) as first, writer(target, 3, 30) as second, writer(target, 3, 30) as third:
        processes = first, second, third
        while any(process.poll() is None for process in processes):
            if target.exists():
                content = target.read_bytes()
                assert len(content) == 200_000
                assert len(set(content)) == 1
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_closed_pipe(coded: Path) -> None:
    """As in ``cdraw truncate -o - | head``: an error, and no traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run([*CDRAW, "truncate", str(coded), "--steps", "7", "-o", "-"], cwd=ROOT, stdout=writing,
                            stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert result.returncode == 1
    assert result.stderr == "cdraw: error: cannot write standard output: broken pipe\n"


def test_missing_weights(tmp_path: Path, picture: Path) -> None:
    """A package whose model file was lost says so."""
    broken = tmp_path / "broken" / "convdraw_codec"
    broken.mkdir(parents=True)
    for entry in (ROOT / "convdraw_codec").iterdir():
        if entry.name != "models":
            (broken / entry.name).symlink_to(entry)
    (broken / "models").mkdir()
    result = subprocess.run([*CDRAW, "compress", str(picture)], cwd=tmp_path, capture_output=True, text=True,
                            env=os.environ | {"PYTHONPATH": str(broken.parent)})
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "photo.safetensors" in result.stderr
    assert not picture.with_suffix(".cdr").exists()
