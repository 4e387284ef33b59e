"""One file -> its record."""

import hashlib
import io
import os
from pathlib import Path

import pytest
from PIL import Image

from kindred_kit.adapters.file_references import referenced_path
from kindred_kit.errors import ImageChanged, ImageEmpty, ImageError, ImageTooLarge
from kindred_kit.imaging import ImageLimits
from kindred_standalone.prepare import FileVersion, Labels, file_version, prepare

LIMITS = ImageLimits()


def jpeg(**options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(buffer, "JPEG", **options)
    return buffer.getvalue()


def written(path: Path, data: bytes) -> bytes:
    path.write_bytes(data)
    return os.fsencode(path)


def test_hash_size_and_reference(tmp_path: Path) -> None:
    data = jpeg()
    path = written(tmp_path / "caf\udce9 \n.jpg", data)
    image = prepare(path, file_version(path), Labels(source="holiday"), LIMITS)
    assert image.image_id == hashlib.sha256(data).hexdigest()
    assert (image.width, image.height, image.format, image.byte_size) == (40, 30, "jpeg", len(data))
    assert os.fsencode(referenced_path(image.blob_key) or "") == path
    assert image.claim.file_name == r"caf\xe9 \n.jpg"
    assert image.claim.source == "holiday"
    assert image.claim.rights.license == "unknown"
    assert image.origin == "photo"


def test_the_users_licence_wins_over_the_files_own(tmp_path: Path) -> None:
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:cc="http://creativecommons.org/ns#">'
        b'<cc:license rdf:resource="https://creativecommons.org/licenses/by/4.0/"/></rdf:Description></rdf:RDF></x:xmpmeta>'
    )
    path = written(tmp_path / "a.jpg", jpeg(xmp=xmp))
    own = prepare(path, file_version(path), Labels(), LIMITS).claim.rights
    assert (own.license, own.license_url) == ("by", "https://creativecommons.org/licenses/by/4.0/")
    said = prepare(path, file_version(path), Labels(license="cc0"), LIMITS).claim.rights
    assert (said.license, said.license_url) == ("cc0", "")


def test_an_empty_file_has_its_own_reason(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jpg", b"")
    with pytest.raises(ImageEmpty):
        prepare(path, file_version(path), Labels(), LIMITS)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    with path.open("wb") as file:
        file.truncate(10**12)  # sparse: reading it would take the memory of the machine
    with pytest.raises(ImageTooLarge):
        prepare(os.fsencode(path), file_version(os.fsencode(path)), Labels(), LIMITS)


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jpg", jpeg())
    with pytest.raises(ImageChanged):
        prepare(path, FileVersion(1, 2), Labels(), LIMITS)


@pytest.mark.parametrize("make", ["missing", "folder", "pipe", "loop"])
def test_what_is_no_file_has_a_reason(tmp_path: Path, make: str) -> None:
    path = tmp_path / "a.jpg"
    if make == "folder":
        path.mkdir()
    elif make == "pipe":
        os.mkfifo(path)
    elif make == "loop":
        path.symlink_to(path)
    with pytest.raises(ImageError) as caught:
        file_version(os.fsencode(path))
    assert caught.value.code == ("image_missing" if make == "missing" else "file_unreadable")
