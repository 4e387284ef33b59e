"""YOLOv7: decoding and NMS inside the graph are those of a plain numpy reading, and boxes find home."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from support.pulled_models import model_folder, pulled
from support.yolo_heads import (
    ANCHORS,
    CLASSES,
    PX,
    STRIDES,
    Thing,
    crowded_heads,
    decoded,
    empty_heads,
    images_of,
    network_file,
    publisher_file,
    put,
    reference,
)

from kindred_kit.errors import ModelInvalid
from kindred_kit.graphs.nms import DETECTIONS, PLUGIN_DOMAIN
from kindred_kit.graphs.prepare import make_ready, write_graph
from kindred_kit.imaging import resize_letterbox
from kindred_kit.models import ModelManifest, read_boxes

HEADS = [crowded_heads(seed) for seed in range(8)]
NMS_IOU, FLOOR = 0.65, 0.001


def prepared(tmp_path: Path, model: onnx.ModelProto, **changes: object) -> ModelManifest:
    file = tmp_path / "published.onnx"
    file.write_bytes(model.SerializeToString())
    return pulled(model_folder(tmp_path / "models", "yolov7", file, changes=changes), file, tmp_path / "store")


def session(path: Path) -> ort.InferenceSession:
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def fitting(width: float, height: float) -> tuple[int, int]:
    """Scale and number of the smallest anchor whose quadruple is larger than a box of these sides."""
    return next(
        (scale, number)
        for scale, anchors in enumerate(ANCHORS)
        for number, (anchor_w, anchor_h) in enumerate(anchors)
        if width < 3.5 * anchor_w and height < 3.5 * anchor_h
    )


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> ort.InferenceSession:
    manifest = prepared(tmp_path_factory.mktemp("yolo"), publisher_file(HEADS))
    make_ready(manifest)
    return session(manifest.onnx_path)


@pytest.mark.parametrize("numbers", [[3], [0, 1, 2, 3], [7, 6, 5, 4, 3, 2, 1, 0]])
def test_the_graph_finds_what_plain_numpy_finds(crowded: ort.InferenceSession, numbers: list[int]) -> None:
    boxes, scores, classes = crowded.run(["boxes", "scores", "classes"], {"image": images_of(numbers)})
    assert boxes.shape == (len(numbers), DETECTIONS, 4)
    assert scores.shape == classes.shape == (len(numbers), DETECTIONS)
    assert classes.dtype == np.int64
    for row, number in enumerate(numbers):
        wanted = reference(decoded(HEADS[number]), NMS_IOU, FLOOR)
        assert 60 < len(wanted) <= DETECTIONS
        found = int((scores[row] > 0).sum())
        assert found == len(wanted)
        np.testing.assert_allclose(scores[row, :found], [score for _, score, _ in wanted], atol=1e-5)
        assert list(classes[row, :found]) == [class_id for class_id, _, _ in wanted]
        np.testing.assert_allclose(boxes[row, :found] * PX, [box for _, _, box in wanted], atol=1e-2)
        assert not boxes[row, found:].any()


@pytest.mark.parametrize(
    ("layout", "activated"),
    [
        ("decoded", False),
        ("decoded columns first", False),
        ("planes", False),
        ("pixels", True),
        ("rows, anchors", True),
    ],
)
def test_heads_of_every_form_give_the_same_boxes(
    crowded: ort.InferenceSession, tmp_path: Path, layout: str, activated: bool
) -> None:
    manifest = prepared(tmp_path, publisher_file(HEADS[:2], layout=layout, activated=activated, open_batch=False))
    make_ready(manifest)
    found = session(manifest.onnx_path).run(["boxes", "scores", "classes"], {"image": images_of([1, 0])})
    wanted = crowded.run(["boxes", "scores", "classes"], {"image": images_of([1, 0])})
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("opset", [12, 17, 20])
def test_a_network_exported_for_one_image_takes_more_and_decodes_as_its_own_code_does(
    tmp_path: Path, opset: int
) -> None:
    """The same network with its heads raw and decoded; as exports are, with the batch written into its reshapes."""
    found = []
    pixels = np.random.default_rng(2).integers(0, 256, (3, PX, PX, 3)).astype(np.uint8)
    for decodes in (False, True):
        folder = tmp_path / str(decodes)
        folder.mkdir()
        manifest = prepared(folder, network_file(decodes=decodes, opset=opset))
        make_ready(manifest)
        graph = session(manifest.onnx_path)
        together = graph.run(["boxes", "scores", "classes"], {"image": pixels})
        alone = [graph.run(["boxes", "scores", "classes"], {"image": pixels[row : row + 1]}) for row in range(3)]
        for number, value in enumerate(together):
            np.testing.assert_allclose(np.concatenate([row[number] for row in alone]), value, atol=1e-5)
        found.append(together)
    assert (found[0][1] > 0.001).sum() > 100
    for raw, own in zip(*found, strict=True):
        np.testing.assert_allclose(raw, own, atol=1e-4)


def test_a_network_of_any_size_gets_the_manifests(tmp_path: Path) -> None:
    found = []
    for any_size in (False, True):
        folder = tmp_path / str(any_size)
        folder.mkdir()
        manifest = prepared(folder, network_file(decodes=False, opset=17, any_size=any_size))
        make_ready(manifest)
        pixels = np.random.default_rng(2).integers(0, 256, (1, PX, PX, 3)).astype(np.uint8)
        found.append(session(manifest.onnx_path).run(["boxes", "scores", "classes"], {"image": pixels}))
    for fixed, free in zip(*found, strict=True):
        np.testing.assert_allclose(fixed, free, atol=1e-5)


def test_int8_weights_of_convolutions(tmp_path: Path) -> None:
    """Random heads turn on the last digit; that scores are of the same size shows that scales sit on the right axis."""
    manifest = prepared(tmp_path, network_file(decodes=False, opset=17))
    pixels = np.random.default_rng(2).integers(0, 256, (2, PX, PX, 3)).astype(np.uint8)
    scores, sizes = [], []
    for precision in ("fp32", "int8"):
        write_graph(manifest, tmp_path / "graph.onnx", precision=precision)
        sizes.append((tmp_path / "graph.onnx").stat().st_size)
        scores.append(session(tmp_path / "graph.onnx").run(["scores"], {"image": pixels})[0])
    assert np.abs(scores[0][:, :100] - scores[1][:, :100]).max() < 0.02
    assert sizes[1] < 0.7 * sizes[0]


@pytest.mark.parametrize(("height", "width"), [(480, 640), (1080, 1920), (333, 517), (4000, 1), (1, 4000), (90, 60)])
def test_boxes_come_back_through_the_letterbox_within_half_a_pixel(tmp_path: Path, height: int, width: int) -> None:
    random = np.random.default_rng(height)
    scale = min(PX / width, PX / height)
    pad_x, pad_y = ((PX - max(1, round(side * scale))) // 2 for side in (width, height))
    heads = empty_heads(random)
    along = 0 if width >= height else 1  # six objects, side by side along the longer side
    wanted = []
    for class_id in range(6):
        corners = np.array([0.1, 0.2, 0.9, 0.9]) if min(height, width) > 1 else np.array([0.0, 0.0, 1.0, 1.0])
        corners[along], corners[along + 2] = class_id / 6, (class_id + 0.8) / 6
        corners *= (width, height, width, height)
        x_min, y_min, x_max, y_max = corners * scale + [pad_x, pad_y, pad_x, pad_y]
        thing = Thing(((x_min + x_max) / 2, (y_min + y_max) / 2, x_max - x_min, y_max - y_min), class_id)
        put(heads, thing, *fitting(thing.box[2], thing.box[3]))
        wanted.append(corners)
    manifest = prepared(tmp_path, publisher_file([heads]))
    write_graph(manifest, tmp_path / "graph.onnx")
    boxes, scores, classes = session(tmp_path / "graph.onnx").run(
        ["boxes", "scores", "classes"], {"image": images_of([0])}
    )
    _, letterbox = resize_letterbox(np.zeros((height, width, 3), np.uint8), PX, PX)
    found = read_boxes(
        boxes[0],
        scores[0],
        classes[0],
        image_input=manifest.boxes_input,
        letterbox=letterbox,
        score_threshold=0.5,
        nms_iou=NMS_IOU,
    )
    assert sorted(box.class_id for box in found) == list(range(6))
    for box in found:
        corners_px = np.array([box.x_min, box.y_min, box.x_max, box.y_max]) * [width, height, width, height]
        np.testing.assert_allclose(corners_px, wanted[box.class_id], atol=0.5)


def test_the_tensorrt_graph_has_the_plugin_and_the_same_outputs(tmp_path: Path) -> None:
    manifest = prepared(tmp_path, publisher_file(HEADS[:1]))
    write_graph(manifest, tmp_path / "trt.onnx", engine="tensorrt")
    model = onnx.load(tmp_path / "trt.onnx")
    onnx.checker.check_model(model)
    [plugin] = [node for node in model.graph.node if node.domain == PLUGIN_DOMAIN]
    assert plugin.op_type == "EfficientNMS_TRT"
    assert {entry.name: onnx.helper.get_attribute_value(entry) for entry in plugin.attribute} == {
        "plugin_version": b"1",
        "background_class": -1,
        "box_coding": 0,
        "iou_threshold": pytest.approx(NMS_IOU),
        "max_output_boxes": DETECTIONS,
        "score_activation": 0,
        "score_threshold": pytest.approx(FLOOR),
    }
    assert not any(node.op_type == "NonMaxSuppression" for node in model.graph.node)
    shapes = {
        value.name: [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in [*model.graph.input, *model.graph.output]
    }
    assert shapes == {
        "image": ["n", PX, PX, 3],
        "boxes": ["n", DETECTIONS, 4],
        "scores": ["n", DETECTIONS],
        "classes": ["n", DETECTIONS],
    }


def test_a_file_with_other_heads_says_what_it_has(tmp_path: Path) -> None:
    heads = [[np.zeros((3, PX // stride, PX // stride, 7), np.float32) for stride in STRIDES]]
    with pytest.raises(
        ModelInvalid, match=rf"published.onnx: a YOLOv7 of {CLASSES} classes .* out2 float32 \[\?, 3, 20"
    ):
        write_graph(prepared(tmp_path, publisher_file(heads)), tmp_path / "graph.onnx")


def test_raw_heads_need_anchors(tmp_path: Path) -> None:
    manifest = prepared(tmp_path, publisher_file(HEADS[:1]), prepare={"anchors": []})
    with pytest.raises(ModelInvalid, match=r"prepare\.anchors"):
        write_graph(manifest, tmp_path / "graph.onnx")
