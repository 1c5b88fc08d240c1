"""``cdraw selftest``: does this machine decode exactly?"""

from __future__ import annotations

import click

from ..console import Failure, failing, print_out
from ..loading import threads_used
from ..options import THREADS


@click.command()
@THREADS
def selftest(threads: int | None) -> None:
    """Decode the files that come with cdraw in every way this machine offers, and compare every pixel."""
    from ...network.convolution import fastest_exact
    from ...selftest import selftest as outcomes

    with failing("decode on", "this machine"):
        used = fastest_exact()
    failed = False
    for outcome in outcomes(threads_used(threads)):
        if not outcome.pictures:
            print_out(f"{outcome.path}: not exact on this machine, and not used")
            continue
        failed |= bool(outcome.wrong) and outcome.path == used
        verdict = (f"wrong in {', '.join(outcome.wrong)}" if outcome.wrong
                   else f"exact in {outcome.pictures} pictures; {outcome.seconds:.2f} s for one of 300x200 pixels")
        print_out(f"{outcome.path}: {verdict}" + "; used here" * (outcome.path == used))
    if failed:
        raise Failure("this machine shows wrong pixels: please report it, with what is printed above")
