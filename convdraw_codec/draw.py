"""Convolutional DRAW as an embedded image codec: the whole model, in one sitting.

Equation numbers (1)-(8) are those of Gregor et al., "Towards Conceptual Compression" (2016).
The decoder side (canvas, prior, recurrence, write) computes in exact integers, see ``integer``;
the encoder side is floating point, since it only chooses which integers to send.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .errors import ConfigError
from .integer import EMBEDDING_LIMIT, EMBEDDING_UNIT, UNIT, IntegerConv, IntegerConvLSTM, rectify, round_through
from .latents import FIRST, LATENT_LIMIT, REFINE, REFINEMENT, SCALES, ZERO, index_of

CANVAS_UNIT = 16  # the canvas counts in 1/16 of a pixel level
CANVAS_MARGIN = 64  # levels by which the canvas may leave 0..255
HALF_CELLS_LIMIT = 2 * LATENT_LIMIT + 1
HISTORY_LIMIT = 31  # half cells beyond which the prior sees no difference
WRITE_LEVELS = 8  # pixel levels that a write weight of 1 stands for
INDEX_UNIT = 16  # scale indices per unit of the prior head's output


@dataclass(frozen=True)
class Layer:
    """One resolution of the model.

    stride: pixels per position, a multiple of the stride of the next layer.
    state: channels of the decoder's recurrent state h^d; encoder_state: those of h^e.
    embedding: channels to which canvas, latents and history are each reduced.
    context: hidden channels of the prior. kernel: of all convolutions that look around.
    """

    stride: int
    state: int
    encoder_state: int
    embedding: int
    context: int
    kernel: int = 3


@dataclass(frozen=True)
class Step:
    """One visit of a layer, which sends latents for its coefficients first..last-1.

    quantiser: width of a latent's cell, in pixel levels of an orthonormal basis. If an earlier step sent
    the same coefficients, this step refines them, and its quantiser is exactly a third.
    """

    layer: int
    quantiser: float
    first: int
    last: int


@dataclass(frozen=True)
class Config:
    """Layers from coarse to fine, and the schedule of steps that visit them."""

    name: str
    layers: tuple[Layer, ...]
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        strides = [layer.stride for layer in self.layers]
        if not strides or strides[-1] < 1 or any(a <= b or a % b for a, b in itertools.pairwise(strides)):
            raise ConfigError(f"the strides {strides} are not multiples of one another, from coarse to fine")
        if any(layer.kernel % 2 == 0 for layer in self.layers):
            raise ConfigError("kernels have an odd size")
        if not 1 <= len(self.steps) <= 255:
            raise ConfigError(f"a model has 1 to 255 steps, not {len(self.steps)}")
        for step in self.steps:
            if not 0 <= step.layer < len(strides) or not step.quantiser > 0:
                raise ConfigError(f"{step}: there is no such layer or quantiser")

    @classmethod
    def from_dict(cls, data: dict) -> Config:
        """From TOML or JSON. Raises KeyError or TypeError for missing or unknown entries, ConfigError."""
        return cls(data["name"], tuple(Layer(**layer) for layer in data["layers"]),
                   tuple(Step(**step) for step in data["steps"]))


@dataclass(frozen=True)
class DecoderState:
    """What the decoder knows after some steps. Tensors are never changed in place.

    canvas: r_t, (B, 3, H, W), multiples of 1/16 level. Per layer: h and c, (B, state, H/s, W/s), integers
    in 1/128; history, (B, coefficients, H/s, W/s): the value sent so far, in half cells of the last quantiser.
    """

    canvas: Tensor
    h: tuple[Tensor, ...]
    c: tuple[Tensor, ...]
    history: tuple[Tensor, ...]


# ---------------------------------------------------------------------------------------------------------
# The start: a nested, orthonormal cosine transform. Coefficients of low frequency move up to the next
# coarser layer, so every coefficient of the picture belongs to exactly one layer.

def _cosines(size: int) -> Tensor:
    """Orthonormal DCT-II, one basis function a row."""
    n = torch.arange(size, dtype=torch.float64)
    basis = torch.cos(math.pi / size * (n[None, :] + 0.5) * n[:, None]) * math.sqrt(2 / size)
    basis[0] /= math.sqrt(2)
    return basis


def nested_transform(strides: list[int]) -> list[tuple[Tensor, Tensor]]:
    """For each layer, coarse to fine: basis (n, 3 s s) with orthonormal rows, expected deviation (n,).

    Rows are ordered by the deviation to expect in a photograph. Over all layers the basis is complete.
    """
    colours = torch.tensor([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=torch.float64)
    colours = colours / colours.norm(dim=1, keepdim=True)
    result: list[tuple[Tensor, Tensor]] = []
    functions = _cosines(strides[-1])  # 1-D functions of the current layer, rows by frequency
    for level in reversed(range(len(strides))):
        stride = strides[level]
        promoted = 0
        if level > 0:  # low frequencies that the coarser layer will take
            promoted = 2 if len(functions) >= 4 else 1
        rows, deviations = [], []
        for v, fv in enumerate(functions):
            for u, fu in enumerate(functions):
                if u < promoted and v < promoted:
                    continue
                frequency = math.hypot(u, v) / (2 * stride)
                for colour, amplitude in zip(colours, (1.0, 0.2, 0.15), strict=True):
                    rows.append(torch.einsum("c,y,x->cyx", colour, fv, fu).flatten())
                    deviations.append(amplitude * (6 / frequency if frequency else 80 * stride))
        deviation = torch.tensor(deviations)
        order = torch.argsort(deviation, descending=True, stable=True)
        result.insert(0, (torch.stack(rows)[order].float(), deviation[order]))
        if level > 0:  # the functions of the coarser layer: nearest to its own cosines, within the promoted span
            ratio = strides[level - 1] // stride
            span = torch.block_diag(*[functions[:promoted]] * ratio)
            target = _cosines(strides[level - 1])[:len(span)]
            left, _, right = torch.linalg.svd(target @ span.T)
            functions = left @ right @ span
    return result


# ---------------------------------------------------------------------------------------------------------

class LayerCores(nn.Module):
    """The recurrent cores of a layer, shared by all steps that visit it."""

    def __init__(self, layer: Layer):
        super().__init__()
        patch = 3 * layer.stride**2
        self.canvas_embedding = IntegerConv(patch, layer.embedding, 1, input_unit=1 / 64, input_limit=127)
        self.decoder = IntegerConvLSTM(2 * layer.embedding, layer.state, layer.kernel)
        self.encoder_embedding = nn.Conv2d(2 * patch, layer.embedding, 1)
        self.encoder_gates = nn.Conv2d(layer.embedding + layer.encoder_state + layer.state, 4 * layer.encoder_state,
                                       layer.kernel, padding=layer.kernel // 2)


class StepHeads(nn.Module):
    """The heads of one step: posterior, prior, embedding of the latents, write."""

    def __init__(self, layer: Layer, coarser_state: int, coefficients: int, step: Step, refines: bool,
                 basis: Tensor, deviation: Tensor):
        super().__init__()
        latents, patch, kernel = step.last - step.first, 3 * layer.stride**2, layer.kernel
        self.latents, self.refines = latents, refines
        # posterior (3): linear in the error patches, plus a correction from h^e
        # (both linear maps are kept near unit size, so that one learning rate suits all weights)
        self.cell = step.quantiser / math.sqrt(patch)
        self.analysis = nn.Conv2d(patch, latents, 1, bias=False)
        self.posterior = nn.Conv2d(layer.encoder_state, latents, 1)
        # prior (4): from the decoder's state, its canvas, and what was sent of these coefficients before
        self.history_embedding = IntegerConv(coefficients, layer.embedding, 1, input_unit=1 / 8,
                                             input_limit=HISTORY_LIMIT)
        self.prior_state = IntegerConv(layer.state + coarser_state, layer.context, kernel, input_unit=1 / UNIT,
                                       input_limit=UNIT - 1, bias=False)
        self.prior_context = IntegerConv(2 * layer.embedding, layer.context, kernel, input_unit=1 / EMBEDDING_UNIT,
                                         input_limit=EMBEDDING_LIMIT)
        self.prior_index = IntegerConv(layer.context, latents * (2 if refines else 1), 1,
                                       input_unit=1 / EMBEDDING_UNIT, input_limit=EMBEDDING_LIMIT)
        # decoder input (6) and write (7)
        self.latent_embedding = IntegerConv(latents, layer.embedding, 1, input_unit=0.5, input_limit=HALF_CELLS_LIMIT)
        self.write = IntegerConv(layer.state, patch, 1, input_unit=WRITE_LEVELS / UNIT, input_limit=UNIT - 1, zero=True)
        self.synthesis = IntegerConv(latents, patch, 1, input_unit=self.cell / 2, input_limit=HALF_CELLS_LIMIT,
                                     bias=False)
        assert self.posterior.bias is not None
        assert self.synthesis.weight is not None
        assert self.prior_index.weight is not None
        assert self.prior_index.bias is not None
        with torch.no_grad():
            self.analysis.weight.copy_((basis * math.sqrt(patch))[:, :, None, None])
            self.synthesis.weight.copy_((basis.T * math.sqrt(patch))[:, :, None, None])
            nn.init.zeros_(self.posterior.weight)
            nn.init.zeros_(self.posterior.bias)
            self.prior_index.weight.mul_(0.1)
            index = [index_of(float(d) / step.quantiser / 1.8, ZERO if refines else FIRST) for d in deviation]
            if refines:
                index += [index_of(0.4, REFINE)] * latents
            self.prior_index.bias.copy_(torch.tensor(index) / INDEX_UNIT)


class ConvDRAW(nn.Module):
    """Convolutional DRAW over the layers and the schedule of a ``Config``.

    One step is ``look`` (what the canvas shows), ``prior`` (4), ``posterior`` (1)-(3) on the encoder's side
    only, and ``draw`` (6)-(7). Pictures are float32 (B, 3, H, W) in 0..255, with H and W multiples of
    ``padding``.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.padding = config.layers[0].stride
        transform = nested_transform([layer.stride for layer in config.layers])
        self.coefficients = [len(basis) for basis, _ in transform]
        self.initial_canvas = nn.Parameter(torch.tensor([118.0, 116.0, 108.0]))  # r_0
        self.cores = nn.ModuleList(LayerCores(layer) for layer in config.layers)
        self.steps = nn.ModuleList()
        sent: dict[tuple[int, int], float] = {}
        for step in config.steps:
            basis, deviation = transform[step.layer]
            chosen = range(step.first, step.last)
            earlier = {sent.get((step.layer, i), 0.0) for i in chosen}
            if len(earlier) != 1 or not 0 <= step.first < step.last <= len(basis):
                raise ConfigError(f"{step}: its coefficients do not exist, or were not sent alike before")
            before = earlier.pop()
            if before not in (0, REFINEMENT * step.quantiser):
                raise ConfigError(f"{step}: a refinement divides the quantiser, {before}, by {REFINEMENT}")
            sent.update({(step.layer, i): step.quantiser for i in chosen})
            coarser = config.layers[step.layer - 1].state if step.layer else 0
            self.steps.append(StepHeads(config.layers[step.layer], coarser, len(basis), step, before > 0,
                                        basis[step.first:step.last], deviation[step.first:step.last]))

    def heads(self, t: int) -> StepHeads:
        """The heads of step t, counted from 0."""
        return cast(StepHeads, self.steps[t])

    def core(self, t: int) -> LayerCores:
        """The cores of the layer that step t visits."""
        return cast(LayerCores, self.cores[self.config.steps[t].layer])

    def integer_convolutions(self) -> Iterator[tuple[str, IntegerConv]]:
        """All convolutions of the decoder, with their names."""
        return ((name, module) for name, module in self.named_modules() if isinstance(module, IntegerConv))

    # -- decoder: exact integers ---------------------------------------------------------------------------

    def start(self, batch: int, height: int, width: int) -> DecoderState:
        """The state before the first step: the learned canvas r_0, empty memories."""
        device = self.initial_canvas.device
        level = round_through(self.initial_canvas * CANVAS_UNIT) / CANVAS_UNIT

        def empty(channels: int, stride: int) -> Tensor:
            return torch.zeros(batch, channels, height // stride, width // stride, dtype=torch.float32,
                               device=device).to(memory_format=torch.channels_last)

        layers = self.config.layers
        return DecoderState(
            canvas=level[None, :, None, None].expand(batch, 3, height, width),
            h=tuple(empty(layer.state, layer.stride) for layer in layers),
            c=tuple(empty(layer.state, layer.stride) for layer in layers),
            history=tuple(empty(n, layer.stride) for n, layer in zip(self.coefficients, layers, strict=True)))

    def look(self, t: int, state: DecoderState) -> Tensor:
        """Embedding of the canvas r_{t-1} at the layer of step t, (B, embedding, H/s, W/s), 0..127."""
        stride = self.config.layers[self.config.steps[t].layer].stride
        levels = round_through((state.canvas - 128).clamp(-127, 127))
        patches = F.pixel_unshuffle(levels, stride).contiguous(memory_format=torch.channels_last)
        return rectify(self.core(t).canvas_embedding(patches))

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
            coarser = state.h[step.layer - 1].repeat_interleave(ratio, dim=2).repeat_interleave(ratio, dim=3)
            memory = torch.cat([memory, coarser], dim=1)
        hidden = rectify(heads.prior_state(memory) + heads.prior_context(torch.cat([seen, known], dim=1)))
        index = heads.prior_index(hidden)
        if heads.refines:
            if_zero, if_significant = index.chunk(2, dim=1)
            index = torch.where(history[:, step.first:step.last] == 0, if_zero, if_significant)
        return round_through((index * INDEX_UNIT).clamp(0, SCALES - 1))

    def sign(self, t: int, state: DecoderState) -> Tensor | None:
        """Sign so far of each coefficient of step t, (B, latents, H/s, W/s); None on their first visit."""
        step = self.config.steps[t]
        return state.history[step.layer][:, step.first:step.last].sign() if self.heads(t).refines else None

    def draw(self, t: int, state: DecoderState, seen: Tensor, added: Tensor) -> DecoderState:
        """h^d_t (6) and r_t (7) from what the latents add, whole half cells (B, latents, H/s, W/s)."""
        step, heads = self.config.steps[t], self.heads(t)
        layer, stride = step.layer, self.config.layers[step.layer].stride
        embedded = torch.cat([rectify(heads.latent_embedding(added)), seen], dim=1)
        h, c = self.core(t).decoder(embedded, state.h[layer], state.c[layer])
        patches = (round_through(heads.write(h) * CANVAS_UNIT)
                   + round_through(heads.synthesis(added) * CANVAS_UNIT)) / CANVAS_UNIT
        canvas = (state.canvas + F.pixel_shuffle(patches, stride)).clamp(-CANVAS_MARGIN, 255 + CANVAS_MARGIN)
        past = state.history[layer]
        sent = added.detach() + REFINEMENT * past[:, step.first:step.last]
        history = torch.cat([past[:, :step.first], sent, past[:, step.last:]], dim=1)

        def put(old: tuple[Tensor, ...], new: Tensor) -> tuple[Tensor, ...]:
            return (*old[:layer], new, *old[layer + 1:])

        return replace(state, canvas=canvas, h=put(state.h, h), c=put(state.c, c), history=put(state.history, history))

    # -- encoder: floating point, it only chooses integers --------------------------------------------------

    def start_encoder(self, batch: int, height: int, width: int) -> list[tuple[Tensor, Tensor]]:
        """Empty encoder memories (h^e, c^e), one pair a layer."""
        device = self.initial_canvas.device
        shapes = [(batch, layer.encoder_state, height // layer.stride, width // layer.stride)
                  for layer in self.config.layers]
        return [(torch.zeros(shape, dtype=torch.float32, device=device),) * 2 for shape in shapes]

    def posterior(self, t: int, image: Tensor, memory: list[tuple[Tensor, Tensor]], state: DecoderState) -> Tensor:
        """Mean of q_t (3), (B, latents, H/s, W/s), in cells; updates the encoder's ``memory`` (2) in place."""
        step, heads = self.config.steps[t], self.heads(t)
        cores, stride = self.core(t), self.config.layers[step.layer].stride
        error = F.pixel_unshuffle(image - state.canvas, stride)  # (1)
        patches = torch.cat([F.pixel_unshuffle(image - 128, stride) / 64, error / 32], dim=1)
        h, c = memory[step.layer]
        inputs = torch.cat([F.relu(cores.encoder_embedding(patches)), h, state.h[step.layer] / UNIT], dim=1)
        admit, keep, emit, candidate = cores.encoder_gates(inputs).float().chunk(4, dim=1)  # (2)
        c = torch.sigmoid(keep + 1) * c + torch.sigmoid(admit) * torch.tanh(candidate)
        h = torch.sigmoid(emit) * torch.tanh(c)
        memory[step.layer] = (h, c)
        linear = heads.analysis(error / (heads.cell * error.shape[1]))
        return linear.float() + heads.posterior(h).float()
