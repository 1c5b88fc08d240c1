"""Convolutional DRAW as an embedded image codec: the whole model, in one sitting.

Equation numbers (1)-(8) are those of Gregor et al., "Towards Conceptual Compression" (2016).
The decoder side (canvas, prior, recurrence, write) computes in exact integers, see ``integer``;
the encoder side is floating point, since it only chooses which integers to send.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..format.rotation import TURN_UNIT, Colours
from .config import Config, Layer, Step
from .exact_conv import (
    EMBEDDING_UNIT,
    UNIT,
    WEIGHT_LIMIT,
    IntegerConv,
    Integers,
    in_bytes,
    rectified_conv,
    rectify,
    round_through,
    whole,
)
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
class DecoderState:
    """What the decoder knows after some steps. Tensors are never changed in place.

    canvas: r_t, (B, 3, H, W), in whole 1/16 of a level. Per layer: h and c, (B, state, H/s, W/s), integers
    in 1/128; history, (B, coefficients, H/s, W/s): the value sent so far, in half cells of the last quantiser. Whole
    numbers of any type that holds them all.
    """

    canvas: Tensor
    h: tuple[Tensor, ...]
    c: tuple[Tensor, ...]
    history: tuple[Tensor, ...]


@dataclass
class EncoderState:
    """What the encoder knows besides: the lapped picture (B, 3, H, W), and per layer what never changes of its
    embedding, h^e and c^e, (B, channels, H/s, W/s)."""

    image: Tensor
    embedded: list[Tensor]
    h: list[Tensor]
    c: list[Tensor]


real_conv = partial(nn.Conv2d, dtype=torch.float32)  # whatever the default is


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
                                     weight_limit=WEIGHT_LIMIT, bias=False)  # with less, high rates cost 3 % more
        self.write = IntegerConv(layer.state, patch, 1, input_unit=WRITE_CELLS / UNIT, input_limit=UNIT - 1, zero=True)


class StepHeads(nn.Module):
    """The heads of one step: posterior, prior, embedding of the latents."""

    def __init__(self, layer: Layer, coarser_state: int, coefficients: int, step: Step, refines: bool):
        super().__init__()
        latents, kernel = step.last - step.first, layer.kernel
        self.latents, self.refines = latents, refines
        self.cell = step.quantiser / math.sqrt(3 * layer.stride**2)  # in levels a pixel
        # posterior (3): a correction from h^e to the linear map of the error
        self.posterior = real_conv(layer.encoder_state, latents, 1)
        # prior (4): from the decoder's state, its canvas, and what was sent of these coefficients before
        self.history_embedding = IntegerConv(coefficients, layer.embedding, 1, input_unit=1 / 8,
                                             input_limit=HISTORY_LIMIT, output_unit=1 / EMBEDDING_UNIT, signed=False)
        self.prior_state = IntegerConv(layer.state + coarser_state, layer.context, kernel, input_unit=1 / UNIT,
                                       input_limit=UNIT - 1, output_unit=1 / EMBEDDING_UNIT, bias=False)
        self.prior_context = rectified_conv(2 * layer.embedding, layer.context, kernel, output_unit=1 / EMBEDDING_UNIT)
        self.prior_index = rectified_conv(layer.context, latents * (2 if refines else 1), 1, output_unit=1 / INDEX_UNIT)
        # decoder input (6)
        self.latent_embedding = IntegerConv(latents, layer.embedding, 1, input_unit=0.5, input_limit=HALF_CELLS_LIMIT,
                                            output_unit=1 / EMBEDDING_UNIT)


class ConvDRAW(nn.Module):
    """Convolutional DRAW over the layers and the schedule of a ``Config``.

    One step is ``look`` (what the canvas shows), ``prior`` (4), ``posterior`` (1)-(3) on the encoder's side
    only, and ``draw`` (6)-(7). The canvas and what it should be are turned in colour (see ``colours``) and lapped (see
    ``lapped``), by ``lapping``: float32 (B, 3, H, W), with H and W multiples of ``padding``.
    """

    lapping: Tensor
    information: Tensor  # expected bits of a latent under each distribution of the stored table, in 1/16

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.padding = config.layers[0].stride
        self.coefficients = config.coefficients
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

    def integer_convolutions(self) -> Iterator[tuple[str, IntegerConv]]:
        """The trainable convolutions of the decoder, with their names."""
        return ((name, module) for name, module in self.named_modules() if isinstance(module, IntegerConv))

    @contextlib.contextmanager
    def quantised_once(self) -> Iterator[None]:
        """Quantise each weight once for all steps inside, in training, rather than at every use."""
        modules = [module for _, module in self.integer_convolutions()]
        low = torch.is_autocast_enabled(self.initial_canvas.device.type)
        for module in modules:
            weight, multiplier, bias = module.quantised()
            module.held = Integers(weight.to(torch.bfloat16) if low else weight, multiplier, bias)  # holds -127..127
        try:
            yield
        finally:
            for module in modules:
                module.held = None

    # -- between pictures and canvases ----------------------------------------------------------------------

    def to_canvas(self, picture: Tensor, colours: Sequence[Colours]) -> Tensor:
        """Pictures (B, 3, H, W) in 0..255, and the colours of each -> what their canvases should be, float32."""
        mean, turns = self._colours(colours, picture.device)
        with torch.autocast(picture.device.type, enabled=False):  # in full precision, whatever the convolutions have
            turned = (turns.mT @ (picture.double() - mean).flatten(2) / TURN_UNIT).unflatten(2, picture.shape[2:])
            return lap(turned.float() + self.initial_canvas.detach()[:, None, None], self.lapping)

    def shown(self, canvas: Tensor, colours: Sequence[Colours]) -> Tensor:
        """What canvases (B, 3, H, W) show, in whole 1/``SHOWN_UNIT`` of a level; canvas: in whole 1/16 of one.

        In float64, in which all of it is exact, whatever the order of sums.
        """
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

        layers = self.config.layers
        return DecoderState(
            canvas=self.first_canvas()[None, :, None, None].expand(batch, 3, height, width),
            h=tuple(empty(layer.state, layer.stride) for layer in layers),
            c=tuple(empty(layer.state, layer.stride) for layer in layers),
            history=tuple(empty(n, layer.stride) for n, layer in zip(self.coefficients, layers, strict=True)))

    def look(self, t: int, state: DecoderState) -> Tensor:
        """Embedding of the canvas r_{t-1} at the layer of step t, (B, embedding, H/s, W/s), 0..127."""
        stride = self.config.layers[self.config.steps[t].layer].stride
        levels = state.canvas / CANVAS_UNIT
        levels -= 128
        return rectify(self.core(t).canvas_embedding(to_patches(in_bytes(whole(levels, -127, 127)), stride)))

    def prior(self, t: int, state: DecoderState, seen: Tensor) -> Tensor:
        """p_t = p(z_t | h^d_{t-1}) (4): index of each latent's scale, (B, latents, H/s, W/s), 0..63.

        Its family follows from ``sign``.
        """
        step, heads = self.config.steps[t], self.heads(t)
        history = state.history[step.layer]
        known = rectify(heads.history_embedding(history.abs().clamp_max(HISTORY_LIMIT)))
        memory = state.h[step.layer]
        if step.layer > 0:
            ratio = self.config.layers[step.layer - 1].stride // self.config.layers[step.layer].stride
            memory = torch.cat([memory, enlarged(state.h[step.layer - 1], ratio)], dim=1)
        hidden = heads.prior_context(torch.cat([seen, known], dim=1))
        hidden += heads.prior_state(memory)
        index = heads.prior_index(rectify(hidden))
        if heads.refines:
            if_zero, if_significant = index.chunk(2, dim=1)
            index = torch.where(history[:, step.first:step.last] == 0, if_zero, if_significant)
        return whole(index, 0, SCALES - 1)

    def sign(self, t: int, state: DecoderState) -> Tensor | None:
        """Sign so far of each coefficient of step t, (B, latents, H/s, W/s); None on their first visit."""
        step, heads = self.config.steps[t], self.heads(t)
        return state.history[step.layer][:, step.first:step.last].sign().to(torch.int8) if heads.refines else None

    def draw(self, t: int, state: DecoderState, seen: Tensor, added: Tensor) -> DecoderState:
        """h^d_t (6) and r_t (7) from what the latents add, whole half cells (B, latents, H/s, W/s)."""
        step, heads = self.config.steps[t], self.heads(t)
        layer, stride = step.layer, self.config.layers[step.layer].stride
        embedded = torch.cat([rectify(heads.latent_embedding(added)), seen], dim=1)
        h, c = self.core(t).decoder(embedded, state.h[layer], state.c[layer])
        cells = self.core(t).write(h)
        cells += self.core(t).synthesis(added, step.first)
        cells *= heads.cell * CANVAS_UNIT
        patches = whole(cells, -SPREAD_LIMIT, SPREAD_LIMIT)
        written = self.overlap.spread(from_patches(patches, stride), layer)
        written += state.canvas
        canvas = whole(written, -CANVAS_MARGIN * CANVAS_UNIT, (255 + CANVAS_MARGIN) * CANVAS_UNIT)
        past = state.history[layer]
        sent = REFINEMENT * past[:, step.first:step.last] + added.detach()
        sent = sent.clamp(-PAST_LIMIT, PAST_LIMIT).to(past.dtype)
        history = past.clone()
        history[:, step.first:step.last] = sent

        def put(old: tuple[Tensor, ...], new: Tensor) -> tuple[Tensor, ...]:
            return (*old[:layer], new, *old[layer + 1:])

        return replace(state, canvas=canvas, h=put(state.h, h), c=put(state.c, c), history=put(state.history, history))

    # -- encoder: floating point, it only chooses integers --------------------------------------------------

    def start_encoder(self, image: Tensor) -> EncoderState:
        """The encoder before the first step; image: (B, 3, H, W) float32, lapped."""
        layers, (height, width) = self.config.layers, image.shape[2:]
        empty = [torch.zeros(len(image), layer.encoder_state, height // layer.stride, width // layer.stride,
                             device=image.device) for layer in layers]
        return EncoderState(image, [self.embed(layer, image) for layer in range(len(layers))], [*empty], [*empty])

    def embed(self, layer: int, image: Tensor) -> Tensor:
        """What never changes of the encoder's embedding at a layer, (B, embedding, H/s, W/s)."""
        cores = cast(LayerCores, self.cores[layer])
        return cores.picture_embedding(to_patches((image - 128) / 64, self.config.layers[layer].stride))

    def posterior(self, t: int, encoder: EncoderState, state: DecoderState) -> Tensor:
        """Mean of q_t (3), (B, latents, H/s, W/s), in cells; updates the encoder's memory (2) in place."""
        step, heads = self.config.steps[t], self.heads(t)
        cores, stride = self.core(t), self.config.layers[step.layer].stride
        with torch.autocast(encoder.image.device.type, enabled=False):
            error = self.overlap.gather(encoder.image - state.canvas / CANVAS_UNIT, step.layer)  # (1)
        error = to_patches(error, stride)
        embedded = F.relu(cores.error_embedding(error / 32) + encoder.embedded[step.layer])
        inputs = torch.cat([embedded, encoder.h[step.layer], state.h[step.layer].float() / UNIT], dim=1)
        h, c = lstm(cores.encoder_gates(inputs), encoder.c[step.layer])  # (2)
        encoder.h[step.layer], encoder.c[step.layer] = h, c
        analysis = cores.analysis.weight[step.first:step.last]
        linear = F.conv2d(error / (heads.cell * error.shape[1]), analysis)
        return linear.float() + heads.posterior(h).float()
