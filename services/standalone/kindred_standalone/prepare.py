"""One file -> what the catalogue is told about it: hash, size, header, rights."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from kindred.search.v1 import search_pb2 as pb
from kindred_kit.adapters.file_references import read_regular
from kindred_kit.errors import ImageChanged, ImageEmpty, ImageMissing, ImageTooLarge
from kindred_kit.generated import generation_message, origin_of
from kindred_kit.imaging import ImageInfo, ImageLimits, license_id_from_url, probe
from kindred_standalone.errors import FileUnreadable
from kindred_standalone.references import file_key
from kindred_standalone.text import printable


@dataclass(frozen=True)
class Labels:
    """What the user says of all files of a run. `license` and `origin` are empty where the files' own word counts."""

    license: str = ""
    source: str = ""
    origin: str = ""


@dataclass(frozen=True)
class FileVersion:
    """A file as the disk lists it: unchanged as long as both numbers are."""

    size_bytes: int
    mtime_ns: int


def file_version(path: bytes) -> FileVersion:
    """Look at a file without opening it. Raises ImageMissing, or FileUnreadable for one that is no regular file."""
    try:
        info = os.stat(path)
    except FileNotFoundError as error:
        raise ImageMissing("there is no such file") from error
    except OSError as error:
        raise FileUnreadable(f"the file can't be read: {(error.strerror or str(error)).lower()}") from error
    if not stat.S_ISREG(info.st_mode):
        raise FileUnreadable("not a regular file")  # a pipe would block whoever opens it
    return FileVersion(info.st_size, info.st_mtime_ns)


def read_checked(path: bytes, version: FileVersion, limits: ImageLimits) -> bytes:
    """The bytes of a file. Raises ImageEmpty, ImageTooLarge (without reading), FileUnreadable, ImageChanged."""
    if version.size_bytes == 0:
        raise ImageEmpty("the file is empty")
    if version.size_bytes > limits.max_bytes:
        raise ImageTooLarge(f"the file has {version.size_bytes:,} bytes, more than the {limits.max_bytes:,} allowed")
    try:
        data = read_regular(Path(os.fsdecode(path)), limits.max_bytes + 1)
    except OSError as error:
        raise FileUnreadable(f"the file can't be read: {(error.strerror or str(error)).lower()}") from error
    if file_version(path) != version:
        raise ImageChanged("the file changed while it was read; run the command again")
    return data


def prepare(path: bytes, version: FileVersion, labels: Labels, limits: ImageLimits) -> pb.NewImage:
    """Read, probe and hash one file. Raises ImageError with a reason for a person."""
    data = read_checked(path, version, limits)
    info = probe(data, limits)
    origin = origin_of(labels.origin, info.generation)
    return pb.NewImage(
        image_id=hashlib.sha256(data).hexdigest(),
        blob_key=file_key(path),
        byte_size=version.size_bytes,
        mtime_ns=version.mtime_ns,
        width=info.width,
        height=info.height,
        format=info.format,
        origin=origin,
        taken_at=info.taken_at or "",
        claim=pb.Claim(
            rights=_rights(info, labels),
            visibility=pb.VISIBILITY_PUBLIC,
            source=labels.source,
            file_name=printable(os.fsdecode(os.path.basename(path))),
        ),
        generation=generation_message(origin, info.generation),
    )


def _rights(info: ImageInfo, labels: Labels) -> pb.Rights:
    own = info.rights
    embedded = license_id_from_url(own.license_url) if own.license_url else "unknown"
    license_name = labels.license or embedded
    return pb.Rights(
        license=license_name,
        # a URL beside a licence that it does not name would contradict it
        license_url=(own.license_url or "") if license_name == embedded else "",
        creator=own.creator or "",
        credit=own.credit or "",
        copyright_notice=own.copyright_notice or "",
        source_url=own.source_url or "",
    )
