"""Sentence vectors for training: MiniLM through ONNX Runtime, and the captions they are made from."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from .graph import session

MAX_TOKENS = 64


class SentenceEncoder:
    """Texts to whatever the model's only output is: float32 [n, size]."""

    def __init__(self, model: Path, tokenizer: Path, threads: int = 2) -> None:
        self._session = session(model, threads)
        self._names = [value.name for value in self._session.get_inputs()]
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)

    def __call__(self, texts: Sequence[str], batch: int = 64) -> NDArray[np.float32]:
        order = np.argsort([len(text) for text in texts], kind="stable")
        parts = [self._run([texts[i] for i in order[at : at + batch]]) for at in range(0, len(texts), batch)]
        vectors = np.concatenate(parts)
        result = np.empty_like(vectors)
        result[order] = vectors
        return result

    def _run(self, texts: Sequence[str]) -> NDArray[np.float32]:
        encoded = self._tokenizer.encode_batch(list(texts))
        ids = np.array([item.ids for item in encoded], np.int64)
        mask = np.array([item.attention_mask for item in encoded], np.int64)
        result: NDArray[np.float32] = self._session.run(None, dict(zip(self._names, (ids, mask), strict=True)))[0]
        return result


def captions(path: Path) -> dict[str, list[str]]:
    """Photo file name -> its captions, from a file in the COCO captions format; final full stops go."""
    content = json.loads(path.read_text())
    names = {image["id"]: image["file_name"] for image in content["images"]}
    found: dict[str, list[str]] = defaultdict(list)
    for annotation in content["annotations"]:
        found[names[annotation["image_id"]]].append(annotation["caption"].strip().rstrip(".").strip())
    return dict(found)
