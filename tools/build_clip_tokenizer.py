"""CLIP's tokenizer.json from the merges that a package carries: python tools/build_clip_tokenizer.py WHEEL TARGET.

WHEEL is what `pip download --no-deps open-clip-torch==3.3.0` fetches (MIT). Source of the scheme: OpenAI CLIP,
clip/simple_tokenizer.py. Texts are cleaned before (kindred_embedder.cleaning): the file has no normaliser of its own.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import zipfile
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors

MERGES = "open_clip/bpe_simple_vocab_16e6.txt.gz"
MERGES_SHA256 = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
VOCABULARY = 49_408
START, END = "<|startoftext|>", "<|endoftext|>"
END_OF_WORD = "</w>"
WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def build(merges_text: str) -> Tokenizer:
    """`merges_text`: a heading, then one merge a line; those beyond the vocabulary are not CLIP's."""
    letters = _byte_letters()
    lines = merges_text.split("\n")[1 : VOCABULARY - 2 * len(letters) - 2 + 1]
    merges = [(first, second) for first, second in (line.split() for line in lines)]
    words = [*letters, *(letter + END_OF_WORD for letter in letters), *("".join(pair) for pair in merges), START, END]
    ids = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(
        models.BPE(
            vocab=ids, merges=merges, end_of_word_suffix=END_OF_WORD, continuing_subword_prefix="", unk_token=END
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, ids[START]), (END, ids[END])]
    )
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in (START, END)])
    return tokenizer


def _byte_letters() -> list[str]:
    """A printable letter for each byte, in CLIP's order: printable bytes stand for themselves and come first."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + number) for number in range(len(others))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    with zipfile.ZipFile(options.wheel) as wheel:
        packed = wheel.read(MERGES)
    if (found := hashlib.sha256(packed).hexdigest()) != MERGES_SHA256:
        raise SystemExit(f"{MERGES} is not the file that this was written for: SHA-256 {found}")
    tokenizer = build(gzip.decompress(packed).decode())
    assert tokenizer.get_vocab_size() == VOCABULARY
    options.target.write_text(tokenizer.to_str(pretty=False), encoding="utf-8")


if __name__ == "__main__":
    main()
