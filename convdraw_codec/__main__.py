"""``python -m convdraw_codec`` is ``cdraw``."""

from .cli.commands import main

main(prog_name="cdraw")
