"""Larger CLIPs, SigLIP and MobileCLIP2 are a manifest each: sizes, normalisation, cropping, tokens and padding."""

import hashlib
import io
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from onnx import TensorProto
from PIL import Image
from support.paths import MODELS
from support.pulled_models import pinned
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from kindred_embedder.images import ImageEmbedder
from kindred_embedder.space import Space
from kindred_embedder.texts import TextEmbedder
from kindred_kit.adapters.onnx_inference import OnnxInference
from kindred_kit.graphs.builder import GraphBuilder
from kindred_kit.graphs.prepare import make_ready
from kindred_kit.imaging import ImageLimits
from kindred_kit.models import ModelSet
from kindred_kit.models.pulling import import_file, models_of

WORDS = ["[PAD]", "[EOS]", "[UNK]", "a", "cat", "dog", "on", "snow", "don", "dont", "t"]
PATCH = 32
CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


@dataclass(frozen=True)
class Family:
    """What its model.yaml says."""

    name: str
    px: int
    dimension: int
    fit: str
    mean: list[float]
    std: list[float]
    tokens: int
    clean: str
    padding: str
    id_type: str
    mask: bool = False
    precision: str = "published"


FAMILIES = [
    Family("ViT-L/14@336", 336, 768, "center_crop", CLIP_MEAN, CLIP_STD, 77, "clip", "max_length", "int64"),
    Family("SigLIP B/16@384", 384, 768, "stretch", [0.5] * 3, [0.5] * 3, 64, "canonical", "max_length", "int64"),
    Family("SigLIP2 So400m", 384, 1152, "stretch", [0.5] * 3, [0.5] * 3, 64, "whitespace", "max_length", "int32"),
    Family("MobileCLIP2-S0", 256, 512, "center_crop", [0.0] * 3, [1.0] * 3, 77, "clip", "max_length", "int32"),
    Family("CLIP with masks", 224, 512, "center_crop", CLIP_MEAN, CLIP_STD, 32, "clip", "longest", "int64", mask=True),
    Family("ViT-L/14 fp16", 224, 768, "center_crop", CLIP_MEAN, CLIP_STD, 77, "clip", "max_length", "int64",
           precision="fp16"),
]  # fmt: skip


def image_weights(family: Family) -> NDArray[np.float32]:
    random = np.random.default_rng(family.px)
    return (random.standard_normal((family.dimension, 3, PATCH, PATCH)) * 0.02).astype(np.float32)


def text_weights(family: Family) -> NDArray[np.float32]:
    """A word's vector differs by its place, padding included, as in a tower without a mask."""
    random = np.random.default_rng(family.tokens)
    return random.standard_normal((256, family.tokens, family.dimension)).astype(np.float32)


def image_file(family: Family) -> bytes:
    graph = GraphBuilder()
    pixels = graph.input("x", TensorProto.FLOAT, ["b", 3, family.px, family.px])
    patches = graph.op("Conv", pixels, graph.floats(image_weights(family)), strides=[PATCH, PATCH])
    pooled = graph.op("ReduceMax", patches, axes=[2, 3], keepdims=0)
    graph.output(pooled, "pooled", TensorProto.FLOAT, ["b", family.dimension])
    return bytes(graph.model("image").SerializeToString())


def text_file(family: Family) -> bytes:
    graph = GraphBuilder()
    kind = TensorProto.INT64
    side: int | str = family.tokens if family.padding == "max_length" else "s"
    ids = graph.input("tokens", kind, ["b", side])
    length = graph.op("Shape", ids, start=1, end=2)
    table = graph.floats(text_weights(family).reshape(-1, family.dimension))
    numbers = graph.op("Slice", graph.ints(np.arange(family.tokens)), graph.ints([0]), length, graph.ints([0]))
    places = graph.op("Add", graph.op("Mul", ids, graph.ints([family.tokens])), numbers)
    words = graph.op("Gather", table, places)
    if family.mask:
        mask = graph.op("Cast", graph.input("the_mask", kind, ["b", side]), to=TensorProto.FLOAT)
        words = graph.op("Mul", words, graph.op("Unsqueeze", mask, graph.ints([2])))
    graph.output(
        graph.op("ReduceSum", words, graph.ints([1]), keepdims=0), "out", TensorProto.FLOAT, ["b", family.dimension]
    )
    return bytes(graph.model("text").SerializeToString())


def tokenizer_file() -> str:
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A [EOS]", special_tokens=[("[EOS]", 1)])
    return str(tokenizer.to_str())


