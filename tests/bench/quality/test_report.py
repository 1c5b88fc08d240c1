"""The page says what was measured."""

import base64
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench.quality.report import main
from bench.quality.report_page import rate_ratios, rate_table
from bench.shared.pictures import opened

from ..conftest import run


@pytest.mark.usefixtures("tiny_model")
def test_the_page_of_a_comparison(comparison: Path) -> None:
    speed = comparison.parent / "speed.json"
    rows = [{"codec": "cdraw", "size": [64, 48], "threads": 2, "encode_s": 1.234, "decode_s": 0.567, "bpp": 3.21,
             "peak_memory_mb": 1890, "kmac_per_pixel": {"encode": 61.0, "decode": 69.2},
             "decode_steps_s": {"6": 0.123}, "progressive_s": 1.357},
            {"codec": "slow", "size": [64, 48], "threads": 2, "left_out": "too slow"}]
    speed.write_text(json.dumps({"machine": "a machine", "onnxruntime": "2", "import_s": 0.1, "load_model_s": 1.36,
                                 "rows": rows}))
    run(main, comparison, "--images", comparison.parent / "0.png", "--bpp", 1, "--speed", speed,
        "--published", comparison.parent / "published.json")
    check_page(comparison / "report.html", json.loads((comparison / "bd-rates.json").read_text()))
    assert opened(comparison / "details-0.png").size == (4 * 204, 216)


def check_page(path: Path, table: dict[str, dict[str, dict[str, float]]]) -> None:
    """It needs nothing beside it, and says what was measured."""
    text = path.read_text()
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)
    assert text.count("<figure>") == 4  # the original and three codecs
    assert all(said in text for said in ("1.23 / 0.567", "1,890", "too slow", "2 cores, on a machine", "3.21",
                                         "6 steps", "0.123", "1.36", "<td>61</td><td>69</td>", "1.5 s to load"))
    for rates in table.values():
        for value in rates.values():
            assert f"{value['mean over images']:+.1f} %" in text
    for data in re.findall(r"data:image/\w+;base64,([^\"]+)", text):
        Image.open(io.BytesIO(base64.b64decode(data))).verify()
    if browser := shutil.which("chromium"):
        picture = path.with_suffix(".png")
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
                   "--disable-background-networking", f"--user-data-dir={path.parent / 'profile'}",
                   "--window-size=1250,2400", f"--screenshot={picture}", path.as_uri()]
        subprocess.run(command, check=True, capture_output=True)
        with Image.open(picture) as seen:
            assert seen.size == (1250, 2400)
            assert len(set(np.asarray(seen.convert("L"))[::7, ::7].ravel())) > 30  # curves, text and photographs


def test_rates_at_equal_quality() -> None:
    ours = {"bpp": [0.1, 0.2, 0.5], "psnr-rgb": [25.0, 28.0, 45.0]}
    theirs = {"bpp": [0.4, 0.2, 0.1], "psnr-rgb": [28.0, 25.0, 22.0]}  # twice the bytes, in any order
    ratios = rate_ratios(ours, theirs, "psnr-rgb")
    assert np.exp(ratios[:2]) == pytest.approx([0.5, 0.5])
    assert np.isnan(ratios[2])


def test_quality_at_equal_rates() -> None:
    page = rate_table("psnr-rgb", {"a": {"results": {"bpp": [0.025, 0.1, 0.4], "psnr-rgb": [25.0, 30.0, 40.0]}}})
    cells = re.findall("<td>(.*?)</td>", page)
    assert cells == ["-", "27.50", "30.00", "35.00", "40.00", "-", "-", "-"]


def test_a_report_of_nothing(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [str(tmp_path)])
    assert result.exit_code == 1
    assert "holds no results" in result.output
