"""Taking images in, showing and deleting them."""

import hashlib
import io
import struct
import zlib

import pytest
from PIL import Image
from support.photos import encoded, noise_jpeg
from unit.gateway.conftest import StartGateway
from unit.gateway.harness import Gateway

from kindred.search.v1 import search_pb2


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(side: int = 30_000) -> bytes:
    """A few kilobytes that announce side x side pixels, all of them there, compressed to almost nothing."""
    rows = zlib.compressobj(9)
    data = rows.compress(b"\0" * 10**6) + rows.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = _png_chunk(b"IHDR", header) + _png_chunk(b"IDAT", data) + _png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def photo_with_exif() -> bytes:
    """40 x 20 stored, EXIF says turned by 90 degrees, with artist and copyright."""
    exif = Image.Exif()
    exif[0x0112], exif[0x013B], exif[0x8298] = 6, "Grace", "(c) Grace"
    return encoded(Image.new("RGB", (40, 20), "teal"), "JPEG", exif=exif)


async def test_a_new_image_is_durable_before_the_answer(gateway: Gateway) -> None:
    gateway.search.state = search_pb2.STATE_STORED
    data = noise_jpeg(1)
    answer = await gateway.http.post("/v1/images", files={"file": ("a.jpg", data)})
    image_id = hashlib.sha256(data).hexdigest()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/images/{image_id}"
    assert answer.json()["state"] == "stored"
    assert gateway.blobs.objects[f"images/{image_id[:2]}/{image_id}"][0] == data
    again = await gateway.http.post("/v1/images", files={"file": ("a.jpg", data)})
    assert (again.status_code, again.json()["created"]) == (200, False)


async def test_wait_until_indexed(gateway: Gateway) -> None:
    gateway.search.state = search_pb2.STATE_STORED
    gateway.search.polls_until_indexed = 4
    answer = await gateway.http.post("/v1/images?wait=30", files={"file": noise_jpeg(1)})
    assert (answer.status_code, answer.json()["state"]) == (201, "indexed")


async def test_wait_ends_with_the_time(gateway: Gateway) -> None:
    gateway.search.state = search_pb2.STATE_STORED
    answer = await gateway.http.post("/v1/images?wait=0.05", files={"file": noise_jpeg(1)})
    assert (answer.status_code, answer.json()["state"]) == (202, "stored")


@pytest.mark.parametrize("wait", ["-1", "61", "nan", "soon"])
async def test_bad_wait(gateway: Gateway, wait: str) -> None:
    answer = await gateway.http.post(f"/v1/images?wait={wait}", files={"file": noise_jpeg(1)})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/wait")
    assert gateway.blobs.objects == {}


async def test_given_rights_win_over_the_files_own(gateway: Gateway) -> None:
    image_id = await gateway.add(
        photo_with_exif(), creator="Ada\u202e\n", license="by", source="trip", origin="generated", visibility="private"
    )
    body = (await gateway.http.get(f"/v1/images/{image_id}")).json()
    assert (body["width"], body["height"]) == (20, 40)
    assert body["rights"]["creator"] == "Ada"
    assert body["rights"]["copyright_notice"] == "(c) Grace"
    assert body["rights"]["license"] == "by"
    assert (body["source"], body["origin"], body["visibility"]) == ("trip", "generated", "private")
    assert (body["file_name"], body["format"], body["state"]) == ("photo.jpg", "jpeg", "indexed")
    assert body["ingested_at"] == "2023-11-14T22:13:20.000Z"
    assert "blob_key" not in body


async def test_embedded_rights_fill_the_gaps(gateway: Gateway) -> None:
    image_id = await gateway.add(photo_with_exif())
    rights = (await gateway.http.get(f"/v1/images/{image_id}")).json()["rights"]
    assert (rights["creator"], rights["license"]) == ("Grace", "unknown")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "C:\\temp\\a\nb.jpg", 'x"; filename="y.html', "\u202egpj.exe", "a" * 5000, "日本.jpg"]
)
async def test_hostile_file_names(gateway: Gateway, name: str) -> None:
    answer = await gateway.http.post("/v1/images", files={"file": (name, noise_jpeg(1))})
    assert answer.status_code in {200, 202, 201, 400}
    if answer.status_code < 400:
        record = (await gateway.http.get(answer.headers["location"])).json()
        shown = record["file_name"] or ""
        assert len(shown) <= 255
        assert not {"/", "\\", "\n", "\u202e"} & set(shown)
        file = await gateway.http.get(answer.headers["location"] + "/file")
        assert file.status_code == 200
        disposition = file.headers["content-disposition"]
        assert disposition.startswith('inline; filename="')
        assert disposition.isascii()


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 422, "image_empty"),
        (b"hello", 415, "image_unsupported_format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "image_unsupported_format"),
        (noise_jpeg(1, 400, 400)[:3000], 422, "image_truncated"),
        (png_bomb(), 422, "image_too_many_pixels"),
        (png_bomb(5000), 422, "image_truncated"),
    ],
)
async def test_bad_images_are_told_apart_and_nothing_is_stored(
    gateway: Gateway, data: bytes, status: int, code: str
) -> None:
    for path in ("/v1/images", "/v1/uploads"):
        answer = await gateway.http.post(path, files={"file": ("photo.jpg", data)})
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert gateway.blobs.objects == {}
    assert gateway.search.records == {}


