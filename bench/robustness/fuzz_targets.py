"""What the fuzzer runs, and how it changes inputs. Importing this instruments the package: import nothing of it before.

Inputs start from the files of the tests. Three of four mutants are sealed again with right checksums, so that what
lies behind them is reached.
"""

from __future__ import annotations

import contextlib
import functools
import io
import random
import struct
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import atheris
import click

with atheris.instrument_imports(include=["convdraw_codec"]):
    from convdraw_codec import codec, pillow_plugin
    from convdraw_codec.errors import CdrError, ModelError
    from convdraw_codec.format import bitstream
    from convdraw_codec.pictures import conversion, webp
    from convdraw_codec.selftest import digest
from PIL import Image

from .sealing import seal

DATA = Path(__file__).parents[2] / "tests" / "data"
TINY = DATA / "tiny.safetensors"
SEALED = 0.75  # of the mutants
LARGEST = 8192  # bytes of an input
PIXELS = 64 * 64  # that a decoded picture may have, so that a run makes many
SAID_EVERY = 1000  # whole files


@functools.cache
def tiny() -> codec.Codec:
    """The codec of the files that inputs start from."""
    return codec.Codec(TINY, max_pixels=PIXELS)


def mutated(data: bytes, largest: int) -> bytes:
    """The fuzzer's own change of some bytes."""
    return bytes(atheris.Mutate(data, largest))


