"""The training loop: stages, checkpoints, averaged weights, validation, recovery from jumps.

The same code runs on CPU and CUDA, with bfloat16 convolutions where the machine has them.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import sys
import time
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..draw import Config, ConvDRAW
from ..errors import ConfigError
from ..model_file import save_model
from ..outputs import write_output
from . import workers
from .objective import Objective, ResidualObjective, RetouchObjective, rollout
from .photographs import centre_crops, find_photographs, load, random_crops

KINDS = ("noisy", "rounded", "retouch", "residual")
JUMP = 5.0  # a loss this many times its running mean is a jump (the paper's section 4)
SLOW, SLOW_FACTOR = ("analysis", "synthesis", "posterior"), 0.1  # these start near their optimum
LOG_EVERY = 100  # iterations
CUTS, INSIDE = 8, 0.25  # cuts of a picture to retouch; share of them inside a step
GOOD_EVERY = 1000  # iterations between copies to return to after a jump


@dataclass(frozen=True)
class Stage:
    """kind: the codec is trained with "noisy" or "rounded" latents (see ``objective.take_steps``), or the "retouch"
    of its pictures is, or the "residual" steps that make them exact. megapixels: pictures seen, in all.

    The learning rate rises over ``warm_up`` megapixels and then falls linearly to ``final_learning_rate``.
    """

    kind: str
    megapixels: float
    learning_rate: float
    final_learning_rate: float
    warm_up: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"a stage is one of {', '.join(KINDS)}, not {self.kind!r}")

    def rate_at(self, megapixels: float) -> float:
        """Learning rate after so many megapixels of the stage."""
        if megapixels < self.warm_up:
            return self.learning_rate * (0.05 + 0.95 * megapixels / self.warm_up)
        share = (megapixels - self.warm_up) / max(self.megapixels - self.warm_up, 1e-9)
        return self.learning_rate + (self.final_learning_rate - self.learning_rate) * min(share, 1.0)


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that ``train`` needs besides photographs; read from TOML by ``load_config``."""

    model: Config
    crop: int
    batch: int
    seed: int
    strength: float
    complete: float
    gradient_limit: float
    average: float
    stages: tuple[Stage, ...]


def load_config(path: Path) -> TrainingConfig:
    """Read a TOML file with the tables [model] and [training]. Raises ConfigError with a plain sentence."""
    try:
        data = tomllib.loads(path.read_text())
        training = dict(data["training"])
        stages = tuple(Stage(**stage) for stage in training.pop("stages"))
        return TrainingConfig(model=Config.from_dict(data["model"]), stages=stages, **training)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is no training configuration: {error}") from error


def find_config(name: str) -> Path:
    """The file of a configuration that comes with cdraw, or the path itself. Raises ConfigError."""
    included = Path(__file__).parent / "configs"
    path = included / f"{name}.toml"
    if path.exists():
        return path
    if Path(name).suffix != ".toml":
        names = ", ".join(sorted(file.stem for file in included.glob("*.toml")))
        raise ConfigError(f"no configuration has that name; there are {names}, and any .toml file")
    return Path(name)


class Losses(nn.Module):
    """All objectives as one module, since DistributedDataParallel wants each parameter in one place."""

    def __init__(self, codec: nn.Module, model: ConvDRAW):
        super().__init__()
        self.codec, self.retouch, self.residual = codec, RetouchObjective(model), ResidualObjective(model)

    def forward(self, kind: str, *arguments: object) -> Tensor:
        """The loss of a stage of that kind."""
        return {"retouch": self.retouch, "residual": self.residual}.get(kind, self.codec)(*arguments)


