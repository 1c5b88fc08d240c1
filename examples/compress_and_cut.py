"""Compress a picture once, and cut the file to many sizes: python compress_and_cut.py PICTURE"""

import sys

from PIL import Image

from convdraw_codec import Codec, inspect, truncate
from convdraw_codec.pictures.metrics import psnr

codec = Codec()
with Image.open(sys.argv[1]) as opened:
    picture = opened.convert("RGB")

data = codec.compress(picture)
print(f"whole file: {len(data)} bytes, {inspect(data).steps} steps")
for share in (2, 10, 50):
    cut = truncate(data, size=len(data) // share)  # takes no time, and no model
    decoded = codec.decompress(cut)
    print(f"1/{share} of it: {len(cut)} bytes, {inspect(cut).steps} steps, {psnr(picture, decoded):.1f} dB")
