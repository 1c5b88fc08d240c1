"""The model in bytes: transform, estimator, prior, residual steps. Knows no pictures, needs no torch."""
