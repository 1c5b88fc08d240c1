"""What the commands share: the codecs, the pictures, the workers, and the frame of a command."""
