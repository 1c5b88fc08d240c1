"""Make a page of thumbnails of .cdr files with Pillow: python thumbnails.py FOLDER PAGE.png

``thumbnail`` decodes a picture that is 2, 4 or 8 times smaller where that is enough, which takes less time.
"""

import sys
from pathlib import Path

from PIL import Image

from convdraw_codec import register_cdr_opener

SIDE, COLUMNS = 128, 4

register_cdr_opener()
folder, page = Path(sys.argv[1]), sys.argv[2]
files = sorted(folder.glob("*.cdr"))
sheet = Image.new("RGB", (SIDE * COLUMNS, SIDE * -(-len(files) // COLUMNS)), "white")
for number, file in enumerate(files):
    with Image.open(file) as picture:
        print(f"{file.name}: {picture.size}, {picture.info['steps'][0]} steps")  # nothing is decoded yet
        picture.thumbnail((SIDE, SIDE))
        sheet.paste(picture.convert("RGB"), (number % COLUMNS * SIDE, number // COLUMNS * SIDE))
sheet.save(page)
