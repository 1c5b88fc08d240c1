"""The .cdr container: constants, header and segments. Standard library alone."""
