"""Everything that a folder of a real user may hold: each fault gets its reason, and the rest is indexed."""

import io
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.commands import CommandLine, serving
from support.photos import encoded, skimage_photo


def png_bomb(side: int) -> bytes:
    """A PNG of side x side black pixels in few bytes."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    packed = zlib.compress(bytes((side // 8 + 1) * side), 9)
    chunks = [(b"IHDR", header), (b"IDAT", packed), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def frames(kind: str) -> bytes:
    images = [Image.new("RGB", (64, 48), colour) for colour in ("red", "green", "blue")]
    return encoded(images[0], kind, save_all=True, append_images=images[1:], duration=100)


def good_files() -> dict[bytes, bytes]:
    """File name -> bytes; all have other pixels, so that none is a copy of another."""
    cat = Image.open(io.BytesIO(skimage_photo("chelsea.png"))).convert("RGB").resize((200, 133))
    grey16 = Image.fromarray(np.asarray(cat.convert("L")).astype(np.uint16) * 257)
    turned = Image.Exif()
    turned[0x0112] = 6
    return {
        b"cmyk.jpg": encoded(cat.convert("CMYK"), "JPEG"),
        b"grey.jpg": encoded(cat.convert("L"), "JPEG"),
        b"sixteen.png": encoded(grey16, "PNG"),
        b"palette.png": encoded(cat.quantize(16), "PNG"),
        b"alpha.png": encoded(cat.convert("RGBA").rotate(15, expand=True), "PNG"),
        b"moving.gif": frames("GIF"),
        b"moving.webp": frames("WEBP"),
        b"phone.avif": encoded(cat, "AVIF"),
        b"phone.heic": heic(cat),
        b"turned.jpg": encoded(cat, "JPEG", exif=turned),
        b"thin.png": encoded(Image.new("RGB", (1, 4000), "blue"), "PNG"),
        b"two words.jpg": encoded(cat, "JPEG", quality=91),
        b"two\nlines.jpg": encoded(cat, "JPEG", quality=92),
        b"caf\xe9.jpg": encoded(cat, "JPEG", quality=93),
        b"without_suffix": encoded(cat, "JPEG", quality=94),
    }


def heic(image: Image.Image) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer)
    return buffer.getvalue()


def bad_files() -> dict[str, tuple[bytes, str]]:
    """File name -> bytes and the code of the reason."""
    whole = encoded(Image.open(io.BytesIO(skimage_photo("coffee.png"))).convert("RGB"), "JPEG")
    return {
        "empty.jpg": (b"", "image_empty"),
        "cut.jpg": (whole[: len(whole) // 2], "image_truncated"),
        "renamed.jpg": (b"This is a text, whatever its name says.\n" * 20, "image_unsupported_format"),
        "bomb.png": (png_bomb(30_000), "image_too_many_pixels"),
    }


@dataclass(frozen=True)
class Indexed:
    """What the first run answered as JSON and the second on the terminal."""

    summary: dict[str, Any]
    shown: str
    command_line: CommandLine
    folder: Path


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Indexed]:
    """The folder indexed once with JSON, then once more for people, beside a server."""
    folder = tmp_path_factory.mktemp("bad") / "photos"
    folder.mkdir()
    root = os.fsencode(folder)
    for name, data in good_files().items():
        with open(os.path.join(root, name), "wb") as file:
            file.write(data)
    for bad_name, (data, _) in bad_files().items():
        (folder / bad_name).write_bytes(data)
    (folder / "zz the same again.jpg").write_bytes(good_files()[b"two words.jpg"])
    with (folder / "huge.jpg").open("wb") as file:
        file.truncate(60_000_000)
    (folder / "gone.jpg").symlink_to(folder / "nothing")
    (folder / "circle.jpg").symlink_to(folder / "circle.jpg")
    (folder / "up").symlink_to(folder)
    (folder / "notes.txt").write_text("words")
    (folder / ".DS_Store").write_bytes(b"x")
    os.mkfifo(folder / "pipe.jpg")
    command_line = CommandLine(folder.parent / "gallery")
    for _ in serving(command_line, folder.parent / "server.log"):
        summary = command_line.json("index", folder)
        yield Indexed(summary, command_line.run("index", folder).stdout, command_line, folder)


def test_everything_good_is_indexed(indexed: Indexed) -> None:
    summary = indexed.summary
    assert (summary["indexed"], summary["duplicates"]) == (len(good_files()), 1)
    assert indexed.command_line.json("status")["indexed"] == len(good_files())


def test_each_fault_has_its_reason(indexed: Indexed) -> None:
    codes = {Path(failure["path"]).name: failure["code"] for failure in indexed.summary["failures"]}
    assert codes == {
        **{name: code for name, (_, code) in bad_files().items()},
        "huge.jpg": "image_too_large",
        "gone.jpg": "file_missing",
        "circle.jpg": "file_unreadable",
        "pipe.jpg": "file_unreadable",
    }
    assert all(failure["detail"] for failure in indexed.summary["failures"])


def test_what_is_no_image_is_skipped(indexed: Indexed) -> None:
    assert indexed.summary["skipped_by_suffix"] == {".txt": 1}


def test_a_second_run_says_the_same_and_embeds_nothing(indexed: Indexed) -> None:
    shown = indexed.shown
    assert f"0 indexed, {len(good_files())} already known, 1 duplicate, 8 failed" in shown
    for code in ("image_empty", "image_truncated", "image_too_many_pixels", "image_unsupported_format"):
        assert code in shown
    assert "The run itself went well" in shown


def test_the_second_copy_gives_the_photo_no_other_name(indexed: Indexed) -> None:
    shown = indexed.command_line.run("show", indexed.folder / "zz the same again.jpg").stdout
    assert "two words.jpg" in shown
    assert "zz the same again" not in shown


def test_hostile_names_are_shown_safely(indexed: Indexed) -> None:
    command_line, folder = indexed.command_line, indexed.folder
    assert r"caf\xe9.jpg" in command_line.run("show", os.fsencode(folder) + b"/caf\xe9.jpg").stdout
    assert r"two\nlines.jpg" in command_line.run("show", folder / "two\nlines.jpg").stdout


def test_orientation_is_applied(indexed: Indexed) -> None:
    command_line, folder = indexed.command_line, indexed.folder
    shown = command_line.json("show", folder / "turned.jpg")
    assert (shown["width"], shown["height"]) == (133, 200)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_has_a_reason(command_line: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    closed = tmp_path / "photos" / "closed.jpg"
    closed.write_bytes(encoded(Image.new("RGB", (9, 9)), "JPEG"))
    closed.chmod(0)
    summary = command_line.json("index", tmp_path / "photos", expect=1)
    assert [failure["code"] for failure in summary["failures"]] == ["file_unreadable"]


def test_a_folder_without_images_is_said(command_line: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "No images were found" in command_line.run("index", tmp_path / "empty", expect=1).stdout
