"""Write ``docs/command-line.md`` from the commands themselves: ``python -m tests.golden.make_reference``."""


import click

from convdraw_codec.cli.commands import main

from ..conftest import ROOT

PAGE = ROOT / "docs" / "command-line.md"
INTRODUCTION = """\
# Command reference

What `cdraw --help` and `cdraw COMMAND --help` say; made from them by `python -m tests.golden.make_reference`.

Everywhere, `-` is standard input or output, also by the names `/dev/stdin` and `/dev/stdout`. Results go to files or
standard output, all messages to standard error. Exit codes: 0, done; 1, failed, with a sentence on standard error; 2,
wrong usage. Nothing is overwritten without `--force`, but by `train`; an input never is. A file is written whole or not
at all. A terminal gets data only with `--force`.
"""


def reference() -> str:
    """The page."""
    sections = [INTRODUCTION]
    whole = click.Context(main, info_name="cdraw", terminal_width=100, **main.context_settings)
    contexts = [whole] + [click.Context(command, whole, name) for name, command in sorted(main.commands.items())]
    sections += [f"## {context.command_path}\n\n```text\n{context.get_help()}\n```\n" for context in contexts]
    return "\n".join(sections)


if __name__ == "__main__":
    PAGE.write_text(reference())
