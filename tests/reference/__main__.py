"""Makes what tests/golden/clip holds with the reference implementations; the Makefile says how (test-reference).

Runs in .venv-reference: transformers' CLIPModel for embeddings, OpenAI's own simple_tokenizer.py for tokens.
"""

import argparse
import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.clip_goldens import MEAN, PHOTOS, SAMPLE, STD, chunk_hashes, seeded_pixels, trimmed  # noqa: E402
from support.clip_texts import seeded_texts  # noqa: E402
from support.clip_weights import VIT_B_32, fingerprint, random_weights  # noqa: E402

CONTEXT = 77


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    target: Path = parser.parse_args().target
    target.mkdir(parents=True, exist_ok=True)
    weights = random_weights()
    model = reference_model(weights)
    tokenizer = openai_tokenizer()

    pixels = (seeded_pixels() / np.float32(255) - MEAN) / STD
    photos = [Image.open(path).convert("RGB") for path in sorted(PHOTOS.glob("*.jpg"))]
    prepared = CLIPImageProcessor()(photos, return_tensors="pt")["pixel_values"]
    rows = [tokens(tokenizer, text) for text in seeded_texts()]
    sample = [rows[number] for number in SAMPLE]
    ids = torch.tensor([row + [0] * (CONTEXT - len(row)) for row in sample])
    with torch.no_grad():
        np.savez_compressed(
            target / "embeddings.npz",
            pixels=unit(model.get_image_features(torch.from_numpy(pixels.transpose(0, 3, 1, 2).astype(np.float32)))),
            photos=unit(model.get_image_features(prepared)),
            texts=unit(model.get_text_features(ids)),
        )
    texts = seeded_texts()
    document = {
        "weights_sha256": fingerprint(weights),
        "texts_sha256": hashlib.sha256(json.dumps(texts).encode()).hexdigest(),
        "tokens_sha256_by_chunk": chunk_hashes(rows),
        "sample": [{"number": n, "text": texts[n], "ids": trimmed(rows[n])} for n in SAMPLE],
    }
    (target / "clip.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def reference_model(weights: Any) -> CLIPModel:
    """The default configuration is ViT-B/32. The end token is found as OpenAI finds it: the highest id."""
    config = CLIPConfig(text_config={"eos_token_id": 2}, projection_dim=VIT_B_32.embedding)
    model = CLIPModel(config).eval()
    state = {name: torch.from_numpy(value) for name, value in weights.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    assert set(missing) <= {"logit_scale"}, missing
    return model


def openai_tokenizer() -> Any:
    """`clip` itself imports torchvision; its tokenizer does not need it."""
    package = importlib.util.find_spec("clip")
    assert package is not None
    assert package.submodule_search_locations
    path = Path(package.submodule_search_locations[0]) / "simple_tokenizer.py"
    spec = importlib.util.spec_from_file_location("simple_tokenizer", path)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SimpleTokenizer()


def tokens(tokenizer: Any, text: str) -> list[int]:
    """As `clip.tokenize(text, truncate=True)`, not padded."""
    start, end = tokenizer.encoder["<|startoftext|>"], tokenizer.encoder["<|endoftext|>"]
    row = [start, *tokenizer.encode(text), end]
    if len(row) > CONTEXT:
        row = [*row[: CONTEXT - 1], end]
    return row


def unit(values: torch.Tensor) -> Any:
    return torch.nn.functional.normalize(values, dim=-1).numpy()


if __name__ == "__main__":
    main()