def write(family: Family, own: Path, files: Path) -> list[Path]:
    """Two model folders by hand, as docs/models.md says, and the publisher's files."""
    files.mkdir()
    image, text = files / "vision.onnx", files / "text.onnx"
    image.write_bytes(image_file(family))
    text.write_bytes(text_file(family))
    common = {
        "version": "1", "profile": "own", "space": "own-1", "dimension": family.dimension, "license": "MIT",
        "outputs": [{"name": "embedding", "dtype": "float32", "shape": ["n", family.dimension], "normalised": True}],
    }  # fmt: skip
    px = family.px
    pixels = {"name": "image", "dtype": "uint8", "shape": ["n", px, px, 3], "width": px, "height": px}
    sequence: Any = family.tokens if family.padding == "max_length" else "s"
    names = ["input_ids", "attention_mask"] if family.mask else ["input_ids"]
    manifests: dict[str, dict[str, Any]] = {
        "own_image": {
            "kind": "image_encoder",
            "source": {"path": image.name, **pinned(image)},
            "prepare": {
                "graph": "image_tower", "mean": family.mean, "std": family.std, "precision": family.precision,
            },
            "inputs": [{**pixels, "fit": family.fit}],
            "files": [],
        },
        "own_text": {
            "kind": "text_encoder",
            "source": {"path": text.name, **pinned(text)},
            "prepare": {"graph": "text_tower", "precision": family.precision},
            "tokenizer": {
                "file": "tokenizer.json", "clean": family.clean, "max_tokens": family.tokens,
                "padding": family.padding, "pad_id": 0,
            },
            "inputs": [{"name": name, "dtype": family.id_type, "shape": ["n", sequence]} for name in names],
        },
    }  # fmt: skip
    for name, manifest in manifests.items():
        (own / name).mkdir(parents=True)
        if name == "own_text":
            (own / name / "tokenizer.json").write_text(tokenizer_file())
            data = (own / name / "tokenizer.json").read_bytes()
            entry = {"path": "tokenizer.json", "sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
            manifest["files"] = [entry]
        (own / name / "model.yaml").write_text(yaml.safe_dump({"name": name, **common, **manifest}))
    return [image, text]


@pytest.fixture(params=FAMILIES, ids=[family.name for family in FAMILIES])
def family(request: pytest.FixtureRequest) -> Family:
    found: Family = request.param
    return found


@pytest.fixture
async def towers(family: Family, tmp_path: Path) -> AsyncIterator[tuple[ImageEmbedder, TextEmbedder]]:
    own, store = tmp_path / "own", tmp_path / "store"
    files = write(family, own, tmp_path / "files")
    for file in files:
        found = models_of(ModelSet.load(MODELS, own, store), file)
        import_file(found, file)
        assert [make_ready(manifest) for manifest in found] == [True]
    loaded = ModelSet.load(MODELS, own, store).pulled("own")
    for manifest in loaded:
        manifest.verify()
    space = Space.of_profile(loaded, "own")
    assert (space.name, space.image.dimension) == ("own-1", family.dimension)
    inference = OnnxInference({model.name: model.onnx_path for model in loaded}, cores=1)
    with ThreadPoolExecutor(1) as pool:
        yield (
            ImageEmbedder(space.image, inference, pool, ImageLimits(10**8, 10**8)),
            TextEmbedder(space.text, inference),
        )
    await inference.aclose()


async def test_an_image_is_prepared_as_the_family_wants_it(
    family: Family, towers: tuple[ImageEmbedder, TextEmbedder]
) -> None:
    small = np.random.default_rng(1).integers(0, 256, (9, 14, 3)).astype(np.uint8)
    image = Image.fromarray(small).resize((700, 450), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    found = (await towers[0].embed(buffer.getvalue())).embedding
    px = family.px
    if family.fit == "stretch":
        seen = image.resize((px, px), Image.Resampling.BICUBIC)
    else:
        wide = px * 700 // 450
        left = round((wide - px) / 2)
        seen = image.resize((wide, px), Image.Resampling.BICUBIC).crop((left, 0, left + px, px))
    scaled = (np.asarray(seen) / 255 - np.array(family.mean)) / np.array(family.std)
    cut = px // PATCH * PATCH  # what is less than a patch is not looked at
    cells = scaled[:cut, :cut].reshape(cut // PATCH, PATCH, cut // PATCH, PATCH, 3)
    wanted = np.einsum("aybxc,dcyx->dab", cells, image_weights(family)).max((1, 2))
    wanted /= np.linalg.norm(wanted)
    assert float(found @ wanted) > 0.9999


async def test_a_text_is_cut_and_padded_as_the_family_wants_it(
    family: Family, towers: tuple[ImageEmbedder, TextEmbedder]
) -> None:
    texts = ["A  cat on SNOW", "dog", "Don't", "dog " * 100]
    words = {
        "clip": [["a", "cat", "on", "snow"], ["dog"], ["don", "[UNK]", "t"], ["dog"] * 100],
        "canonical": [["a", "cat", "on", "snow"], ["dog"], ["dont"], ["dog"] * 100],
        "whitespace": [["[UNK]", "cat", "on", "[UNK]"], ["dog"], ["[UNK]", "[UNK]", "t"], ["dog"] * 100],
    }[family.clean]
    found = await towers[1].embed(texts)
    for row, text in zip(found, words, strict=True):
        ids = [WORDS.index(word) for word in text[: family.tokens - 1]] + [1]
        padded = ids if family.mask else ids + [0] * (family.tokens - len(ids))
        wanted = text_weights(family)[padded, np.arange(len(padded))].sum(0)
        assert float(row @ (wanted / np.linalg.norm(wanted))) > 0.9999
    alone = np.concatenate([await towers[1].embed([text]) for text in texts])
    np.testing.assert_allclose(alone, found, atol=1e-5)
