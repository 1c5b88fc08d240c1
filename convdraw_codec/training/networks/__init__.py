"""What is trained of the codec: the same numbers as in ``network``, with gradients."""
