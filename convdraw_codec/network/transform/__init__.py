"""Fixed linear transforms between pixels and coefficients."""
