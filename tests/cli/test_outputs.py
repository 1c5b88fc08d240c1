"""Where results go, and what is left on disk when something is wrong."""

import os
from pathlib import Path

from convdraw_codec import truncate

from .commands import MODEL, assert_fails, run


def test_nothing_is_overwritten_without_force(folder: Path) -> None:
    before = Path("in.cdr").read_bytes()
    assert_fails(run("compress", "in.png", "-o", "in.cdr", "--steps", "1", *MODEL), "in.cdr exists", "--force")
    assert Path("in.cdr").read_bytes() == before
    assert run("compress", "in.png", "-o", "in.cdr", "--steps", "1", "--force", *MODEL).exit_code == 0
    assert len(Path("in.cdr").read_bytes()) < len(before)


def test_a_folder_that_cannot_be_written(folder: Path) -> None:
    assert_fails(run("compress", "in.png", "-o", "absent/x.cdr", *MODEL), "cannot write", "absent")
    assert_fails(run("truncate", "in.cdr", "-o", ".", "--steps", "1"), "cannot write", "folder")


def test_links_are_followed_and_devices_stay(folder: Path) -> None:
    Path("real.cdr").write_bytes(b"old")
    Path("link.cdr").symlink_to("real.cdr")
    assert run("truncate", "in.cdr", "-o", "link.cdr", "--steps", "1", "--force").exit_code == 0
    assert Path("link.cdr").is_symlink()
    assert Path("real.cdr").read_bytes() == truncate(Path("in.cdr").read_bytes(), 1)
    assert run("truncate", "in.cdr", "-o", os.devnull, "--steps", "1", "--force").exit_code == 0
    assert not Path(os.devnull).is_file()


def test_permissions_stay(folder: Path) -> None:
    Path("out.cdr").write_bytes(b"old")
    Path("out.cdr").chmod(0o600)
    assert run("compress", "in.png", "-o", "out.cdr", "--force", *MODEL).exit_code == 0
    assert Path("out.cdr").stat().st_mode & 0o777 == 0o600


def test_names_as_long_as_the_disk_takes(folder: Path) -> None:
    name = f"{'写' * 83}a.cdr"  # 254 bytes
    assert run("compress", "in.png", "-o", name, *MODEL).exit_code == 0
    assert Path(name).read_bytes() == Path("in.cdr").read_bytes()
    assert sorted(path.name for path in Path().iterdir()) == ["in.cdr", "in.png", name]
