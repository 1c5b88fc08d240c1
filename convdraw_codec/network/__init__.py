"""The model: exact integer convolutions, transforms, priors, post-filter, weights. Knows no pictures."""
