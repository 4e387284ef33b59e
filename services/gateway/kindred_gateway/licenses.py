"""Rights as an uploader gives them, and their merge with those in the file."""

import re
from dataclasses import dataclass

from kindred.search.v1 import search_pb2
from kindred_gateway.problems import FieldError, RequestInvalid
from kindred_kit.imaging import EmbeddedRights, license_id_from_url
from kindred_kit.imaging.rights import MAX_TEXT_CHARS, clean_text
from kindred_kit.licenses import LICENSES

_HTTP_URL = re.compile(r"https?://[^\s<>\"'\\]+", re.IGNORECASE)


@dataclass(frozen=True)
class GivenRights:
    """What the uploader said; empty where nothing was said."""

    license: str = ""
    license_url: str = ""
    creator: str = ""
    source_url: str = ""
    attribution: str = ""
    credit: str = ""


def checked_rights(
    license_name: str, license_url: str, creator: str, source_url: str, attribution: str, credit: str = ""
) -> GivenRights:
    """Clean texts, http(s) URLs, a known licence that the URL does not contradict. Raises RequestInvalid."""
    if license_name and license_name not in LICENSES:
        raise _invalid("license", f"not a licence: one of {', '.join(LICENSES)}")
    for name, url in (("license_url", license_url), ("source_url", source_url)):
        if url and (len(url) > MAX_TEXT_CHARS or not url.isprintable() or not _HTTP_URL.fullmatch(url)):
            raise _invalid(name, "not an http or https URL")
    meant = license_id_from_url(license_url) if license_url else "unknown"
    if license_name and meant not in {"unknown", license_name}:
        raise _invalid("license_url", f"the URL is that of {meant}, not of {license_name}")
    return GivenRights(
        license=license_name or (meant if meant != "unknown" else ""),
        license_url=license_url,
        creator=checked_text("creator", creator),
        source_url=source_url,
        attribution=checked_text("attribution", attribution),
        credit=checked_text("credit", credit),
    )


def checked_text(name: str, text: str, max_chars: int = MAX_TEXT_CHARS) -> str:
    """`text` without control and hidden characters. Raises RequestInvalid when it is too long."""
    if len(text) > max_chars:
        raise _invalid(name, f"longer than {max_chars} characters")
    return clean_text(text, max_chars) or ""


def merged(given: GivenRights, embedded: EmbeddedRights) -> search_pb2.Rights:
    """Given fields win over the file's own; a file's licence URL never stands beside another given licence."""
    license_url = given.license_url
    if not license_url and embedded.license_url:
        found = license_id_from_url(embedded.license_url)
        license_url = embedded.license_url if given.license in {"", found} else ""
    found = license_id_from_url(license_url) if license_url else "unknown"
    return search_pb2.Rights(
        license=given.license or found,
        license_url=license_url,
        creator=given.creator or embedded.creator or "",
        credit=given.credit or embedded.credit or "",
        copyright_notice=embedded.copyright_notice or "",
        source_url=given.source_url or embedded.source_url or "",
        attribution=given.attribution,
    )


def _invalid(name: str, detail: str) -> RequestInvalid:
    return RequestInvalid([FieldError(f"/{name}", "value_invalid", detail)])
