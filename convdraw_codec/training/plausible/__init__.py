"""Training the texture of plausible pictures: a critic of deep features against the network."""
