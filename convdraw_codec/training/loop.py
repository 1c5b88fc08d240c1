"""The training loop: stages, checkpoints, validation, recovery from jumps of the loss, interruption."""

from __future__ import annotations

import contextlib
import ctypes
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from torch import Tensor

from . import distributed
from .checkpoint import Checkpoint
from .trainer import Trainer

LOG_SECONDS = 30.0  # between two lines
GOOD_EVERY = 250  # iterations between copies to return to after a jump
STOPS = [number for number in signal.Signals if number.name in ("SIGINT", "SIGTERM", "SIGHUP")]


def keep_memory() -> None:
    """Ask glibc to keep freed memory: returning every large tensor to the system costs a third of the time."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(-3, 2**31 - 1)  # M_MMAP_THRESHOLD
            libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


@contextlib.contextmanager
def held_back() -> Iterator[list[int]]:
    """Hold back the first of ``STOPS``: it goes into the list, and takes effect at the end. A second one is obeyed."""
    held: list[int] = []
    handlers = {number: signal.getsignal(number) for number in STOPS}
    if threading.current_thread() is not threading.main_thread():  # signals reach the main one
        handlers = {}

    def let_go() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def hold(number: int, frame: FrameType | None) -> None:
        held.append(number)
        let_go()

    for number, handler in handlers.items():
        if handler != signal.SIG_IGN:  # as under nohup
            signal.signal(number, hold)
    try:
        yield held
    finally:
        let_go()
    if held:
        signal.raise_signal(held[0])


class Run:
    """A trainer with the files that it writes, and with someone to report to: ``output``, the model; beside it .ckpt,
    to go on from, and .jsonl, validations. Of several processes, the first one writes and reports."""

    def __init__(self, trainer: Trainer, output: Path, report: Callable[[str], None]):
        self.trainer, self.output, self.first = trainer, output, distributed.rank() == 0
        self.checkpoint, self.validations = (output.with_name(output.name + suffix) for suffix in (".ckpt", ".jsonl"))
        self.report = report if self.first else lambda line: None

    def start(self) -> None:
        """Go on from the checkpoint if there is one. Raises ConfigError if it does not fit."""
        self.report(f"Writing {self.output}, {self.checkpoint} to go on from, and validations to {self.validations}")
        if self.checkpoint.exists():
            Checkpoint.restore(self.checkpoint, self.trainer)
            self.report(f"Going on at {self.trainer.megapixels:.1f} Mpx, stage {self.trainer.stage + 1}")
        self.since, self.seconds, self.next_line = self.trainer.megapixels, time.monotonic(), 0.0

    def save(self) -> None:
        """Write the checkpoint and the model so far."""
        if self.first:
            Checkpoint.of(self.trainer).write(self.checkpoint)
            self.trainer.write(self.output)

    def validate(self) -> None:
        """Measure, and add a line to the validations."""
        record, words = self.trainer.validate() if self.first else ({}, "")
        if record:
            record = {"megapixels": round(self.trainer.megapixels, 3), "stage": self.trainer.stage + 1} | record
            with self.validations.open("a") as file:
                file.write(json.dumps(record) + "\n")
            self.report(f"Validation at {self.trainer.megapixels:.1f} Mpx: {words}")

    def log(self) -> None:
        """A line after the first update, and every ``LOG_SECONDS``."""
        now, trainer = time.monotonic(), self.trainer
        if now > self.next_line:
            stage = trainer.recipe.stages[trainer.stage]
            speed = (trainer.megapixels - self.since) / (now - self.seconds)
            self.report(f"{trainer.megapixels:8.1f} Mpx  stage {trainer.stage + 1} ({stage.kind}), "
                        f"{trainer.stage_megapixels:.1f} of {stage.megapixels:g} Mpx  loss {trainer.running_loss:.4f}"
                        f"  {speed:.3f} Mpx/s")
            self.since, self.seconds, self.next_line = trainer.megapixels, now, now + LOG_SECONDS

    def step_back(self, good: Checkpoint) -> None:
        """After a jump of the loss: the good weights, and the batches that come next."""
        trainer, seen, iteration = self.trainer, self.trainer.megapixels, self.trainer.iteration
        good.give(trainer)
        self.report(f"The loss jumped at {seen:.1f} Mpx: back to the weights of {trainer.megapixels:.1f} Mpx")
        trainer.megapixels, trainer.iteration = seen, iteration


def run(trainer: Trainer, batches: Callable[[int], Iterator[Tensor]], output: Path, report: Callable[[str], None], *,
        checkpoint_minutes: float = 5.0) -> None:
    """Train on ``batches``, from an iteration on, until all stages are done, and write the model to ``output``.

    Goes on from the checkpoint ``output`` + ".ckpt" if there is one. Signals that end it wait until it is written.
    Progress goes to ``report``, a line at a time, and validations to ``output`` + ".jsonl". Under ``torchrun``, every
    process trains on its share of each batch. Raises ConfigError for a checkpoint that does not fit.
    """
    keep_memory()
    this, stages = Run(trainer, output, report), trainer.recipe.stages
    this.start()
    endless, good, saved = batches(trainer.iteration), Checkpoint.of(trainer), time.monotonic()
    with held_back() as signals:
        while trainer.stage < len(stages) and not distributed.anywhere(bool(signals)):
            if trainer.stage_megapixels >= stages[trainer.stage].megapixels:
                trainer.advance()
                this.save()
                this.validate()
                good = Checkpoint.of(trainer)
                continue
            if trainer.step(next(endless)) is None:
                this.step_back(good)
            elif trainer.iteration % GOOD_EVERY == 0:
                good = Checkpoint.of(trainer)
            this.log()
            if time.monotonic() - saved > 60 * checkpoint_minutes:
                this.save()
                this.validate()
                saved = time.monotonic()
        this.save()
        if trainer.stage < len(stages):
            this.report(f"Interrupted at {trainer.megapixels:.2f} Mpx: the same command goes on from {this.checkpoint}")
        else:
            this.report(f"Wrote {output}")
        distributed.wait()
