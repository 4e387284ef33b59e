"""A small two-sided head trained with InfoNCE, in numpy: the training set is small enough to need nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

TEXT_GAIN = 8.0
"""Centred MiniLM vectors have a norm of about 1; the gain brings the text side to the image side's scale."""


@dataclass(slots=True)
class ContrastiveHead:
    """Image side: linear, GELU, linear; text side: linear. Matrices are [inputs, outputs]."""

    image_in: Floats
    image_in_bias: Floats
    image_out: Floats
    image_out_bias: Floats
    text: Floats
    text_bias: Floats


@dataclass(frozen=True, slots=True)
class Schedule:
    """Regularised hard: there are a few hundred photos. `steps` was chosen by cross-validation on them."""

    steps: int = 40
    learning_rate: float = 1e-3
    weight_decay: float = 0.2
    hidden: int = 384
    size: int = 128
    drop_input: float = 0.4
    drop_hidden: float = 0.5
    drop_text: float = 0.1
    smoothing: float = 0.1
    warm_up: float = 0.15


def train(images: Floats, captions: Floats, owner: NDArray[np.int64], seed: int, plan: Schedule) -> ContrastiveHead:
    """One head.

    images: [views, n, d]; each step draws one view of every photo. captions: [m, 384], centred; each step draws one
    caption of every photo. owner: [m], the photo of each caption.
    """
    random = np.random.default_rng(seed)
    views, count, width = images.shape
    head = _initial(random, width, captions.shape[1], plan)
    log_scale = np.array(math.log(15.0), np.float32)
    parameters = [getattr(head, field.name) for field in fields(head)] + [log_scale]
    optimiser = _AdamW(parameters, plan.weight_decay)
    order = np.argsort(owner, kind="stable")
    first = np.searchsorted(owner[order], np.arange(count))
    amount = np.bincount(owner, minlength=count)
    gained = captions * TEXT_GAIN
    for step in range(plan.steps):
        x = images[random.integers(views, size=count), np.arange(count)]
        t = gained[order[first + (random.random(count) * amount).astype(np.int64)]]
        gradients = _gradients(head, log_scale, x, t, random, plan)
        optimiser.step(gradients, _rate(step, plan))
    head.text *= np.float32(TEXT_GAIN)
    return head


def _initial(random: np.random.Generator, width: int, text_width: int, plan: Schedule) -> ContrastiveHead:
    def uniform(inputs: int, *shape: int) -> Floats:
        bound = 1 / math.sqrt(inputs)
        return random.uniform(-bound, bound, shape).astype(np.float32)

    return ContrastiveHead(
        image_in=uniform(width, width, plan.hidden),
        image_in_bias=uniform(width, plan.hidden),
        image_out=uniform(plan.hidden, plan.hidden, plan.size),
        image_out_bias=uniform(plan.hidden, plan.size),
        text=uniform(text_width, text_width, plan.size),
        text_bias=uniform(text_width, plan.size),
    )


def _rate(step: int, plan: Schedule) -> float:
    """One cycle: up from a 25th over the warm-up, then down to nothing along a cosine."""
    warm = max(1.0, plan.warm_up * plan.steps - 1)
    if step < warm:
        return plan.learning_rate * (0.04 + 0.96 * (1 - math.cos(math.pi * step / warm)) / 2)
    return plan.learning_rate * (1 + math.cos(math.pi * (step - warm) / (plan.steps - 1 - warm))) / 2


def _gradients(
    head: ContrastiveHead, log_scale: Floats, x: Floats, t: Floats, random: np.random.Generator, plan: Schedule
) -> list[Floats]:
    """Of the symmetric cross entropy over all pairs, in the order of the head's fields, then log_scale."""
    count = len(x)

    def dropped(value: Floats, rate: float) -> tuple[Floats, Floats]:
        mask = ((random.random(value.shape, np.float32) >= rate) / np.float32(1 - rate)).astype(np.float32)
        return value * mask, mask

    x, _ = dropped(x, plan.drop_input)
    t, _ = dropped(t, plan.drop_text)
    before = x @ head.image_in + head.image_in_bias
    active, slope = _gelu(before)
    active, mask = dropped(active, plan.drop_hidden)
    u, u_norm = _unit(active @ head.image_out + head.image_out_bias)
    v, v_norm = _unit(t @ head.text + head.text_bias)
    scale = np.float32(min(math.exp(float(log_scale)), 60.0))
    cosines = u @ v.T
    target = np.full((count, count), plan.smoothing / count, np.float32)
    target[np.diag_indices(count)] += 1 - plan.smoothing
    logits = scale * cosines
    error = (_softmax(logits, 1) + _softmax(logits, 0) - 2 * target) / np.float32(2 * count)

    d_u = _through_unit(scale * error @ v, u, u_norm)
    d_v = _through_unit(scale * error.T @ u, v, v_norm)
    d_before = (d_u @ head.image_out.T) * mask * slope
    d_log_scale = np.asarray((error * cosines).sum() * scale, np.float32)
    return [x.T @ d_before, d_before.sum(0), active.T @ d_u, d_u.sum(0), t.T @ d_v, d_v.sum(0), d_log_scale]


def _unit(value: Floats) -> tuple[Floats, Floats]:
    norm = np.maximum(np.linalg.norm(value, axis=1, keepdims=True), 1e-9)
    return value / norm, norm


def _through_unit(gradient: NDArray[Any], unit: Floats, norm: Floats) -> Floats:
    return np.asarray((gradient - unit * (gradient * unit).sum(1, keepdims=True)) / norm, np.float32)


def _softmax(logits: Floats, axis: int) -> Floats:
    exponential = np.exp(logits - logits.max(axis, keepdims=True))
    return np.asarray(exponential / exponential.sum(axis, keepdims=True), np.float32)


_erf = np.vectorize(math.erf, otypes=[np.float32])


def _gelu(value: Floats) -> tuple[Floats, Floats]:
    """Value and derivative."""
    cumulative = 0.5 * (1 + _erf(value * np.float32(math.sqrt(0.5))))
    density = np.exp(-0.5 * value * value) / np.float32(math.sqrt(2 * math.pi))
    return value * cumulative, cumulative + value * density


class _AdamW:
    """Loshchilov and Hutter 2019; decay on matrices only. Updates the given arrays in place."""

    def __init__(self, parameters: list[Floats], decay: float) -> None:
        self._parameters = parameters
        self._decay = decay
        self._mean = [np.zeros_like(parameter) for parameter in parameters]
        self._square = [np.zeros_like(parameter) for parameter in parameters]
        self._steps = 0

    def step(self, gradients: list[Floats], rate: float) -> None:
        self._steps += 1
        for i, (parameter, gradient) in enumerate(zip(self._parameters, gradients, strict=True)):
            self._mean[i] = 0.9 * self._mean[i] + 0.1 * gradient
            self._square[i] = 0.999 * self._square[i] + 0.001 * gradient * gradient
            mean = self._mean[i] / (1 - 0.9**self._steps)
            square = self._square[i] / (1 - 0.999**self._steps)
            if parameter.ndim > 1:
                parameter *= np.float32(1 - rate * self._decay)
            parameter -= np.float32(rate) * (mean / (np.sqrt(square) + 1e-8)).astype(np.float32)
