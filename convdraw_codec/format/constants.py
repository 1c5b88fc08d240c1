"""Numbers that the .cdr format fixes, and that the model, the coder and the container share."""

MAGIC = b"\xcdCDR"
VERSION = 6
MODEL_FORMAT = "cdraw model 8"  # in the metadata of a model file
TEXTURE_FORMAT = "cdraw texture 1"  # in that of a texture file
MODES = ("RGB", "L", "RGBA", "LA")
LARGEST_SIDE = 65535  # pixels
MAX_PIXELS = 2**26  # of a picture, unless the user allows more
FINGERPRINT_BYTES = 8  # of the model
CHECKSUM_BYTES = 3  # of each chunk and segment; the header has 4
CHUNK_NAME_BYTES = 4
RESIDUAL_STEPS = 12  # that may follow those of the model, and make the picture exact

PRECISION = 24  # frequencies of a distribution sum to 2**24
LARGEST = 15  # largest magnitude of a symbol with a symbol of its own
ESCAPE = 2 * LARGEST + 1
SYMBOLS = ESCAPE + 1
