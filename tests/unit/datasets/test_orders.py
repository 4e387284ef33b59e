"""Orders are checked to the last bound; what tells two of them apart."""

from typing import Any

import numpy as np
import pytest

from kindred.datasets.v1 import datasets_pb2 as pb
from kindred.search.v1 import search_pb2
from kindred_datasets.orders import checked_order, digest_of
from kindred_kit.embeddings import embedding_message
from kindred_kit.errors import KindredError

ID = "0" * 64
QUERY = pb.Query(terms=[search_pb2.Term(image_id=ID, weight=1)])


def failures(**box: float) -> pb.FailureSet:
    missed = [pb.Missed(**{"x_min": 0.1, "y_min": 0.1, "x_max": 0.2, "y_max": 0.2, **box})] if box else []
    return pb.FailureSet(photos=[pb.FailurePhoto(image_id=ID, missed=missed)])


def test_defaults() -> None:
    spec = checked_order(pb.DatasetSpec(ids=pb.Ids(image_ids=[ID, "1" * 64])))
    assert (spec.size, spec.name, spec.format) == (2, "dataset", pb.FORMAT_COCO)
    assert spec.val_share == pytest.approx(0.2)
    assert checked_order(pb.DatasetSpec(query=QUERY, size=1, val_share=0)).val_share == 0


@pytest.mark.parametrize(
    ("spec", "code", "pointer"),
    [
        ({}, "invalid_argument", ""),
        ({"query": QUERY}, "size_invalid", "/size"),
        ({"query": QUERY, "size": 100_001}, "size_invalid", "/size"),
        ({"query": QUERY, "size": -1}, "size_invalid", "/size"),
        ({"query": QUERY, "size": 1, "diversity": 1.01}, "invalid_argument", "/diversity"),
        ({"query": QUERY, "size": 1, "diversity": float("nan")}, "invalid_argument", "/diversity"),
        ({"query": QUERY, "size": 1, "min_score": -1.5}, "invalid_argument", "/min_score"),
        ({"query": pb.Query(), "size": 1, "min_score": 0.1}, "invalid_argument", "/min_score"),
        ({"query": QUERY, "size": 1, "val_share": 0.95}, "invalid_argument", "/val_share"),
        ({"query": QUERY, "size": 1, "label_min_score": 1.5}, "threshold_invalid", "/labels/min_score"),
        ({"query": QUERY, "size": 1, "class_thresholds": {"dog": -1}}, "threshold_invalid", "/labels/thresholds/dog"),
        ({"query": QUERY, "size": 1, "format": 77}, "format_unknown", "/format"),
        ({"query": QUERY, "size": 1, "license_type": "free"}, "invalid_argument", "/license_type"),
        ({"ids": pb.Ids()}, "invalid_argument", "/ids"),
        ({"ids": pb.Ids(image_ids=["x"])}, "invalid_argument", "/ids/0"),
        ({"failures": pb.FailureSet(), "size": 1}, "invalid_argument", "/failures"),
        ({"failures": pb.FailureSet(photos=[pb.FailurePhoto()]), "size": 1}, "invalid_argument", "/failures/0"),
        ({"failures": failures(x_max=1.2), "size": 1}, "region_invalid", "/failures/0/boxes/0"),
        ({"failures": failures(x_max=0.05), "size": 1}, "region_invalid", "/failures/0/boxes/0"),
        ({"failures": failures(y_min=float("nan")), "size": 1}, "region_invalid", "/failures/0/boxes/0"),
        ({"query": QUERY, "size": 1, "holdout": [pb.GivenImage(blob_key="../up")]}, "invalid_argument", "/holdout/0"),
        ({"query": QUERY, "size": 1, "holdout_ids": ["x"]}, "invalid_argument", "/holdout/image_ids/0"),
    ],
)
def test_bad_orders(spec: dict[str, Any], code: str, pointer: str) -> None:
    with pytest.raises(KindredError) as raised:
        checked_order(pb.DatasetSpec(**spec))
    assert (raised.value.code, raised.value.pointer) == (code, pointer)


def test_the_same_text_is_the_same_order_whatever_its_floats() -> None:
    def order(value: float, text: str) -> str:
        term = search_pb2.Term(embedding=embedding_message(np.array([value], np.float32)), weight=1)
        return digest_of(pb.DatasetSpec(query=pb.Query(terms=[term], text=text), size=3))

    assert order(0.1, "a dog") == order(0.1000001, "a dog")
    assert order(0.1, "a dog") != order(0.1, "a cat")
    assert order(0.1, "") != order(0.2, "")


def test_a_name_is_cleaned() -> None:
    assert checked_order(pb.DatasetSpec(query=QUERY, size=1, name="a\x1b[31m\u202eb" + "x" * 300)).name[:1] == "a"
    assert len(checked_order(pb.DatasetSpec(query=QUERY, size=1, name="x" * 300)).name) == 200