class Trainer:
    """Model, averaged weights, optimiser and position in the schedule; saved and restored as one file."""

    def __init__(self, config: TrainingConfig, device: torch.device):
        torch.manual_seed(config.seed)
        self.config, self.device = config, device
        self.model = self._new_model()
        self.objective = Objective(self.model, config.strength).to(device)
        self.losses: nn.Module = Losses(self.objective, self.model)
        if workers.count() > 1:  # no loss has a gradient for all parameters
            self.losses = DistributedDataParallel(self.losses, broadcast_buffers=False, find_unused_parameters=True)
        self.average = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        slow = [p for n, p in self.model.named_parameters() if any(part in n for part in SLOW)]
        fast = [p for n, p in self.model.named_parameters() if not any(part in n for part in SLOW)]
        self.optimiser = torch.optim.Adam([{"params": fast, "factor": 1.0}, {"params": slow, "factor": SLOW_FACTOR}],
                                          lr=1e-3, betas=(0.9, 0.99), fused=True)
        self.stage, self.stage_megapixels, self.iteration, self.megapixels = 0, 0.0, 0, 0.0
        self.running_loss = math.nan

    def _new_model(self) -> ConvDRAW:
        model = ConvDRAW(self.config.model).to(self.device)
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def autocast(self) -> torch.autocast:
        """Convolutions in bfloat16 where the machine computes them in hardware."""
        if self.device.type == "cuda":
            able = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            able = torch.ops.mkldnn._is_mkldnn_bf16_supported()
        return torch.autocast(self.device.type, torch.bfloat16, enabled=able)

    def step(self, image: Tensor) -> float | None:
        """One update on this process's share of a batch. None where the loss jumped: nothing is changed then.

        What is drawn depends on the seed, the iteration and the place in the whole batch alone.
        """
        stage, config = self.config.stages[self.stage], self.config
        image = image.to(self.device)
        for group in self.optimiser.param_groups:
            group["lr"] = group["factor"] * stage.rate_at(self.stage_megapixels)
        places = workers.share(len(image) * workers.count())
        draws = [np.random.default_rng((config.seed, self.iteration, place, 1)) for place in places]
        with self.autocast():
            if stage.kind == "retouch":
                loss = self.losses(stage.kind, image, self._cuts())
            elif stage.kind == "residual":
                loss = self.losses(stage.kind, image)
            else:
                stored = torch.tensor([self._stored(rng, place) for rng, place in zip(draws, places, strict=True)],
                                      device=self.device)
                noise = [torch.Generator(self.device).manual_seed(int(rng.integers(2**63))) for rng in draws]
                loss = self.losses(stage.kind, image, stored, noise if stage.kind == "noisy" else None)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.gradient_limit)
        value = workers.total(loss.detach()).item() / workers.count()
        seen = image.numel() * workers.count() / 3e6
        self.iteration += 1
        self.megapixels += seen
        self.stage_megapixels += seen
        if not math.isfinite(value + norm.item()) or value > JUMP * self.running_loss:
            return None
        self.optimiser.step()
        self.running_loss = value if math.isnan(self.running_loss) else 0.99 * self.running_loss + 0.01 * value
        with torch.no_grad():
            decay = min(config.average, (1 + self.iteration) / (10 + self.iteration))
            parameters = dict(self.model.named_parameters())
            torch._foreach_lerp_([self.average[n] for n in parameters], list(parameters.values()), 1 - decay)
        return value

    def advance(self) -> None:
        """To the next stage, with the averaged weights: what is saved is what the next stage learns on."""
        self.stage, self.stage_megapixels, self.running_loss = self.stage + 1, 0.0, math.nan
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(self.average[name])

    def _stored(self, rng: np.random.Generator, place: int) -> int:
        """How many steps of a picture are stored: all of most, any number of the last places of a batch."""
        steps = len(self.config.model.steps)
        return steps if place < round(self.config.batch * self.config.complete) else int(rng.integers(1, steps + 1))

    def _cuts(self) -> list[float]:
        """Where pictures are cut to be retouched: after all steps, after others, and now and then inside one."""
        rng, steps = np.random.default_rng((self.config.seed, self.iteration, 0, 2)), len(self.config.model.steps)
        after = rng.choice(steps, min(CUTS, steps) - 1, replace=False) + 1
        inside = rng.random(len(after)) < INSIDE
        return [*(after - inside * rng.uniform(0.01, 0.99, len(after))).tolist(), steps]

    def averaged_model(self) -> ConvDRAW:
        """A copy of the model with the averaged weights."""
        model = self._new_model()
        model.load_state_dict(self.average)
        return model

    def validate(self, crops: list[Tensor]) -> tuple[Tensor, Tensor, float]:
        """Averaged weights on held-out crops, rounded latents: mean bpp and PSNR at each prefix, mean log cost."""
        model = self.averaged_model()
        rates, qualities, costs = [], [], []
        with torch.no_grad(), self.autocast():
            for crop in crops:
                image = crop.to(self.device)
                stored = torch.full((len(image),), len(model.steps), device=self.device)
                result = rollout(model, image, stored)
                rates.append(result.rate.cumsum(0).mean(1))
                qualities.append((10 * torch.log10(255**2 / result.distortion.clamp_min(1e-9))).mean(1))
                costs.append(self.objective.costs(result).mean(1))
        cost = torch.stack(costs).mean(0).log2().mean()
        return torch.stack(rates).mean(0), torch.stack(qualities).mean(0), float(cost)

    def save(self, path: Path) -> None:
        """Write everything needed to go on, as safetensors; a file is whole or not there."""
        tensors = {f"model.{n}": p.detach().contiguous() for n, p in self.model.named_parameters()}
        tensors |= {f"average.{n}": p.contiguous() for n, p in self.average.items()}
        for name, parameter in self.model.named_parameters():
            state = self.optimiser.state.get(parameter, {})
            tensors |= {f"{key}.{name}": value.contiguous() for key, value in state.items()}
        tensors["running"] = self.objective.running
        position = {"stage": self.stage, "stage_megapixels": self.stage_megapixels, "iteration": self.iteration,
                    "megapixels": self.megapixels, "running_loss": self.running_loss}
        write_output(str(path), save({k: v.cpu() for k, v in tensors.items()}, {"position": json.dumps(position)}))

    def restore(self, path: Path) -> None:
        """Go on from ``save``. A file without optimiser state restarts the optimiser."""
        with safe_open(path, "pt") as file:
            position = json.loads(file.metadata()["position"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        vars(self).update(position)
        with torch.no_grad():
            self.objective.running.copy_(tensors["running"])
            for name, parameter in self.model.named_parameters():
                parameter.copy_(tensors[f"model.{name}"])
                self.average[name].copy_(tensors[f"average.{name}"])
                state = {key: tensors[f"{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq")
                         if f"{key}.{name}" in tensors}
                if state:
                    self.optimiser.state[parameter] = {
                        key: value if key == "step" and self.device.type == "cpu" else
                        value.to(self.device).to(memory_format=torch.channels_last) if value.dim() == 4 else
                        value.to(self.device) for key, value in state.items()}
                else:
                    self.optimiser.state.pop(parameter, None)


def keep_memory() -> None:
    """Ask glibc to keep freed memory: returning every large tensor to the system costs a third of the time."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(-3, 2**31 - 1)  # M_MMAP_THRESHOLD
            libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def train(config: TrainingConfig, folders: list[Path], output: Path, report: Callable[[str], None], *,
          checkpoint_minutes: float = 5.0) -> None:
    """Train on the photographs below ``folders`` until all stages are done, and write the model to ``output``.

    Goes on from the checkpoint ``output`` + ".ckpt" if there is one. Progress goes to ``report``, a line at a
    time, and validations to ``output`` + ".jsonl". Under ``torchrun``, every process trains on its share of each
    batch, and the first one does the rest. Raises ConfigError where there is nothing to train on.
    """
    keep_memory()
    with workers.together():
        _train(config, folders, output, report, checkpoint_minutes)


def _train(config: TrainingConfig, folders: list[Path], output: Path, report: Callable[[str], None],
           checkpoint_minutes: float) -> None:
    checkpoint, good, log = (output.with_name(output.name + suffix) for suffix in (".ckpt", ".ckpt.good", ".jsonl"))
    if config.batch % workers.count():
        raise ConfigError(f"a batch of {config.batch} cannot be shared among {workers.count()} processes")
    first = workers.rank() == 0
    if not first:
        report = lambda line: None  # noqa: E731
    trainer = Trainer(config, workers.device())
    if checkpoint.exists():
        try:
            trainer.restore(checkpoint)
        except (SafetensorError, KeyError, TypeError, RuntimeError) as error:
            raise ConfigError(f"{checkpoint} is damaged or of another configuration; move it to start anew") from error
        report(f"going on at {trainer.megapixels:.1f} Mpx, stage {trainer.stage + 1}")
    training_files, held_out_files = find_photographs(folders)
    with ThreadPoolExecutor() as pool:
        photographs, held_out = (list(pool.map(load, files)) for files in (training_files, held_out_files))
    crops = random_crops(photographs, config.crop, workers.share(config.batch), config.seed, trainer.iteration)
    validation = centre_crops(held_out, 2 * config.crop)
    report(f"{len(photographs)} photographs to train on, {len(validation)} to validate, on {trainer.device}")

    def keep_good() -> None:
        if first:
            trainer.save(good)
        workers.wait()

    keep_good()
    since, seconds, saved = trainer.megapixels, time.monotonic(), time.monotonic()

    def conclude() -> None:
        if not first:
            return
        if validation:
            rate, quality, cost = trainer.validate(validation)
            record = {"megapixels": round(trainer.megapixels, 3), "stage": trainer.stage + 1, "cost": cost,
                      "bpp": [round(v, 5) for v in rate.tolist()], "psnr": [round(v, 3) for v in quality.tolist()]}
            with log.open("a") as file:
                file.write(json.dumps(record) + "\n")
            points = "  ".join(f"{q:.2f} dB @ {r:.3f}" for r, q in zip(rate.tolist(), quality.tolist(), strict=True))
            report(f"validation at {trainer.megapixels:.1f} Mpx: cost {cost:.4f}  {points}")
        trainer.save(checkpoint)
        save_model(trainer.averaged_model(), output)

    while trainer.stage < len(config.stages):
        stage = config.stages[trainer.stage]
        if trainer.stage_megapixels >= stage.megapixels:
            trainer.advance()
            conclude()
            keep_good()
            continue
        if trainer.step(next(crops)) is None:
            position = trainer.megapixels, trainer.iteration
            trainer.restore(good)
            report(f"the loss jumped at {position[0]:.1f} Mpx: back to the weights of {trainer.megapixels:.1f} Mpx")
            trainer.megapixels, trainer.iteration = position
        elif trainer.iteration % GOOD_EVERY == 0:
            keep_good()
        if trainer.iteration % LOG_EVERY == 0:
            speed = (trainer.megapixels - since) / (time.monotonic() - seconds)
            since, seconds = trainer.megapixels, time.monotonic()
            report(f"{trainer.megapixels:8.1f} Mpx  stage {trainer.stage + 1} ({stage.kind})  "
                   f"loss {trainer.running_loss:.4f}  {speed:.3f} Mpx/s")
        if time.monotonic() - saved > 60 * checkpoint_minutes:
            conclude()
            saved = time.monotonic()
    if first:
        save_model(trainer.averaged_model(), output)
        good.unlink(missing_ok=True)
    report(f"Wrote {output}")
    workers.wait()
