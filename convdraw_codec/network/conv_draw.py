"""Convolutional DRAW as an embedded image codec: the whole model. ``ConvDRAW.step`` shows the recurrence.

Equation numbers are those of Gregor et al., "Towards Conceptual Compression" (2016). The decoder's side (canvas, prior,
recurrence, write) computes in exact integers, see ``exact_conv``; the encoder's side is floating point, since it only
chooses which integers to send.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..format.rotation import TURN_UNIT, Colours
from .config import Config, Layer, Step
from .exact_conv import EMBEDDING_UNIT, UNIT, IntegerConv, in_bytes, rectified_conv, rectify, round_through, whole
from .lossless import Residual
from .lstm import IntegerConvLSTM, lstm
from .post_filter import Retouch
from .priors import FAMILIES, SCALES
from .quantiser import LATENT_LIMIT, REFINEMENT
from .transform.lapped_transform import FILTER_UNIT, lap, lapping_filter, unlap
from .transform.nested_dct import SPREAD_LIMIT, Overlap
from .transform.space_to_depth import enlarged, from_patches, to_patches

CANVAS_UNIT = 16  # the canvas counts in 1/16 of a pixel level
CANVAS_MARGIN = 256  # levels by which the lapped canvas may leave 0..255
COLOUR_UNIT = 256  # colours that are turned back count in 1/256 of a level ...
SHOWN_UNIT = COLOUR_UNIT * FILTER_UNIT**2  # ... and once unlapped, in these parts of one
HALF_CELLS_LIMIT = 2 * LATENT_LIMIT + 1
PAST_LIMIT = 2**14 - 1  # half cells in which a history counts at most
HISTORY_LIMIT = 31  # half cells beyond which the prior sees no difference
WRITE_CELLS = 4  # cells of the step that a write weight of 1 stands for
INDEX_UNIT = 16  # scale indices per unit of the prior head's output


@dataclass(frozen=True)
class LayerState:
    """What the decoder knows at one layer: whole numbers of any type that holds them, never changed in place.

    h, c: h^d and its cell, (B, state, H/s, W/s), in 1/128. history: the value sent so far of each coefficient,
    (B, coefficients, H/s, W/s), in half cells of the last quantiser.
    """

    h: Tensor
    c: Tensor
    history: Tensor


@dataclass(frozen=True)
class StepInput:
    """What a step depends on: the canvas r_{t-1}, (B, 3, H, W), in whole 1/16 of a level; the state of the step's
    layer; and h^d of the next coarser one, if there is one."""

    canvas: Tensor
    layer: LayerState
    coarser: Tensor | None


@dataclass(frozen=True)
class DecoderState:
    """The decoder after some steps: the canvas r_t as in ``StepInput``, and each layer."""

    canvas: Tensor
    layers: tuple[LayerState, ...]

    def before(self, step: Step) -> StepInput:
        """What a step is given."""
        coarser = self.layers[step.layer - 1].h if step.layer else None
        return StepInput(self.canvas, self.layers[step.layer], coarser)

    def after(self, step: Step, canvas: Tensor, layer: LayerState) -> DecoderState:
        """The state with what a step gave."""
        return DecoderState(canvas, (*self.layers[:step.layer], layer, *self.layers[step.layer + 1:]))


@dataclass(frozen=True)
class EncoderLayer:
    """What the encoder knows at one layer, (B, channels, H/s, W/s): the picture, embedded; h^e and its cell c."""

    embedded: Tensor
    h: Tensor
    c: Tensor


@dataclass(frozen=True)
class Choice:
    """Latents z_t of a step, (B, latents, H/s, W/s); what they add to coefficients, in half cells; rate (5) in bits."""

    latents: Tensor
    added: Tensor
    rate: Tensor


@dataclass(frozen=True)
class Taken:
    """A step that was taken: what it was given; its embedding of the canvas; index of the prior's scale and sign so far
    of each latent; what was chosen; encoder, canvas and layer after it."""

    given: StepInput
    seen: Tensor
    index: Tensor
    sign: Tensor | None
    choice: Choice
    encoder: EncoderLayer
    canvas: Tensor
    layer: LayerState


# mean of the posterior in cells, index of the prior's scale, and sign so far -> what is sent
Choose = Callable[[Tensor, Tensor, "Tensor | None"], Choice]

real_conv = partial(nn.Conv2d, dtype=torch.float32)  # whatever torch's default type is


class LayerCores(nn.Module):
    """What all steps that visit a layer share: its recurrent cores, and its maps from and to pixels."""

    def __init__(self, layer: Layer, coefficients: int):
        super().__init__()
        patch = 3 * layer.stride**2
        self.canvas_embedding = IntegerConv(patch, layer.embedding, 1, input_unit=1 / 64, input_limit=127,
                                            output_unit=1 / EMBEDDING_UNIT)
        self.decoder = IntegerConvLSTM(2 * layer.embedding, layer.state, layer.kernel)
        self.picture_embedding = real_conv(patch, layer.embedding, 1)
        self.error_embedding = real_conv(patch, layer.embedding, 1, bias=False)
        self.encoder_gates = real_conv(layer.embedding + layer.encoder_state + layer.state, 4 * layer.encoder_state,
                                       layer.kernel, padding=layer.kernel // 2)
        # the linear path: pixels to coefficients and back, and W of (7). All three are in cells of the step, and
        # kept near unit size, so that one learning rate suits all weights
        self.analysis = real_conv(patch, coefficients, 1, bias=False)
        self.synthesis = IntegerConv(coefficients, patch, 1, input_unit=0.5, input_limit=HALF_CELLS_LIMIT,
                                     weight_limit=127, bias=False)  # smaller ones cost 3 % at high rates
        self.write = IntegerConv(layer.state, patch, 1, input_unit=WRITE_CELLS / UNIT, input_limit=UNIT - 1, zero=True)


class StepHeads(nn.Module):
    """The heads of one step: posterior, prior, embedding of the latents."""

    def __init__(self, layer: Layer, coarser_state: int, coefficients: int, step: Step, refines: bool):
        super().__init__()
        self.refines, self.latents = refines, (latents := step.last - step.first)
        self.cell = step.quantiser / math.sqrt(3 * layer.stride**2)  # in levels a pixel
        # posterior (3): a correction from h^e to the linear map of the error
        self.posterior = real_conv(layer.encoder_state, latents, 1)
        # prior (4): from the decoder's state, its canvas, and what was sent of these coefficients before
        self.history_embedding = IntegerConv(coefficients, layer.embedding, 1, input_unit=1 / 8,
                                             input_limit=HISTORY_LIMIT, output_unit=1 / EMBEDDING_UNIT, signed=False)
        self.prior_state = IntegerConv(layer.state + coarser_state, layer.context, layer.kernel, input_unit=1 / UNIT,
                                       input_limit=UNIT - 1, output_unit=1 / EMBEDDING_UNIT, bias=False)
        self.prior_context = rectified_conv(2 * layer.embedding, layer.context, layer.kernel,
                                            output_unit=1 / EMBEDDING_UNIT)
        self.prior_index = rectified_conv(layer.context, latents * (2 if refines else 1), 1, output_unit=1 / INDEX_UNIT)
        # decoder input (6)
        self.latent_embedding = IntegerConv(latents, layer.embedding, 1, input_unit=0.5, input_limit=HALF_CELLS_LIMIT,
                                            output_unit=1 / EMBEDDING_UNIT)


class ConvDRAW(nn.Module):
    """Convolutional DRAW over the layers and the schedule of a ``Config``.

    The canvas and what it should be are float32 (B, 3, H, W), with H and W multiples of ``padding``, in rotated colours
    (see ``format.rotation``), lapped with the filter ``lapping`` (see ``transform.lapped_transform``).
    """

    lapping: Tensor
    information: Tensor  # expected bits of a latent under each distribution of the stored table, in 1/16

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.padding = config.layers[0].stride
        self.coefficients = config.coefficients
        with torch.device("cpu"):  # small; on the meta device, these functions load torch's compiler, for 2 s
            self.overlap = Overlap(config.strides)
            self.register_buffer("lapping", lapping_filter(config.strides[-1]), persistent=False)
        self.register_buffer("information", torch.zeros(FAMILIES * SCALES, dtype=torch.int64), persistent=False)
        for layer, count in enumerate(self.coefficients):
            self.register_buffer(f"luma_{layer}", torch.zeros(count, dtype=torch.bool), persistent=False)
        self.initial_canvas = nn.Parameter(torch.zeros(3, dtype=torch.float32))  # r_0
        self.cores = nn.ModuleList(map(LayerCores, config.layers, self.coefficients))
        self.steps = nn.ModuleList()
        for t, step in enumerate(config.steps):
            coarser = config.layers[step.layer - 1].state if step.layer else 0
            self.steps.append(StepHeads(config.layers[step.layer], coarser, self.coefficients[step.layer], step,
                                        config.refines(t)))
        self.retouch = Retouch(config.retouch, [step.quantiser for step in config.steps])
        self.residual = Residual(config.residual)

    def heads(self, t: int) -> StepHeads:
        """The heads of step t, counted from 0."""
        return cast(StepHeads, self.steps[t])

    def chroma(self, t: int) -> Tensor:
        """Which of step t's latents are of chroma, (latents,) bool: a file of a grey picture does not hold them."""
        step = self.config.steps[t]
        return ~self.get_buffer(f"luma_{step.layer}")[step.first:step.last]

    def core(self, t: int) -> LayerCores:
        """The cores of the layer that step t visits."""
        return cast(LayerCores, self.cores[self.config.steps[t].layer])

    def stride(self, t: int) -> int:
        """Pixels per position of the layer that step t visits."""
        return self.config.layers[self.config.steps[t].layer].stride

    def integer_convolutions(self) -> Iterator[tuple[str, IntegerConv]]:
        """The trainable convolutions of the decoder, with their names."""
        return ((name, module) for name, module in self.named_modules() if isinstance(module, IntegerConv))

    @contextlib.contextmanager
    def quantised_once(self) -> Iterator[None]:
        """Quantise each weight once for all steps inside, in training, rather than at every use."""
        low = torch.is_autocast_enabled(self.initial_canvas.device.type)
        for _, module in self.integer_convolutions():
            integers = module.quantised()
            module.held = integers._replace(weight=integers.weight.bfloat16()) if low else integers  # exact: -127..127
        try:
            yield
        finally:
            for _, module in self.integer_convolutions():
                module.held = None

    # -- between pictures and canvases ----------------------------------------------------------------------

    def to_canvas(self, picture: Tensor, colours: Sequence[Colours]) -> Tensor:
        """Pictures (B, 3, H, W) in 0..255, and the colours of each -> what their canvases should be, float32."""
        mean, turns = self._colours(colours, picture.device)
        with torch.autocast(picture.device.type, enabled=False):  # in full precision, whatever the convolutions have
            turned = (turns.mT @ (picture.double() - mean).flatten(2) / TURN_UNIT).unflatten(2, picture.shape[2:])
            return lap(turned.float() + self.initial_canvas.detach()[:, None, None], self.lapping)

    def shown(self, canvas: Tensor, colours: Sequence[Colours]) -> Tensor:
        """What canvases (B, 3, H, W), in whole 1/16 of a level, show: whole 1/``SHOWN_UNIT`` of one, float64, exact."""
        mean, turns = self._colours(colours, canvas.device)
        first = self.first_canvas().detach().double()[:, None, None]
        turned = (turns @ (canvas.double() - first).flatten(2)).unflatten(2, canvas.shape[2:])
        scale = CANVAS_UNIT * TURN_UNIT
        return unlap((turned + mean * scale).mul_(COLOUR_UNIT / scale).add_(0.5).floor_(), self.lapping)

    @staticmethod
    def _colours(colours: Sequence[Colours], device: torch.device) -> tuple[Tensor, Tensor]:
        """Means (B, 3, 1, 1) and matrices (B, 3, 3) of turns, whole numbers as float64."""
        means = torch.tensor([one.mean for one in colours], dtype=torch.float64, device=device)
        turns = torch.tensor([one.matrix() for one in colours], dtype=torch.float64, device=device)
        return means[:, :, None, None], turns

    # -- the recurrence ------------------------------------------------------------------------------------

    def step(self, t: int, image: Tensor, encoder: EncoderLayer, given: StepInput, choose: Choose, *,
             train_encoder: bool = True) -> Taken:
        """The recurrence once, with encoder and decoder; t from 0. image: what the canvas should be. train_encoder:
        whether gradients reach (1)-(3). A codec codes the latents between (4) and (6), see ``coding.lossy``."""
        seen = self.look(t, given.canvas)
        with torch.set_grad_enabled(train_encoder and torch.is_grad_enabled()):
            error = self.error(t, image, given.canvas)                       # (1) e_t = x - r_{t-1}
            encoder = self.encode(t, error, encoder, given.layer.h)          # (2) h^e_t
            mean = self.posterior(t, error, encoder.h)                       # (3) mean of q(z_t | h^e_t)
        index, sign = self.prior(t, given, seen), self.sign(t, given.layer)  # (4) p(z_t | h^d_{t-1})
        choice = choose(mean, index, sign)                                   # z_t and (5) its rate: ``priors.bits``
        layer = self.decode(t, given.layer, seen, choice.added)              # (6) h^d_t
        canvas = self.write(t, given.canvas, layer.h, choice.added)          # (7) r_t = r_{t-1} + W h^d_t
        return Taken(given, seen, index, sign, choice, encoder, canvas, layer)  # (8): ``training.objective.Objective``

    # -- decoder: exact integers ---------------------------------------------------------------------------

    def first_canvas(self) -> Tensor:
        """The learned r_0, one colour everywhere: (3,), whole 1/16 of a level."""
        return round_through(self.initial_canvas * CANVAS_UNIT)

    def start(self, batch: int, height: int, width: int) -> DecoderState:
        """The state before the first step: the learned canvas r_0, empty memories."""
        device = self.initial_canvas.device

        def empty(channels: int, stride: int) -> Tensor:
            return torch.zeros(batch, channels, height // stride, width // stride, dtype=torch.float32,
                               device=device).to(memory_format=torch.channels_last)

        canvas = self.first_canvas()[None, :, None, None].expand(batch, 3, height, width)
        return DecoderState(canvas, tuple(
            LayerState(empty(layer.state, layer.stride), empty(layer.state, layer.stride), empty(count, layer.stride))
            for layer, count in zip(self.config.layers, self.coefficients, strict=True)))

    def look(self, t: int, canvas: Tensor) -> Tensor:
        """Embedding of the canvas r_{t-1} at the layer of step t, (B, embedding, H/s, W/s), 0..127."""
        levels = in_bytes(whole((canvas / CANVAS_UNIT).sub_(128), -127, 127))
        return rectify(self.core(t).canvas_embedding(to_patches(levels, self.stride(t))))

    def prior(self, t: int, given: StepInput, seen: Tensor) -> Tensor:
        """p_t = p(z_t | h^d_{t-1}) (4): index of each latent's scale, (B, latents, H/s, W/s), 0..63.

        The family of its distribution follows from ``sign``, see ``priors.table_index``.
        """
        step, heads, history, memory = self.config.steps[t], self.heads(t), given.layer.history, given.layer.h
        known = rectify(heads.history_embedding(history.abs().clamp_max(HISTORY_LIMIT)))
        if given.coarser is not None:
            memory = torch.cat([memory, enlarged(given.coarser, memory.shape[3] // given.coarser.shape[3])], dim=1)
        hidden = heads.prior_context(torch.cat([seen, known], dim=1)).add_(heads.prior_state(memory))
        index = heads.prior_index(rectify(hidden))
        if heads.refines:
            if_zero, if_significant = index.chunk(2, dim=1)
            index = torch.where(history[:, step.first:step.last] == 0, if_zero, if_significant)
        return whole(index, 0, SCALES - 1)

    def sign(self, t: int, layer: LayerState) -> Tensor | None:
        """Sign so far of each coefficient of step t, (B, latents, H/s, W/s); None on their first visit."""
        step = self.config.steps[t]
        return layer.history[:, step.first:step.last].sign().to(torch.int8) if self.heads(t).refines else None

    def decode(self, t: int, layer: LayerState, seen: Tensor, added: Tensor) -> LayerState:
        """h^d_t (6), and the history, from what the latents add: whole half cells (B, latents, H/s, W/s)."""
        step = self.config.steps[t]
        embedded = torch.cat([rectify(self.heads(t).latent_embedding(added)), seen], dim=1)
        h, c = self.core(t).decoder(embedded, layer.h, layer.c)
        sent = REFINEMENT * layer.history[:, step.first:step.last] + added.detach()
        history = layer.history.clone()
        history[:, step.first:step.last] = sent.clamp(-PAST_LIMIT, PAST_LIMIT).to(history.dtype)
        return LayerState(h, c, history)

    def write(self, t: int, canvas: Tensor, h: Tensor, added: Tensor) -> Tensor:
        """The canvas r_t (7), from r_{t-1}, h^d_t, and the linear path of what the latents add."""
        step = self.config.steps[t]
        cells = self.core(t).write(h).add_(self.core(t).synthesis(added, step.first))
        patches = whole(cells.mul_(self.heads(t).cell * CANVAS_UNIT), -SPREAD_LIMIT, SPREAD_LIMIT)
        written = self.overlap.spread(from_patches(patches, self.stride(t)), step.layer).add_(canvas)
        return whole(written, -CANVAS_MARGIN * CANVAS_UNIT, (255 + CANVAS_MARGIN) * CANVAS_UNIT)

    # -- encoder: floating point, it only chooses integers --------------------------------------------------

    def start_encoder(self, image: Tensor) -> list[EncoderLayer]:
        """The encoder before the first step, at each layer; image: (B, 3, H, W) float32, lapped."""
        result = []
        for number, layer in enumerate(self.config.layers):
            embedded = self.embed(number, image)
            empty = embedded.new_zeros(len(image), layer.encoder_state, *embedded.shape[2:], dtype=torch.float32)
            result.append(EncoderLayer(embedded, empty, empty))
        return result

    def embed(self, layer: int, image: Tensor) -> Tensor:
        """The encoder's embedding of the picture at a layer, the same in every step, (B, embedding, H/s, W/s)."""
        cores = cast(LayerCores, self.cores[layer])
        return cores.picture_embedding(to_patches((image - 128) / 64, self.config.layers[layer].stride))

    def error(self, t: int, image: Tensor, canvas: Tensor) -> Tensor:
        """e_t = x - r_{t-1} (1), in levels, as patches of the layer of step t: (B, 3 s s, H/s, W/s)."""
        with torch.autocast(image.device.type, enabled=False):
            error = self.overlap.gather(image - canvas / CANVAS_UNIT, self.config.steps[t].layer)
        return to_patches(error, self.stride(t))

    def encode(self, t: int, error: Tensor, encoder: EncoderLayer, h: Tensor) -> EncoderLayer:
        """h^e_t and its cell (2), from the error, the encoder's last state, and h^d_{t-1}."""
        core = self.core(t)
        embedded = F.relu(core.error_embedding(error / 32) + encoder.embedded)
        gates = core.encoder_gates(torch.cat([embedded, encoder.h, h.float() / UNIT], dim=1))
        return EncoderLayer(encoder.embedded, *lstm(gates, encoder.c))

    def posterior(self, t: int, error: Tensor, h: Tensor) -> Tensor:
        """Mean of q(z_t | h^e_t) (3), (B, latents, H/s, W/s), in cells: a linear map of the error, and a correction."""
        step, heads = self.config.steps[t], self.heads(t)
        analysis = self.core(t).analysis.weight[step.first:step.last]
        linear = F.conv2d(error / (heads.cell * error.shape[1]), analysis)
        return linear.float() + heads.posterior(h).float()
