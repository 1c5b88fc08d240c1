"""``python -m convdraw_codec`` is ``cdraw``."""

from .cli import main

main(prog_name="cdraw")
