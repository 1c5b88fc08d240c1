"""Likelihoods of the generative models, and their trained weights."""
