"""Write ``docs/command-line.md`` from the commands themselves: ``python -m tests.make_reference``."""

from pathlib import Path

import click

from convdraw_codec.cli import main

PAGE = Path(__file__).parent.parent / "docs" / "command-line.md"
INTRODUCTION = """\
# Command reference

What `cdraw --help` and `cdraw COMMAND --help` say; made from them by `python -m tests.make_reference`.

Everywhere, `-` is standard input or output. Results go to files or standard output, all messages to standard error.
Exit codes: 0, done; 1, failed, with a sentence on standard error; 2, wrong usage. Nothing is overwritten without
`--force`, and a file is written whole or not at all.
"""


def reference() -> str:
    """The page."""
    sections = [INTRODUCTION]
    commands = [("cdraw", main)] + [(f"cdraw {name}", command) for name, command in sorted(main.commands.items())]
    for name, command in commands:
        context = click.Context(command, info_name=name, max_content_width=100, terminal_width=100)
        sections.append(f"## {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(sections)


if __name__ == "__main__":
    PAGE.write_text(reference())
