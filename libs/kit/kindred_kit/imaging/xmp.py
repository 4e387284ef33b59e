"""Read a few properties of an XMP packet (ISO 16684-1), which is XML from a stranger."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped,unused-ignore]

CC = "http://creativecommons.org/ns#"
DC = "http://purl.org/dc/elements/1.1/"
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
XMP_RIGHTS = "http://ns.adobe.com/xap/1.0/rights/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
# Photoshop histories make packets of a megabyte; rights stand in the first kilobytes of any honest one.
_MAX_PACKET_BYTES = 1_000_000


class XmpPacket:
    """Properties of a packet by namespace and name. A malformed or hostile packet has none."""

    def __init__(self, packet: bytes) -> None:
        self._descriptions: list[Element] = []
        packet = packet.strip(b"\x00 \t\r\n")
        if not packet or len(packet) > _MAX_PACKET_BYTES:
            return
        try:
            root: Element = fromstring(packet, forbid_dtd=True)
        except Exception:  # ParseError, entity bombs, unknown encodings, bad bytes: nothing there can be believed
            return
        self._descriptions = list(root.iter(f"{{{_RDF}}}Description"))

    def values(self, namespace: str, name: str) -> tuple[str, ...]:
        """The property's texts: list items in order (the default language first), a simple value or a resource link."""
        tag = f"{{{namespace}}}{name}"
        for description in self._descriptions:
            found = tuple(text for text in _values(description, tag) if text)
            if found:
                return found
        return ()


def _values(description: Element, tag: str) -> Iterator[str]:
    yield (description.get(tag) or "").strip()
    for element in description.findall(tag):
        yield (element.get(f"{{{_RDF}}}resource") or "").strip()
        items = list(element.iter(f"{{{_RDF}}}li"))
        items.sort(key=lambda item: item.get(_XML_LANG) != "x-default")
        for item in items:
            yield (item.text or "").strip()
        if not items:
            yield (element.text or "").strip()
