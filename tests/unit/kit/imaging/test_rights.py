"""EXIF, IPTC-IIM and XMP, built by hand."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from kindred_kit.imaging import EmbeddedRights, ImageLimits, license_id_from_url, probe

LIMITS = ImageLimits()
_ARTIST, _COPYRIGHT = 0x013B, 0x8298

XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
  xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/"
  xmlns:cc="http://creativecommons.org/ns#" photoshop:Credit="Åsa / Agency" {attributes}>
<dc:creator><rdf:Seq><rdf:li>Åsa Öberg</rdf:li><rdf:li>Second Author</rdf:li></rdf:Seq></dc:creator>
<dc:rights><rdf:Alt><rdf:li xml:lang="de">Alle Rechte</rdf:li>
<rdf:li xml:lang="x-default">© 2024 Åsa</rdf:li></rdf:Alt></dc:rights>
{elements}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
LICENSE = '<cc:license rdf:resource="https://creativecommons.org/licenses/by-sa/4.0/"/>'


def _xmp(attributes: str = 'xmpRights:WebStatement="https://example.org/p/1"', elements: str = LICENSE) -> bytes:
    return XMP.format(attributes=attributes, elements=elements).encode()


def _data_set(record: int, number: int, value: bytes) -> bytes:
    return struct.pack(">BBBH", 0x1C, record, number, len(value)) + value


def _jpeg_with_iptc(jpeg: bytes, iim: bytes) -> bytes:
    resource = (
        b"8BIM" + struct.pack(">H", 0x0404) + b"\0\0" + struct.pack(">I", len(iim)) + iim + b"\0" * (len(iim) % 2)
    )
    body = b"Photoshop 3.0\0" + resource
    return jpeg[:2] + b"\xff\xed" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def _rights(data: bytes) -> EmbeddedRights:
    return probe(data, LIMITS).rights


def test_nothing_embedded(samples: dict[str, bytes]) -> None:
    for data in samples.values():
        info = probe(data, LIMITS)
        assert info.rights == EmbeddedRights()
        assert info.generation_text == {}
        assert info.taken_at is None


@pytest.mark.parametrize("format_name", ["JPEG", "WEBP", "AVIF", "HEIF", "TIFF", "PNG"])
def test_xmp_in_every_format(format_name: str, picture: Image.Image, encode: Callable[..., bytes]) -> None:
    if format_name == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", _xmp().decode())
        options: dict[str, Any] = {"pnginfo": text}
    elif format_name == "TIFF":
        options = {"tiffinfo": {700: _xmp()}}
    else:
        options = {"xmp": _xmp()}
    data = encode(picture, format_name, **options)
    assert _rights(data) == EmbeddedRights(
        creator="Åsa Öberg; Second Author",
        credit="Åsa / Agency",
        copyright_notice="© 2024 Åsa",
        license_url="https://creativecommons.org/licenses/by-sa/4.0/",
        source_url="https://example.org/p/1",
    )
    assert probe(data, LIMITS).generation_text == {}


def test_a_licence_in_web_statement_is_a_licence(picture: Image.Image, encode: Callable[..., bytes]) -> None:
    url = "http://creativecommons.org/publicdomain/zero/1.0/"
    rights = _rights(encode(picture, "JPEG", xmp=_xmp(f'xmpRights:WebStatement="{url}"', "")))
    assert (rights.license_url, rights.source_url) == (url, None)


def test_urls_that_a_browser_would_run_are_dropped(picture: Image.Image, encode: Callable[..., bytes]) -> None:
    xmp = _xmp('xmpRights:WebStatement="javascript:alert(1)"', '<cc:license rdf:resource="data:text/html,x"/>')
    rights = _rights(encode(picture, "JPEG", xmp=xmp))
    assert (rights.license_url, rights.source_url) == (None, None)


def test_iptc_utf8_and_legacy_text(samples: dict[str, bytes]) -> None:
    declared = _data_set(1, 90, b"\x1b%G") + _data_set(2, 80, "Žofie".encode()) + _data_set(2, 80, b"Bob")
    iim = declared + _data_set(2, 110, b"Agency") + _data_set(2, 116, "© Žofie".encode())
    rights = _rights(_jpeg_with_iptc(samples["jpeg"], iim))
    assert (rights.creator, rights.credit, rights.copyright_notice) == ("Žofie; Bob", "Agency", "© Žofie")
    legacy = _rights(_jpeg_with_iptc(samples["jpeg"], _data_set(2, 80, "René – studio".encode("cp1252"))))
    assert legacy.creator == "René – studio"


def test_exif_artist_and_both_copyrights(picture: Image.Image, encode: Callable[..., bytes]) -> None:
    exif = Image.Exif()
    exif[_ARTIST] = "Jörg".encode()
    exif[_COPYRIGHT] = b"Photographer\0Editor"
    rights = _rights(encode(picture, "JPEG", exif=exif.tobytes()))
    assert rights.creator == "Jörg"
    assert rights.copyright_notice == "Photographer; Editor"


def test_xmp_wins_over_iptc_over_exif(picture: Image.Image, encode: Callable[..., bytes]) -> None:
    exif = Image.Exif()
    exif[_ARTIST], exif[_COPYRIGHT] = "from exif", "exif copyright"
    iim = _data_set(2, 80, b"from iptc")
    both = _jpeg_with_iptc(encode(picture, "JPEG", exif=exif.tobytes()), iim)
    assert _rights(both).creator == "from iptc"
    assert _rights(both).copyright_notice == "exif copyright"
    all_three = _jpeg_with_iptc(encode(picture, "JPEG", exif=exif.tobytes(), xmp=_xmp()), iim)
    assert _rights(all_three).creator == "Åsa Öberg; Second Author"


def test_text_is_cleaned_and_bounded(samples: dict[str, bytes]) -> None:
    nasty = "A\x07\x1b[31m\u202eevil\u200b\r\nB".encode() + b" " + b"x" * 5000
    iim = _data_set(1, 90, b"\x1b%G") + _data_set(2, 80, nasty) + _data_set(2, 110, b" \0 ")
    rights = _rights(_jpeg_with_iptc(samples["jpeg"], iim))
    assert rights.creator is not None
    assert rights.creator.startswith("A[31mevil B xxx")
    assert len(rights.creator) == 1000
    assert rights.credit is None


@pytest.mark.parametrize(
    "packet",
    [
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>',
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
        b"<x:xmpmeta><unclosed>",
        b"not xml at all",
        b"\xff\xfe\x00<",
        b"<a>" * 20_000,
        b'<?xml version="1.0" encoding="no-such-charset"?><a/>',
        b"",
    ],
)
def test_hostile_or_malformed_xmp_is_ignored(packet: bytes, picture: Image.Image, encode: Callable[..., bytes]) -> None:
    assert _rights(encode(picture, "JPEG", xmp=packet)) == EmbeddedRights()


def test_malformed_iptc_is_ignored(samples: dict[str, bytes]) -> None:
    rng = random.Random(11)
    good = _data_set(2, 80, b"Ann") + _data_set(2, 110, b"Agency")
    for _ in range(200):
        iim = bytearray(good)
        iim[rng.randrange(len(iim))] = rng.randrange(256)
        probe(_jpeg_with_iptc(samples["jpeg"], bytes(iim[: rng.randrange(1, len(iim) + 1)])), LIMITS)
    extended = struct.pack(">BBBHI", 0x1C, 2, 80, 0x8004, 3) + b"Ann"
    assert _rights(_jpeg_with_iptc(samples["jpeg"], extended)).creator == "Ann"


def test_taken_at(picture: Image.Image, encode: Callable[..., bytes]) -> None:
    def taken(when: str, offset: str | None = None) -> str | None:
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = when
        if offset is not None:
            exif.get_ifd(0x8769)[0x9011] = offset
        return probe(encode(picture, "JPEG", exif=exif.tobytes()), LIMITS).taken_at

    assert taken("2024:05:01 12:30:00") == "2024-05-01T12:30:00"
    assert taken("2024:05:01 12:30:00", "+02:00") == "2024-05-01T12:30:00+02:00"
    assert taken("2024:05:01 12:30:00", "??") == "2024-05-01T12:30:00"
    assert taken("0000:00:00 00:00:00") is None


def test_generation_text_is_kept_raw_and_bounded(picture: Image.Image, encode: Callable[..., bytes]) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a cat\nSteps: 20, Seed: 7")
    text.add_itxt("prompt", '{"näme": "猫"}', zip=True)
    text.add_text("workflow", "w" * 900_000, zip=True)
    found = probe(encode(picture, "PNG", pnginfo=text), LIMITS).generation_text
    assert found["parameters"] == "a cat\nSteps: 20, Seed: 7"
    assert found["prompt"] == '{"näme": "猫"}'
    assert found["workflow"] == "w" * 256 * 1024


def test_text_behind_the_pixels_without_nul_and_not_too_many(samples: dict[str, bytes]) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    data = samples["png"]
    iend = data.index(b"IEND") - 4
    late = (
        chunk(b"tEXt", b"parameters\0a\0b \xff") + chunk(b"zTXt", b"bad\0\0not zlib") + chunk(b"iTXt", b"short\0\0\0")
    )
    many = b"".join(chunk(b"tEXt", b"key%d\0v" % n) for n in range(100))
    found = probe(data[:iend] + late + many + data[iend:], LIMITS).generation_text
    assert found["parameters"] == "ab ÿ"
    assert "bad" not in found
    assert len(found) <= 32


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://creativecommons.org/licenses/by/4.0/", "by"),
        ("http://www.creativecommons.org/licenses/BY-SA/2.0/de/deed.en", "by-sa"),
        ("https://creativecommons.org/licenses/by-nc/3.0", "by-nc"),
        ("https://creativecommons.org/licenses/by-nd/4.0/legalcode", "by-nd"),
        ("https://creativecommons.org/licenses/by-nc-sa/4.0/", "by-nc-sa"),
        ("https://creativecommons.org/licenses/by-nc-nd/4.0/", "by-nc-nd"),
        ("https://creativecommons.org/licenses/by-nd-nc/1.0/", "by-nc-nd"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "cc0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "pdm"),
        ("https://unsplash.com/license", "unsplash"),
        ("https://creativecommons.org/licenses/sampling+/1.0/", "unknown"),
        ("https://creativecommons.org/", "unknown"),
        ("https://evil.example/creativecommons.org/licenses/by/4.0/", "unknown"),
        ("https://creativecommons.org.evil.example/licenses/by/4.0/", "unknown"),
        ("javascript://creativecommons.org/licenses/by/4.0/", "unknown"),
        ("https://[broken", "unknown"),
        ("", "unknown"),
    ],
)
def test_license_names(url: str, name: str) -> None:
    assert license_id_from_url(url) == name
