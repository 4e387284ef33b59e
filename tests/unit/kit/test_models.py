"""Model folders: manifests are checked, pixels become tensors, boxes go back through the letterbox."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.paths import MODELS, ROOT

from kindred_kit.errors import InvalidArgument, ModelInvalid, ModelNotPulled
from kindred_kit.models import ImageInput, ModelManifest, ModelSet, prepare_image, read_boxes


def test_the_shipped_models_are_what_their_manifests_say() -> None:
    models = ModelSet.load(MODELS)
    for manifest in models:
        manifest.verify()
    image, text = models.of_kind("lite", "image_pipeline"), models.of_kind("lite", "text_encoder")
    assert image.space == text.space
    assert image.dimension == text.dimension == 768
    assert len(image.classes) == 80
    assert image.boxes_input.name in {i.name for i in image.image_inputs}


def test_models_that_are_not_pulled_do_not_disturb_those_that_are(tmp_path: Path) -> None:
    models = ModelSet.load(MODELS, store=tmp_path / "store")
    states = {manifest.name: manifest.state for manifest in models}
    assert states == {
        "clip_image": "not pulled",
        "clip_text": "not pulled",
        "lite_image": "ready",
        "lite_text": "ready",
        "yolov7": "not pulled",
        "yolov7_tiny": "not pulled",
    }
    assert {manifest.name for manifest in models.pulled("lite")} == {"lite_image", "lite_text"}
    assert [manifest.name for manifest in models.detectors("lite")] == ["lite_image"]
    command = "kindred models pull clip_image clip_text yolov7 --accept-license"
    with pytest.raises(ModelNotPulled, match=command):
        models.pulled("clip")
    assert not (tmp_path / "store").exists()


def test_a_detector_that_is_there_is_enough(tmp_path: Path) -> None:
    models = ModelSet.load(MODELS, store=tmp_path)
    assert [manifest.name for manifest in models.needed("clip")] == ["clip_image", "clip_text", "yolov7"]
    tiny = models.get("yolov7_tiny").onnx_path
    tiny.parent.mkdir(parents=True)
    tiny.touch()
    assert [manifest.name for manifest in models.needed("clip")] == ["clip_image", "clip_text", "yolov7_tiny"]


def test_another_recipe_is_another_graph(tmp_path: Path) -> None:
    folder = tmp_path / "clip_image"
    shutil.copytree(MODELS / "clip_image", folder)
    before = ModelManifest.load(folder, tmp_path / "store").onnx_path
    text = (folder / "model.yaml").read_text()
    (folder / "model.yaml").write_text(text.replace("precision: published", "precision: fp16"))
    after = ModelManifest.load(folder, tmp_path / "store").onnx_path
    assert before.parent.parent == after.parent.parent == tmp_path / "store" / "ready" / "clip_image"
    assert before != after
    # what is said of the model, but not done to it, changes nothing
    (folder / "model.yaml").write_text(text.replace("license: MIT", "license: MIT License"))
    assert ModelManifest.load(folder, tmp_path / "store").onnx_path == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: clip_image", "name: ../../clip_image"),
        ("revision: 4c1807b", "revision: main # "),
        ("graph: image_tower", "graph: magic"),
        ("precision: published", "precision: fp8"),
        ("std: [0.26862954, 0.26130258, 0.27577711]", "std: [0, 1, 1]"),
        ("mean: [0.48145466, 0.4578275, 0.40821073]", "mean: [0.5]"),
        ("prepare:", "unprepared:"),
        ("  size_mb: 352", ""),
        ("  graph: image_tower", "  graph: image_tower\n  speed: high"),
    ],
)
def test_a_source_that_is_not_pinned_or_prepared_is_refused(tmp_path: Path, old: str, new: str) -> None:
    text = (MODELS / "clip_image" / "model.yaml").read_text()
    assert old in text
    (tmp_path / "model.yaml").write_text(text.replace(old, new))
    with pytest.raises(ModelInvalid, match="not a model manifest"):
        ModelManifest.load(tmp_path)


def test_the_manifest_of_the_guide_is_one(tmp_path: Path) -> None:
    first, *_ = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "models.md").read_text(), re.DOTALL)
    text = first.replace("sha256: …", f"sha256: '{'0' * 64}'").replace("size_bytes: …", "size_bytes: 1")
    (tmp_path / "model.yaml").write_text(text)
    manifest = ModelManifest.load(tmp_path, tmp_path / "store")
    assert (manifest.profile, manifest.state, manifest.dimension) == ("siglip", "not pulled", 768)
    assert [(i.width, i.fit) for i in manifest.image_inputs] == [(384, "stretch")]
    assert manifest.source is not None
    assert not manifest.source.is_published


def test_a_changed_file_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "lite_text"
    shutil.copytree(MODELS / "lite_text", folder)
    tokenizer = folder / "tokenizer.json"
    data = bytearray(tokenizer.read_bytes())
    data[len(data) // 2] ^= 1
    tokenizer.write_bytes(data)
    with pytest.raises(ModelInvalid, match=r"tokenizer\.json"):
        ModelManifest.load(folder).verify()
    tokenizer.unlink()
    with pytest.raises(ModelInvalid, match="missing"):
        ModelManifest.load(folder).verify()


@pytest.mark.parametrize("text", ["", "name: x", "[1, 2]", "name: [unclosed", "!!python/object:os.system {}"])
def test_a_bad_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.yaml").write_text(text)
    with pytest.raises(ModelInvalid):
        ModelManifest.load(tmp_path)


def test_no_models_and_unknown_models(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid):
        ModelSet.load(tmp_path)
    with pytest.raises(InvalidArgument, match="lite_image"):
        ModelSet.load(MODELS).get("absent")
    with pytest.raises(ModelInvalid):
        ModelSet.load(MODELS).of_kind("absent", "text_encoder")


INPUTS = [
    ImageInput("stretched", 32, 16, "stretch", 0),
    ImageInput("boxed", 64, 64, "letterbox", 7),
    ImageInput("cropped", 24, 24, "center_crop", 0),
]


@pytest.mark.parametrize(("height", "width"), [(40, 80), (80, 40), (1, 400), (400, 1), (1, 1)])
def test_every_shape_of_image_becomes_the_models_tensors(height: int, width: int) -> None:
    pixels = np.full((height, width, 3), 200, np.uint8)
    prepared = prepare_image(pixels, INPUTS)
    assert {name: tensor.shape for name, tensor in prepared.tensors.items()} == {
        "stretched": (1, 16, 32, 3),
        "boxed": (1, 64, 64, 3),
        "cropped": (1, 24, 24, 3),
    }
    assert all(tensor.dtype == np.uint8 for tensor in prepared.tensors.values())
    assert set(prepared.letterboxes) == {"boxed"}
    if height != width:
        assert (prepared.tensors["boxed"] == 7).any()


def test_boxes_go_back_through_the_letterbox() -> None:
    frame = INPUTS[1]
    prepared = prepare_image(np.zeros((50, 100, 3), np.uint8), [frame])
    # the image fills rows 16..48 of the 64 px frame: its left half, and a box in the padding alone
    raw = np.array([[0, 0.25, 0.5, 0.75], [0, 0, 1, 0.2], [0.5, 0.25, 1, 0.75]], np.float32)
    found = read_boxes(
        raw,
        np.array([0.5, 0.9, 0.8], np.float32),
        np.array([3, 4, 5]),
        image_input=frame,
        letterbox=prepared.letterboxes["boxed"],
        score_threshold=0.5,
        nms_iou=1.0,
    )
    assert [box.class_id for box in found] == [5, 3]
    np.testing.assert_allclose(
        [found[1].x_min, found[1].y_min, found[1].x_max, found[1].y_max], [0, 0, 0.5, 1], atol=1e-6
    )


def test_the_threshold_and_the_limit_hold() -> None:
    raw = np.tile(np.array([0.1, 0.1, 0.9, 0.9], np.float32), (3, 1))
    scores, classes = np.array([0.2, 0.6, 0.4], np.float32), np.array([0, 1, 2])
    options = {"image_input": INPUTS[0], "letterbox": None, "nms_iou": 1.0}
    found = read_boxes(raw, scores, classes, score_threshold=0.4, **options)
    assert [box.class_id for box in found] == [1, 2]
    assert len(read_boxes(raw, scores, classes, score_threshold=0, max_detections=1, **options)) == 1


def test_the_weaker_of_two_boxes_of_one_object_goes() -> None:
    cat, same_cat, dog_there, other_cat = [0, 0, 0.5, 0.5], [0, 0, 0.5, 0.45], [0, 0, 0.5, 0.5], [0.4, 0.4, 1, 1]
    found = read_boxes(
        np.array([same_cat, cat, dog_there, other_cat], np.float32),
        np.array([0.6, 0.9, 0.5, 0.4], np.float32),
        np.array([15, 15, 16, 15]),
        image_input=INPUTS[0],
        letterbox=None,
        score_threshold=0.0,
        nms_iou=0.6,
    )
    assert [(box.class_id, round(box.score, 1)) for box in found] == [(15, 0.9), (16, 0.5), (15, 0.4)]
