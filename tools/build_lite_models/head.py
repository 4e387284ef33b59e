"""The joint head: what is learned, and the two graphs (image side, text side) that compute embeddings with it.

One 768-d vector = sqrt(w0) [384 caption space] | sqrt(w1) [2 x 128 contrastive] | sqrt(w2) [128 visual], unit length.
The caption space part is a ridge regression from image features to caption vectors, plus a prior that needs no
captions at all: class posteriors and object tags averaged into word vectors (ConSE, Norouzi et al. 2014,
arXiv:1312.5650). The contrastive part is trained with InfoNCE (van den Oord et al. 2018, arXiv:1807.03748). Text has no
visual part: zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .contrastive import ContrastiveHead
from .graph import GraphBuilder

Floats = NDArray[np.float32]

TEXT_SIZE = 384
VISUAL_SIZE = 128
DIMENSION = 768


@dataclass(frozen=True, slots=True)
class HeadWeights:
    """d = width of all feature blocks side by side; matrices are [inputs, outputs]."""

    scale: Floats
    """[d]: features * scale - shift are centred, each block with its fixed variance"""
    shift: Floats
    """[d]"""
    ridge: Floats
    """[d, 384]: features to the mean caption vector"""
    visual: Floats
    """[d, 128]"""
    contrastive: tuple[ContrastiveHead, ...]
    text_mean: Floats
    """[384]: mean caption vector, subtracted from every text"""
    whitening: Floats
    """[384, 384]: soft whitening of the caption space, both sides"""
    class_vectors: Floats
    """[1000, 384]: word vectors of the ImageNet classes, centred"""
    class_mean: Floats
    """[384]: mean over training photos of posterior @ class_vectors"""
    tag_vectors: Floats
    """[80, 384]: word vectors of the COCO classes, centred"""
    tag_mean: Floats
    """[384]"""
    tag_weight: float
    prior_weight: float
    parts: tuple[float, float, float]
    """w0, w1, w2: weights of the squared norm; only their ratios matter, so w2 leaves the text graph as it is"""


def add_image_head(graph: GraphBuilder, blocks: list[str], conse: str, best: str, weights: HeadWeights) -> str:
    """float32 [n, 768]. `blocks` in the order of BLOCK_SCALES; `conse` [n, 1000]; `best` [n, 80]."""
    joined = graph.op("Concat", *blocks, axis=1)
    scaled = graph.op("Sub", graph.op("Mul", joined, graph.floats(weights.scale)), graph.floats(weights.shift))
    matrices = [weights.ridge, weights.visual, *(head.image_in for head in weights.contrastive)]
    product = graph.op("MatMul", scaled, graph.floats(np.concatenate(matrices, 1)))
    sizes = graph.ints([matrix.shape[1] for matrix in matrices])
    ridge, visual, *hidden = graph.ops("Split", len(matrices), product, sizes, axis=1)

    whitening = graph.floats(weights.whitening)
    learned = graph.l2_normalise(graph.op("MatMul", graph.l2_normalise(ridge), whitening))
    known = graph.l2_normalise(graph.op("MatMul", _prior(graph, conse, best, weights), whitening))
    caption = graph.l2_normalise(graph.op("Add", learned, _times(graph, known, weights.prior_weight)))
    contrastive = [
        _linear(graph, _gelu(graph, _add(graph, value, head.image_in_bias)), head.image_out, head.image_out_bias)
        for value, head in zip(hidden, weights.contrastive, strict=True)
    ]
    return graph.l2_normalise(_weigh(graph, [caption, *contrastive, visual], _shares(weights)))


def add_text_head(graph: GraphBuilder, sentence: str, weights: HeadWeights) -> str:
    """float32 [n, 768], unit length, the visual part zero. `sentence`: MiniLM vectors, float32 [n, 384]."""
    centred = graph.op("Sub", sentence, graph.floats(weights.text_mean))
    caption = graph.l2_normalise(graph.op("MatMul", centred, graph.floats(weights.whitening)))
    contrastive = [_linear(graph, centred, head.text, head.text_bias) for head in weights.contrastive]
    spoken = _weigh(graph, [caption, *contrastive], _shares(weights)[:-1])
    return graph.op("Pad", graph.l2_normalise(spoken), graph.ints([0, 0, 0, VISUAL_SIZE]))


def _prior(graph: GraphBuilder, conse: str, best: str, weights: HeadWeights) -> str:
    classes = _linear(graph, conse, weights.class_vectors, -weights.class_mean)
    tags = _linear(graph, best, weights.tag_vectors, -weights.tag_mean)
    tags = _times(graph, graph.l2_normalise(tags), weights.tag_weight)
    return graph.l2_normalise(graph.op("Add", graph.l2_normalise(classes), tags))


def _shares(weights: HeadWeights) -> list[float]:
    caption, contrastive, visual = weights.parts
    heads = len(weights.contrastive)
    return [caption, *[contrastive / heads] * heads, visual]


def _weigh(graph: GraphBuilder, values: list[str], shares: list[float]) -> str:
    """Unit vectors side by side, each holding its share of the squared norm."""
    units = zip((graph.l2_normalise(value) for value in values), shares, strict=True)
    return graph.op("Concat", *(_times(graph, unit, share**0.5) for unit, share in units), axis=1)


def _times(graph: GraphBuilder, value: str, factor: float) -> str:
    return graph.op("Mul", value, graph.floats(factor))


def _add(graph: GraphBuilder, value: str, bias: Floats) -> str:
    return graph.op("Add", value, graph.floats(bias))


def _linear(graph: GraphBuilder, value: str, matrix: Floats, bias: Floats) -> str:
    return _add(graph, graph.op("MatMul", value, graph.floats(matrix)), bias)


def _gelu(graph: GraphBuilder, value: str) -> str:
    """x / 2 * (1 + erf(x / sqrt 2))."""
    erf = graph.op("Erf", _times(graph, value, float(np.sqrt(0.5))))
    return graph.op("Mul", _times(graph, value, 0.5), graph.op("Add", erf, graph.floats(1)))
