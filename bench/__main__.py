"""``python -m bench COMMAND``: a command is imported only when it is asked for."""

from __future__ import annotations

import os
from importlib import import_module

import click

COMMANDS = {
    "rate-distortion": "quality.rate_distortion",
    "report": "quality.report",
    "same-size": "quality.same_size",
    "fills": "quality.fills",
    "plausible": "plausible.pictures",
    "grey": "quality.grey",
    "lossless": "quality.lossless",
    "paper-figures": "quality.paper_figures",
    "speed": "timing.speed",
    "large": "timing.large",
    "verify": "robustness.verify",
    "budgets": "robustness.budgets",
    "soak": "robustness.soak",
    "fuzz": "robustness.fuzz",
    "likelihood": "generative.likelihood",
    "generative-figures": "generative.figures",
    "probe": "generative.probe",
}


class Commands(click.Group):
    """The commands of COMMANDS, each the ``main`` of its module."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"bench.{COMMANDS[cmd_name]}").main
        return command


@click.group(cls=Commands)
def main() -> None:
    """Measure cdraw."""


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as cdraw does; fuzzing is to import the package itself
    main(prog_name="python -m bench")
