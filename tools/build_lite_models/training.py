"""Fits the joint head to photos with captions."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from . import contrastive
from .extract import Arrays
from .features import BLOCK_SCALES
from .head import TEXT_SIZE, VISUAL_SIZE, Floats, HeadWeights

VISUAL_SUBSPACE = 400
"""Principal directions of the photos in which the variance within photos is measured; fewer than there are photos."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Numbers of the head, chosen by four-fold cross-validation on the training photos; see docs/lite-models.md."""

    ridge_per_1000: float = 4.0
    whitening_power: float = 0.15
    whitening_floor: float = 0.02
    tag_weight: float = 0.8
    prior_weight: float = 0.7
    parts: tuple[float, float, float] = (0.60, 0.10, 0.45)
    heads: int = 2
    visual_scales: dict[str, float] = field(default_factory=lambda: {"pooled": 1.0, "strongest": 0.5, "colour": 1.0})
    """Block -> its standard deviation in the input of the visual part; the other blocks have no share in it."""
    visual_within: float = 0.3
    """Added to the variance within photos, as a multiple of its mean."""
    visual_damping: float = 0.02
    schedule: contrastive.Schedule = field(default_factory=contrastive.Schedule)


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """n photos in `views` renderings (the first unaltered), m captions."""

    views: list[Arrays]
    """each: feature blocks, conse and best, [n, ...]"""
    captions: Floats
    """[m, 384]"""
    owner: NDArray[np.int64]
    """[m]: photo of each caption"""


@dataclass(frozen=True, slots=True)
class WordVectors:
    imagenet: Floats
    """[1000, 384]"""
    coco: Floats
    """[80, 384]"""


def fit(data: TrainingSet, words: WordVectors, recipe: Recipe) -> HeadWeights:
    scale, shift = _standardise(data.views[0])
    images = np.stack([_join(view) * scale - shift for view in data.views])
    mean = data.captions.mean(0)
    centred = data.captions - mean
    imagenet, coco = words.imagenet - words.imagenet.mean(0), words.coco - words.coco.mean(0)
    plain = data.views[0]
    return HeadWeights(
        scale=scale,
        shift=shift,
        ridge=_ridge(images, _mean_caption(centred, data.owner, images.shape[1]), recipe.ridge_per_1000),
        visual=_visual(images, _visual_gain(plain, recipe.visual_scales), recipe),
        contrastive=tuple(
            contrastive.train(images, centred, data.owner, seed, recipe.schedule) for seed in range(recipe.heads)
        ),
        text_mean=mean,
        whitening=_whitening(centred, recipe),
        class_vectors=imagenet,
        class_mean=(plain["conse"] @ imagenet).mean(0),
        tag_vectors=coco,
        tag_mean=(plain["best"] @ coco).mean(0),
        tag_weight=recipe.tag_weight,
        prior_weight=recipe.prior_weight,
        parts=recipe.parts,
    )


def _join(view: Arrays) -> Floats:
    return np.concatenate([view[name] for name in BLOCK_SCALES], 1)


def _standardise(view: Arrays) -> tuple[Floats, Floats]:
    """Scale and shift that centre every block and give it the total standard deviation of BLOCK_SCALES."""
    scales, shifts = [], []
    for name, wanted in BLOCK_SCALES.items():
        mean = view[name].mean(0)
        scale = wanted / np.sqrt(((view[name] - mean) ** 2).sum(1).mean())
        scales.append(np.full(len(mean), scale, np.float32))
        shifts.append((mean * scale).astype(np.float32))
    return np.concatenate(scales), np.concatenate(shifts)


def _mean_caption(centred: Floats, owner: NDArray[np.int64], photos: int) -> Floats:
    total = np.zeros((photos, TEXT_SIZE), np.float32)
    np.add.at(total, owner, centred)
    return np.asarray(total / np.bincount(owner, minlength=photos)[:, None], np.float32)


def _ridge(images: Floats, targets: Floats, strength_per_1000: float) -> Floats:
    """Dual form: there are fewer photos than features. Every view of a photo has the photo's target."""
    views, _, width = images.shape
    x = images.reshape(-1, width).astype(np.float64)
    y = np.tile(targets, (views, 1))
    penalty = strength_per_1000 * len(x) / 1000 * np.eye(len(x))
    return np.asarray(x.T @ np.linalg.solve(x @ x.T + penalty, y), np.float32)


def _whitening(centred: Floats, recipe: Recipe) -> Floats:
    """Symmetric; shrinks the directions in which all captions vary alike."""
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    damped = (values + recipe.whitening_floor * values.max()) ** -recipe.whitening_power
    return np.asarray((vectors * damped) @ vectors.T, np.float32)


def _visual_gain(view: Arrays, wanted: dict[str, float]) -> Floats:
    """[d]: from the head's input, scaled by BLOCK_SCALES, to that of the visual part."""
    gains = [np.full(view[name].shape[1], wanted.get(name, 0) / scale) for name, scale in BLOCK_SCALES.items()]
    return np.asarray(np.concatenate(gains), np.float32)


def _visual(images: Floats, gain: Floats, recipe: Recipe) -> Floats:
    """[d, 128]: linear discriminants with every photo its own class and its views the samples; damped throughout.

    Directions in which a crop or a mirror image differs from its photo shrink, those that tell photos apart grow.
    """
    used = gain > 0
    x = images[:, :, used].astype(np.float64) * gain[used]
    photos = x.mean(0)
    _, basis = _main_directions(photos - photos.mean(0), VISUAL_SUBSPACE)
    within = (x - photos).reshape(-1, x.shape[2]) @ basis
    values, vectors = np.linalg.eigh(within.T @ within / len(within))
    steadied = basis @ (vectors * (values + recipe.visual_within * values.mean()) ** -0.5) @ vectors.T
    singular, directions = _main_directions((photos - photos.mean(0)) @ steadied, VISUAL_SIZE)
    directions = steadied @ directions / np.sqrt(singular**2 + recipe.visual_damping * singular[0] ** 2)
    result = np.zeros((len(gain), VISUAL_SIZE), np.float32)
    result[used] = gain[used, None] * directions
    norms = np.linalg.norm(images[0] @ result, axis=1)
    return result / np.float32(norms.mean())


def _main_directions(x: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The largest singular values of [n, d] and their directions [d, count], by way of [n, n]."""
    values, vectors = np.linalg.eigh(x @ x.T)
    singular = np.sqrt(np.maximum(values[::-1][:count], np.finfo(np.float64).tiny))
    return singular, x.T @ vectors[:, ::-1][:, :count] / singular
