"""CLIP's tokens are those of OpenAI's own tokenizer, on texts that a tokenizer may stumble over."""

import hashlib
import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.clip_goldens import GOLDEN, chunk_hashes, trimmed
from support.clip_texts import COUNT, seeded_texts
from support.paths import MODELS

from kindred_embedder.images import EmbeddingNotFinite
from kindred_embedder.texts import TextEmbedder
from kindred_embedder.tokens import TokenReader
from kindred_kit.errors import InvalidArgument
from kindred_kit.models import ModelManifest
from kindred_kit.ports.inference import Tensors

GOLDENS = json.loads((GOLDEN / "clip.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def clip() -> TokenReader:
    return TokenReader(ModelManifest.load(MODELS / "clip_text"))


def rows(reader: TokenReader, texts: list[str]) -> np.ndarray:
    return reader.read([reader.clean(text) for text in texts])["input_ids"]


def test_the_readable_sample(clip: TokenReader) -> None:
    for entry in GOLDENS["sample"]:
        assert trimmed(rows(clip, [entry["text"]])[0]) == entry["ids"], entry["text"]


def test_ten_thousand_texts(clip: TokenReader) -> None:
    texts = seeded_texts()
    assert len(texts) == COUNT
    assert hashlib.sha256(json.dumps(texts).encode()).hexdigest() == GOLDENS["texts_sha256"]
    assert chunk_hashes(rows(clip, texts)) == GOLDENS["tokens_sha256_by_chunk"]


def test_ids_are_of_the_fixed_length_and_type(clip: TokenReader) -> None:
    tensors = clip.read(["a cat", "a dog on snow"])
    assert set(tensors) == {"input_ids"}
    assert tensors["input_ids"].shape == (2, 77)
    assert tensors["input_ids"].dtype == np.int64
    assert (tensors["input_ids"][0, 4:] == 49_407).all()


def test_a_long_text_keeps_its_end_token(clip: TokenReader) -> None:
    [row] = rows(clip, ["snow " * 4_000])
    assert (row[0], row[-1]) == (49_406, 49_407)
    assert len(set(row[1:-1])) == 1


def test_cleaning(clip: TokenReader) -> None:
    assert clip.clean("  schÃ¶n &amp;amp;\n A&nbsp;DOG ") == "schön & a dog"


def test_a_typed_end_token_ends_the_text_even_where_it_touches_a_sign(clip: TokenReader) -> None:
    """As in transformers' tokenizer. OpenAI's own reads `!<|endoftext|>` as signs; alone they agree."""
    [glued] = rows(clip, ["wow!<|endoftext|> more"])
    assert list(glued[:4]) == [49_406, *trimmed(rows(clip, ["wow!"])[0])[1:], 49_407]


class NothingFinite:
    """An inference whose text tower has gone wrong."""

    async def infer(self, model_name: str, inputs: Tensors) -> dict[str, NDArray[Any]]:
        return {"embedding": np.full((len(inputs["input_ids"]), 512), np.nan, np.float32)}

    async def is_ready(self, model_name: str) -> bool:
        return True

    async def aclose(self) -> None:
        return None


async def test_a_text_without_a_finite_embedding_is_an_error() -> None:
    embedder = TextEmbedder(ModelManifest.load(MODELS / "clip_text"), NothingFinite())
    with pytest.raises(EmbeddingNotFinite, match="clip_text"):
        await embedder.embed(["a cat"])
    for empty in ([], [""], [" \n"], ["a cat", "&nbsp;"]):
        with pytest.raises(InvalidArgument):
            await embedder.embed(empty)
