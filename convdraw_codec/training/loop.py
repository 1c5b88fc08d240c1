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

from . import distributed
from .checkpoint import Checkpoint
from .trainer import Batches, Trainer

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
    ours = STOPS if threading.current_thread() is threading.main_thread() else []  # the one that signals reach
    handlers = {number: handler for number in ours
                if (handler := signal.getsignal(number)) != signal.SIG_IGN}  # as under nohup

    def let_go() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def hold(number: int, frame: FrameType | None) -> None:
        held.append(number)
        let_go()

    for number in handlers:
        signal.signal(number, hold)
    try:
        yield held
    finally:
        let_go()
    if held:
        signal.raise_signal(held[0])


class Run:
    """A trainer with the files that it writes, and with someone to report to: ``output``, the model; beside it .ckpt,
    to go on from, and .jsonl, validations. Of several processes, the first one writes.

    Goes on from the checkpoint if there is one. Raises ConfigError if it does not fit.
    """

    def __init__(self, trainer: Trainer, output: Path, report: Callable[[str], None]):
        self.trainer, self.output, self.report, self.first = trainer, output, report, distributed.rank() == 0
        self.checkpoint, self.validations = (output.with_name(output.name + suffix) for suffix in (".ckpt", ".jsonl"))
        report(f"Writing {output}, {self.checkpoint} to go on from, and validations to {self.validations}")
        if self.checkpoint.exists():
            Checkpoint.restore(self.checkpoint, trainer)
            report(f"Going on at {trainer.megapixels:.1f} Mpx, stage {trainer.stage + 1}")
        self.since, self.seconds, self.next_line = trainer.megapixels, time.monotonic(), 0.0

    def save(self) -> None:
        """Write the checkpoint and the model so far."""
        if self.first:
            Checkpoint.of(self.trainer).write(self.checkpoint)
            self.trainer.write(self.output)

    def validate(self) -> None:
        """Measure, and add a line to the validations."""
        trainer = self.trainer
        if self.first and len(trainer.validation):
            record, words = trainer.validate()
            record = {"megapixels": round(trainer.megapixels, 3), "stage": trainer.stage + 1} | record
            with self.validations.open("a") as file:
                file.write(json.dumps(record) + "\n")
            self.report(f"Validation at {trainer.megapixels:.1f} Mpx: {words}")

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


def run(trainer: Trainer, batches: Batches, output: Path, report: Callable[[str], None], checkpoint_minutes: float
        ) -> None:
    """Train until all stages are done, or until a signal ends it, which waits until ``output`` is written."""
    keep_memory()
    this, stages = Run(trainer, output, report), trainer.recipe.stages
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
        report(f"Wrote {output}" if trainer.stage == len(stages) else
               f"Interrupted at {trainer.megapixels:.2f} Mpx: the same command goes on from {this.checkpoint}")
        distributed.anywhere(False)  # waits for the others, before a signal ends any of them
