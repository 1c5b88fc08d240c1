"""One picture in progress: its latents, the canvas, symbols and range coder."""