async def test_an_image_over_the_limit(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_image_bytes=2000)
    data = noise_jpeg(1, 400, 400)
    assert len(data) > 2000
    answer = await gateway.http.post("/v1/images", files={"file": data})
    assert (answer.status_code, answer.json()["code"]) == (413, "image_too_large")
    assert gateway.blobs.objects == {}


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"license": "gpl"}, "/license"),
        ({"license": "by", "license_url": "https://creativecommons.org/licenses/by-nc/4.0/"}, "/license_url"),
        ({"license_url": "javascript:alert(1)"}, "/license_url"),
        ({"source_url": "https://a b"}, "/source_url"),
        ({"creator": "x" * 1001}, "/creator"),
        ({"visibility": "secret"}, "/visibility"),
        ({"origin": "dream"}, "/origin"),
        ({"owner": "somebody"}, "/owner"),
    ],
)
async def test_bad_fields(gateway: Gateway, fields: dict[str, str], pointer: str) -> None:
    answer = await gateway.http.post("/v1/images", files={"file": noise_jpeg(1)}, data=fields)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), answer.text
    assert gateway.blobs.objects == {}


async def test_delete_is_the_owners(gateway: Gateway) -> None:
    image_id = await gateway.add()
    assert (await gateway.http.delete(f"/v1/images/{image_id}")).status_code == 204
    gone = await gateway.http.delete(f"/v1/images/{image_id}")
    assert (gone.status_code, gone.json()["code"]) == (404, "image_not_found")
    assert set(gateway.search.principals) == {"local"}


@pytest.mark.parametrize("image_id", ["abc", "A" * 64, "0" * 64, "%00", "..%2f..%2fetc%2fpasswd", "'; drop table--"])
async def test_unknown_ids(gateway: Gateway, image_id: str) -> None:
    for path in ("", "/file", "/thumb", "/similar"):
        answer = await gateway.http.get(f"/v1/images/{image_id}{path}")
        assert answer.status_code == 404
        assert answer.json()["code"] in {"image_not_found", "route_not_found"}


async def test_file_and_caching(gateway: Gateway) -> None:
    data = noise_jpeg(1)
    image_id = await gateway.add(data)
    file = await gateway.http.get(f"/v1/images/{image_id}/file")
    assert (file.content, file.headers["content-type"]) == (data, "image/jpeg")
    assert file.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in file.headers["content-security-policy"]
    assert "immutable" in file.headers["cache-control"]
    current = await gateway.http.get(f"/v1/images/{image_id}/file", headers={"If-None-Match": file.headers["etag"]})
    assert (current.status_code, current.content) == (304, b"")
    head = await gateway.http.head(f"/v1/images/{image_id}/file")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(data)))


async def test_a_format_off_the_list_is_never_shown_inline(gateway: Gateway) -> None:
    image_id = await gateway.add()
    gateway.search.records[image_id].format = "text/html"
    file = await gateway.http.get(f"/v1/images/{image_id}/file")
    assert file.headers["content-type"] == "application/octet-stream"
    assert file.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("change", ["gone", "changed"])
async def test_a_missing_original_keeps_its_thumb(gateway: Gateway, change: str) -> None:
    image_id = await gateway.add(noise_jpeg(1, 800, 400))
    record = gateway.search.records[image_id]
    record.thumb_key = "thumbs/x.jpg"
    thumb = noise_jpeg(9, 320, 160)
    await gateway.blobs.put("thumbs/x.jpg", thumb)
    if change == "gone":
        await gateway.blobs.delete(record.blob_key)
    else:
        await gateway.blobs.put(record.blob_key, noise_jpeg(2))
    file = await gateway.http.get(f"/v1/images/{image_id}/file")
    assert (file.status_code, file.json()["code"]) == (404, "image_missing")
    assert (await gateway.http.get(f"/v1/images/{image_id}/thumb")).content == thumb
    large = await gateway.http.get(f"/v1/images/{image_id}/thumb?size=1024")
    assert (large.content, large.headers["cache-control"]) == (thumb, "no-store")


@pytest.mark.parametrize("size", [64, 320, 500, 1024])
async def test_thumb_sizes(gateway: Gateway, size: int) -> None:
    image_id = await gateway.add(noise_jpeg(1, 800, 400))
    await gateway.blobs.put("thumbs/x.jpg", noise_jpeg(9, 320, 160))
    gateway.search.records[image_id].thumb_key = "thumbs/x.jpg"
    answer = await gateway.http.get(f"/v1/images/{image_id}/thumb?size={size}")
    assert answer.headers["content-type"] == "image/jpeg"
    assert max(Image.open(io.BytesIO(answer.content)).size) == min(size, 800)


@pytest.mark.parametrize("size", ["63", "1025", "big", ""])
async def test_bad_thumb_sizes(gateway: Gateway, size: str) -> None:
    image_id = await gateway.add()
    answer = await gateway.http.get(f"/v1/images/{image_id}/thumb?size={size}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/size")
