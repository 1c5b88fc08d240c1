"""The model in bytes: transform, prior, estimator, retouch, residual steps. Knows no pictures, needs no torch."""
