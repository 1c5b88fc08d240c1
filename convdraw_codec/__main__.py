"""``python -m convdraw_codec`` is ``cdraw``."""

from .cli.process import main

main()
