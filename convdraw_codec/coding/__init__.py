"""One picture in progress: tiles, range coding, side information."""
