"""README.txt of an export: how to load it."""

from __future__ import annotations

from kindred_datasets.export.formats import Form

PATH = "README.txt"

_HEAD = """\
Images labelled by Kindred. The boxes come from a detector and were not checked by a person.

manifest.json     what the images were chosen for, with which models and thresholds; counts; SHA-256 of every file
attribution.csv   creator, licence and source of every image: give credit as its licence asks
preview.html      a sample with its boxes, to be opened in a browser
"""

_LOAD: dict[Form, str] = {
    "coco": """
images/train, images/val                                   image files
annotations/instances_train.json, instances_val.json       boxes in COCO's format

Load it:
    pycocotools.coco.COCO("annotations/instances_train.json")
    supervision.DetectionDataset.from_coco("images/train", "annotations/instances_train.json")
    datumaro.Dataset.import_from(".", "coco")

Every annotation has a `score`, and in `attributes` its source (single, tta, wbf), the agreement (how many runs of the
detector saw it), its model and its label set.
""",
    "yolo": """
data.yaml                       classes, and where the images are
images/train, images/val        image files
labels/train, labels/val        boxes: class, centre x, centre y, width, height, as shares of the image
scores/train, scores/val        line by line beside labels: score, source, agreement, model, label set

Load it:
    yolo detect train data=data.yaml
    supervision.DetectionDataset.from_yolo("images/train", "labels/train", "data.yaml")
    datumaro.Dataset.import_from(".", "yolo")

Where no image was kept for validation, images/val is missing: put your own there, with labels/val.
""",
    "voc": """
JPEGImages                                 image files
Annotations                                boxes
ImageSets/Main/train.txt, val.txt          which image is for what
dataset_meta.json                          the classes, for Datumaro and CVAT

Load it:
    supervision.DetectionDataset.from_pascal_voc("JPEGImages", "Annotations")
    datumaro.Dataset.import_from(".", "voc", coordinate_mode="voc-one-based")
    torchvision.datasets.VOCDetection(root)  where this folder is root/VOCdevkit/VOC2012

Pixels count from 1 and a box holds both its first and its last: take 1 from xmin and ymin, and nothing from xmax and
ymax. Corners may have decimals: read them as float. Every object has a <score>, and in <attributes> its source (single,
tta, wbf), the agreement (how many runs of the detector saw it), its model and its label set.
""",
}

_LINKS = """
This data set holds links, not image files: links.csv names each file and where it comes from. To fetch them all, with a
key in KINDRED_API_KEY where the server asks for one:

    import csv, hashlib, os, pathlib, urllib.request
    key = os.environ.get("KINDRED_API_KEY")
    for row in csv.DictReader(open("links.csv", encoding="utf-8", newline="")):
        request = urllib.request.Request(row["url"], headers={"Authorization": f"Bearer {key}"} if key else {})
        data = urllib.request.urlopen(request).read()
        assert hashlib.sha256(data).hexdigest() == row["sha256"], row["path"]
        path = pathlib.Path(row["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

Boxes are those of the upright image: where a photo says in its EXIF how it is to be turned, a reader must do so.
"""


def text(form: Form, *, links: bool) -> str:
    return _HEAD + _LOAD[form] + (_LINKS if links else "")
