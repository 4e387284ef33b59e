"""The HTTP API over the real embedder, detector and search."""

import io
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from support.photos import encoded, noise_jpeg


def search(http: httpx.Client, **body: Any) -> Any:
    answer = http.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_text_image_and_region(http: httpx.Client, photos: Path) -> None:
    best = search(http, query=[{"text": "a cat"}])["results"][0]
    assert best["file_name"] == "chelsea.png"
    cat = (photos / "chelsea.png").read_bytes()
    upload_id = http.post("/v1/uploads", files={"file": cat}).json()["upload_id"]
    by_upload = search(http, query=[{"upload_id": upload_id}])["results"][0]
    assert by_upload["id"] == best["id"]
    assert by_upload["score"] == pytest.approx(1, abs=0.01)
    by_file = http.post("/v1/search", files={"file": cat}).json()["results"][0]
    assert by_file["id"] == best["id"]
    region = {"x": 0.2, "y": 0.1, "w": 0.6, "h": 0.6}
    for term in ({"upload_id": upload_id}, {"image_id": best["id"]}):
        whole = search(http, query=[term])["results"][0]["score"]
        part = search(http, query=[{**term, "region": region}])["results"][0]["score"]
        assert part < whole


def test_weights_push_away(http: httpx.Client) -> None:
    plain = search(http, query=[{"text": "motorcycle"}])["results"]
    mixed = search(http, query=[{"text": "cup of coffee"}, {"text": "motorcycle", "weight": -1}])["results"]
    assert plain[0]["file_name"].startswith("motorcycle")
    assert mixed[-1]["file_name"].startswith("motorcycle")


def test_pages_are_the_list_in_parts(http: httpx.Client) -> None:
    whole = [hit["id"] for hit in search(http, query=[{"text": "photo"}])["results"]]
    pages, cursor = [], None
    while True:
        page = search(http, query=[{"text": "photo"}], limit=2, cursor=cursor)
        pages += [hit["id"] for hit in page["results"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert pages == whole


@pytest.mark.parametrize("cursor", ["x", "AAAA", "é" * 50, "A" * 4000])
def test_cursors_that_are_none(http: httpx.Client, cursor: str) -> None:
    answer = http.post("/v1/search", json={"query": [{"text": "a"}], "cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "cursor_invalid")


def test_labels_and_filters(http: httpx.Client) -> None:
    labels = {item["class"] for item in http.get("/v1/labels").json()["labels"]}
    assert "cat" in labels
    with_cat = search(http, query=[{"text": "photo"}], filter={"labels": {"all": ["cat"]}})["results"]
    assert {hit["file_name"] for hit in with_cat} == {"chelsea.png"}
    without = search(http, query=[{"text": "photo"}], filter={"labels": {"none": ["cat"]}})["results"]
    assert "chelsea.png" not in {hit["file_name"] for hit in without}
    assert search(http, query=[{"text": "a"}], filter={"license": {"ne": "cc0"}})["results"] == []
    assert (
        len(search(http, query=[{"text": "a"}], filter={"or": [{"format": "png"}, {"width": {"gte": 1}}]})["results"])
        == 6
    )
    unknown = http.get("/v1/search?q=a&label=unicorn")
    assert (unknown.status_code, unknown.json()["code"]) == (422, "label_unknown")
    assert unknown.json()["errors"][0]["pointer"] == "/label"


def test_the_life_of_an_image(http: httpx.Client) -> None:
    data = noise_jpeg(77, 700, 500)
    added = http.post(
        "/v1/images?wait=60", files={"file": ("noise.jpg", data)}, data={"license": "by", "creator": "Ada"}
    )
    assert (added.status_code, added.json()["state"]) == (201, "indexed"), added.text
    location = added.headers["location"]
    record = http.get(location).json()
    assert (record["width"], record["height"], record["rights"]["creator"]) == (700, 500, "Ada")
    assert http.post("/v1/search", files={"file": data}).json()["results"][0]["id"] == record["id"]
    assert http.get(location + "/file").content == data
    for size in (100, 320, 640):
        thumb = http.get(f"{location}/thumb", params={"size": size})
        assert max(Image.open(io.BytesIO(thumb.content)).size) == size
    alike = http.get(location + "/similar").json()["results"]
    assert len(alike) == 6
    assert record["id"] not in {hit["id"] for hit in alike}
    assert http.post("/v1/images", files={"file": data}).status_code == 200
    assert http.delete(location).status_code == 204
    assert http.get(location).status_code == 404
    assert record["id"] not in {hit["id"] for hit in http.post("/v1/search", files={"file": data}).json()["results"]}
    again = http.post("/v1/images?wait=60", files={"file": data})
    assert (again.status_code, again.json()["created"]) == (201, True)
    assert http.delete(location).status_code == 204


def test_detect_and_embed(http: httpx.Client, photos: Path) -> None:
    cat = (photos / "chelsea.png").read_bytes()
    found = http.post("/v1/detect", files={"file": cat}).json()
    assert found["labels"][0]["class"] == "cat"
    x, y, w, h = found["labels"][0]["bbox"]
    assert 0 <= x < x + w <= found["width"]
    assert 0 <= y < y + h <= found["height"]
    alone = http.post("/v1/embed", json={"texts": ["a cat"]}).json()
    batch = http.post("/v1/embed", json={"texts": ["x", "a cat", "a long text about something else"]}).json()
    assert alone["embeddings"][0] == pytest.approx(batch["embeddings"][1], abs=1e-5)
    assert http.get("/v1/status").json()["index"]["space"] == alone["space"]


def test_a_moved_original_keeps_its_thumb(http: httpx.Client, photos: Path) -> None:
    hit = next(h for h in search(http, query=[{"text": "rocket"}])["results"] if h["file_name"] == "rocket.jpg")
    path = photos / "rocket.jpg"
    data = path.read_bytes()
    path.unlink()
    try:
        missing = http.get(hit["urls"]["file"])
        assert (missing.status_code, missing.json()["code"]) == (404, "image_missing")
        assert str(photos) not in missing.text
        assert http.get(hit["urls"]["thumb"]).status_code == 200
        region = {"x": 0, "y": 0, "w": 0.5, "h": 0.5}
        part = http.post("/v1/search", json={"query": [{"image_id": hit["id"], "region": region}]})
        assert (part.status_code, part.json()["code"]) == (404, "image_missing")
        assert str(photos) not in part.text
    finally:
        path.write_bytes(data)
    assert http.get(hit["urls"]["file"]).content == data


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 422, "image_empty"),
        (b"text", 415, "image_unsupported_format"),
        (noise_jpeg(1, 500, 500)[:4000], 422, "image_truncated"),
        (encoded(Image.new("1", (20_000, 20_000)), "PNG"), 422, "image_too_many_pixels"),
        (b"\xff\xd8\xff" + b"\0" * 3_500_000, 413, "image_too_large"),
        (b"\xff\xd8\xff" + b"\0" * 6_000_000, 413, "image_too_large"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/images", "/v1/uploads", "/v1/search", "/v1/detect", "/v1/embed"])
def test_bad_images(http: httpx.Client, path: str, data: bytes, status: int, code: str) -> None:
    try:
        answer = http.post(path, files={"file": data})
    except httpx.WriteError:  # the server has answered and closed while the rest was still being sent
        pytest.skip("the answer was lost with the connection")
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
