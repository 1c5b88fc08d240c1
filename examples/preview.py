"""Show a picture on a terminal with 24-bit colour, better with every step that arrives:

curl -s --limit-rate 4k https://example.org/photo.cdr | python preview.py

Two pixels share a character: the upper one is the colour of the half block, the lower one that of its background.
``Codec.progressive`` takes an open file or pipe, or pieces of bytes from anywhere, such as the body of a response.
It decodes each step once, and every picture costs the estimate besides.
"""

import shutil
import sys

from convdraw_codec import Codec

lines_before = 0
for picture in Codec().progressive(sys.stdin.buffer):
    columns, lines = shutil.get_terminal_size()
    scale = min(columns / picture.width, 2 * (lines - 1) / picture.height)
    width, height = max(1, int(picture.width * scale)), max(2, int(picture.height * scale) // 2 * 2)
    small = picture.convert("RGB").resize((width, height))
    if lines_before:
        print(f"\x1b[{lines_before}A", end="")  # back up, and over the last one
    for y in range(0, height, 2):
        for x in range(width):
            upper, lower = (";".join(map(str, small.getpixel((x, y + i)))) for i in (0, 1))
            print(f"\x1b[38;2;{upper};48;2;{lower}m▀", end="")
        print("\x1b[0m", flush=True)
    lines_before = height // 2
