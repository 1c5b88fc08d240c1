"""Benchmarks: every figure in the README and in docs/ comes from ``python -m bench COMMAND``."""
