"""Rebuilds triton_models/lite_image and lite_text: python -m tools.build_lite_models --help."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import onnx

from . import assemble, publish, sources
from .dataset import CaptionedPhotos
from .extract import run_all
from .features import BLOCK_SCALES, feature_model
from .graph import optimise, store_half
from .text import SentenceEncoder
from .training import Recipe, TrainingSet, WordVectors, fit
from .views import TRAINING_VIEWS, View

HERE = Path(__file__).parent


def main() -> None:
    options = _options()
    networks = sources.from_prepared(options.prepared) if options.prepared else sources.from_packages(options.packages)
    tokenizer = options.tokenizer or sources.tokenizer(options.packages)
    photos = CaptionedPhotos.load(options.data)
    with tempfile.TemporaryDirectory() as folder:
        weights = fit(*_training_inputs(networks, photos, tokenizer, Path(folder)), Recipe())
    models = publish.Models(
        image=assemble.image_model(networks.backbone, networks.centernet, weights),
        text=assemble.text_model(networks.sentence_encoder, weights),
        tokenizer=tokenizer,
        label_names=_names("coco_classes.txt"),
        training=photos.training_record(),
    )
    print("space", publish.write_all(models, options.out))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="build_lite_models", description=__doc__)
    parser.add_argument("--packages", type=Path, help="folder of the publishers' packages, unpacked side by side")
    parser.add_argument("--prepared", type=Path, help="folder of ONNX files exported before; used instead of exporting")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json of all-MiniLM-L6-v2; by default the package's")
    parser.add_argument("--data", type=Path, required=True, help="captioned photos: images/, captions.json, *.txt")
    parser.add_argument("--out", type=Path, default=Path("triton_models"), help="where the model folders go")
    options = parser.parse_args()
    if not options.packages and not (options.prepared and options.tokenizer):
        parser.error("--packages, or --prepared and --tokenizer")
    return options


def _training_inputs(
    networks: sources.Networks, photos: CaptionedPhotos, tokenizer: Path, scratch: Path
) -> tuple[TrainingSet, WordVectors]:
    """Features as the shipped graph computes them, so the half-precision weights are part of what is trained on."""
    onnx.save(store_half(optimise(feature_model(networks.backbone, networks.centernet))), scratch / "features.onnx")
    onnx.save(networks.sentence_encoder, scratch / "sentences.onnx")
    encode = SentenceEncoder(scratch / "sentences.onnx", tokenizer)
    texts, owner = photos.captions_of(photos.training)
    outputs = [*BLOCK_SCALES, "conse", "best"]
    paths = photos.paths(photos.training)
    views = [[View(path, kind) for path in paths] for kind in TRAINING_VIEWS]
    rendered = [run_all(scratch / "features.onnx", view, outputs) for view in views]
    words = WordVectors(
        *(encode([f"a photo of a {name}" for name in _names(f"{which}_classes.txt")]) for which in ("imagenet", "coco"))
    )
    return TrainingSet(rendered, encode(texts), owner), words


def _names(file: str) -> list[str]:
    return (HERE / file).read_text().splitlines()


if __name__ == "__main__":
    main()