def mutant(data: bytes, largest: int, seed: int) -> bytes:
    """What the fuzzer tries next: any bytes, bytes with right checksums, or a file of which one part has changed."""
    rng = random.Random(seed)
    if rng.random() < 1 - SEALED:
        return mutated(data, min(largest, LARGEST))
    try:
        contents = bitstream.read(data)
    except CdrError:
        return seal(mutated(data, min(largest, LARGEST)))
    names = [*contents.chunks]
    which = rng.randrange(-1, len(names) + len(contents.segments))
    if which < 0:  # the header
        head = mutated(data[:bitstream.HEADER_BYTES], bitstream.HEADER_BYTES)
        return seal(head + data[bitstream.HEADER_BYTES:])
    if which < len(names):
        payload = mutated(contents.chunks[names[which]] or b"-", LARGEST // 2)
        return bitstream.write(replace(contents, chunks={**contents.chunks, names[which]: payload}))
    return changed_segment(contents, which - len(names))


def changed_segment(contents: bitstream.Contents, which: int) -> bytes:
    """The file with other bytes in one segment, and right checksums."""
    segments = list(contents.segments)
    segments[which] = mutated(segments[which] or b"-", LARGEST // 2)
    return bitstream.write(replace(contents, segments=segments))


def latents_mutant(data: bytes, largest: int, seed: int) -> bytes:
    """For full decodes: mostly a whole file, of which the latents of one step have changed."""
    if random.Random(seed).random() < 1 - SEALED:
        return mutant(data, largest, seed)
    try:
        contents = bitstream.read(data)
    except CdrError:  # inputs that are no file are kept too, for what they reach
        contents = bitstream.read(random.Random(seed).choice(seeds("decode")))
    return changed_segment(contents, random.Random(seed).randrange(len(contents.segments)))


def model_mutant(data: bytes, largest: int, seed: int) -> bytes:
    """Another model file: mostly, its JSON has changed, at the same length or with the length set right."""
    size = int.from_bytes(data[:8], "little")
    if random.Random(seed).random() < 1 - SEALED or size > len(data) - 8:
        return mutated(data, largest)
    header = mutated(data[8:8 + size], size + 64)
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + size:]


accepted = 0


def accept() -> None:
    """Count an input that was a whole file after all, and say so now and then: nothing runs after the last input."""
    global accepted
    accepted += 1
    if accepted == 1 or accepted % SAID_EVERY == 0:
        click.echo(f"{accepted:,} inputs so far were whole files", err=True)


def container(data: bytes) -> None:
    """Everything that needs no model: reading, cutting, arrival in pieces."""
    with contextlib.suppress(CdrError):
        contents = bitstream.read(data)
        again = bitstream.write(contents)
        assert bitstream.read(again) == contents
        accept()
        size = random.Random(len(data)).randint(bitstream.HEADER_BYTES, len(data))
        with contextlib.suppress(CdrError):
            assert len(bitstream.truncate(data, size=size)) <= size
    with contextlib.suppress(CdrError):
        bitstream.inspect(data)
    with contextlib.suppress(CdrError):
        bitstream.read(data, allow_truncated=True)
    with contextlib.suppress(CdrError):
        incoming = bitstream.Incoming(data[i:i + 7] for i in range(0, len(data), 7))
        segments = list(incoming.segments())
        assert segments == bitstream.read(data).segments


def plugin(data: bytes) -> None:
    """What Pillow does before pixels are needed; its own words for bad and for huge files are
    OSError, SyntaxError and DecompressionBombError."""
    with contextlib.suppress(OSError, SyntaxError, Image.DecompressionBombError):
        image = Image.open(io.BytesIO(data), formats=["CDR"])
        with contextlib.suppress(struct.error):  # Pillow's, for short EXIF in any format
            image.getexif()
        image.verify()
        accept()


def decode(data: bytes) -> None:
    """A full decode, in two ways."""
    shown = []
    for way in (tiny().decompress, lambda data: list(tiny().progressive(data))[-1]):
        try:
            shown.append(digest(way(data)))
        except CdrError:
            shown.append("nothing")
    assert shown[0] == shown[1]
    if shown[0] != "nothing":
        accept()


def model(data: bytes) -> None:
    """A model file; what loads must work."""
    memory = "/dev/shm" if Path("/dev/shm").exists() else None
    with tempfile.NamedTemporaryFile(suffix=".safetensors", dir=memory) as file:
        file.write(data)
        file.flush()
        with contextlib.suppress(ModelError):
            loaded = codec.Codec(file.name)
            picture = loaded.decompress(loaded.compress(Image.new("RGB", (9, 5), (200, 30, 90))))
            assert picture.size == (9, 5)
            accept()


TARGETS: dict[str, Callable[[bytes], None]] = {target.__name__: target for target in (container, plugin, decode, model)}
MUTATORS = {"decode": latents_mutant, "model": model_mutant}  # of the others: ``mutant``


def with_webp(picture: Image.Image, steps: int = 0) -> bytes:
    """A file that holds the picture as WebP, behind so many steps."""
    contents, opened = bitstream.read(tiny().compress(picture)), conversion.open_picture(picture)
    stored = webp.in_place_of_steps(contents.first(0), opened)
    whole = replace(contents.first(steps), chunks=stored.chunks).with_step(stored.segments[-1], webp=True)
    return bitstream.write(whole)


@functools.cache
def seeds(target: str) -> list[bytes]:
    """Inputs to start from."""
    if target == "model":
        return [TINY.read_bytes()]
    whole = [path.read_bytes() for path in sorted(DATA.glob("tiny-*.cdr"))]
    picture = Image.new("LA", (5, 3), (7, 99))
    picture.info.update(exif=b"Exif\0\0II*\0\x08\0\0\0\0\0", icc_profile=b"profile", xmp=b"<x/>")
    whole.append(tiny().compress(picture))
    exact = [with_webp(picture)] + [with_webp(Image.new(mode, (5, 3), 7), 2) for mode in ("RGB", "L")]
    shorter = exact + [bitstream.truncate(data, steps) for data in whole for steps in (1, 4)]
    return whole + shorter + [bitstream.truncate(data, size=len(data) - 5) for data in whole]


def start(target: str, folder: Path, runs: int) -> None:
    """Try so many mutated inputs, and leave those that reach new code in the folder."""
    pillow_plugin.register_cdr_opener(TINY)
    for i, seed in enumerate(seeds(target)):
        (folder / f"seed-{i}").write_bytes(seed)
    largest, mutate = 2**18 if target == "model" else LARGEST, MUTATORS.get(target, mutant)
    arguments = ["bench fuzz", str(folder), f"-runs={runs}", "-timeout=10", "-rss_limit_mb=4096",
                 f"-max_len={largest}", "-print_final_stats=1", f"-artifact_prefix={folder.parent}/"]
    atheris.Setup(arguments, TARGETS[target],
                  custom_mutator=lambda data, largest, seed: mutate(data, largest, seed)[:largest])
    atheris.Fuzz()
