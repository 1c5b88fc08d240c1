"""Promises of the format, hostile input, and long runs."""
