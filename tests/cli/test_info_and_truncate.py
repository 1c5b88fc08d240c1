"""``cdraw info`` and ``cdraw truncate``, which need no model."""

import re
from pathlib import Path

from convdraw_codec import truncate

from .commands import MODEL, assert_fails, run


def test_info(folder: Path) -> None:
    result = run("info", "in.cdr", "-v")
    assert re.match(r"in\.cdr: 32x24 RGB, [\d,]+ bytes \(\d+\.\d{3} bpp, 7 of 7 steps\), model [0-9a-f]{16}\n",
                    result.stdout)
    assert len(result.stdout.splitlines()) == 8


def test_truncate(folder: Path) -> None:
    result = run("truncate", "in.cdr", "-o", "cut.cdr", "--steps", "4")
    assert Path("cut.cdr").read_bytes() == truncate(Path("in.cdr").read_bytes(), 4)
    assert result.stderr.startswith("Cut to ")
    assert_fails(run("truncate", "cut.cdr", "-o", "x.cdr", "--steps", "5"), "cut.cdr", "stores 4 whole steps")
    assert_fails(run("truncate", "cut.cdr", "--steps", "2"), code=2)


def test_verbose_tells_the_size_of_every_cut(folder: Path) -> None:
    lines = run("truncate", "in.cdr", "-o", "x.cdr", "--steps", "3", "-v").stderr.splitlines()
    assert len(lines) == 4
    assert lines[2].endswith(f"a file cut here has {Path('x.cdr').stat().st_size:,}")
    assert "model" in run("decompress", "x.cdr", "-o", "x.png", "-v", *MODEL).stderr.splitlines()[0]
