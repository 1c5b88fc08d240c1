"""The command line, one module for each command.

Data go to files or standard output, chatter to standard error. Exit codes: 0 done, 1 failed, 2 wrong usage.
"""

import click

from ... import __version__
from . import compare, compress, decompress, info, montage, selftest, serve, train, truncate


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="cdraw")
def main() -> None:
    """A neural image codec in which one file holds every quality."""


for command in (compare.compare, compress.compress, decompress.decompress, info.info, montage.montage,
                selftest.selftest, serve.serve, train.train, truncate.truncate):
    main.add_command(command)
