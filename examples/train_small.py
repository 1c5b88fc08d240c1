"""Train a small model on a folder of photographs, and use it: python train_small.py FOLDER MODEL.safetensors [CONFIG]

Stopped with ^C, the same command goes on where it was.
"""

import subprocess
import sys
from pathlib import Path

from convdraw_codec import Codec

folder, model = Path(sys.argv[1]), sys.argv[2]
config = sys.argv[3] if len(sys.argv) > 3 else str(Path(__file__).with_name("small.toml"))
subprocess.run([sys.executable, "-m", "convdraw_codec", "train", str(folder), "-o", model, "--config", config],
               check=True)

codec = Codec(model)
picture = min(file for file in folder.iterdir() if file.suffix in (".png", ".jpg"))
data = codec.compress(picture)
print(f"{picture.name}: {len(data)} bytes with model {codec.fingerprint}")
codec.decompress(data).save(f"{model}.png")
