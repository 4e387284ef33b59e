"""What is given and what a file says of its rights, put together."""

from typing import get_args

import pytest

from kindred_gateway.filters import LicenseName
from kindred_gateway.licenses import checked_rights, merged
from kindred_gateway.problems import RequestInvalid
from kindred_kit.imaging import EmbeddedRights
from kindred_kit.licenses import LICENSE_TYPES, LICENSES

BY = "https://creativecommons.org/licenses/by/4.0/"
BY_NC = "https://creativecommons.org/licenses/by-nc/4.0/"


@pytest.mark.parametrize(
    ("license_name", "license_url", "embedded_url", "expected"),
    [
        ("", "", None, ("unknown", "")),
        ("by", "", None, ("by", "")),
        ("", BY, None, ("by", BY)),
        ("by", BY, BY_NC, ("by", BY)),
        ("by", "", BY_NC, ("by", "")),  # the file's URL is another licence's
        ("by", "", BY, ("by", BY)),
        ("", "", BY_NC, ("by-nc", BY_NC)),
        ("", "https://example.com/terms", BY, ("unknown", "https://example.com/terms")),
        ("proprietary", "https://example.com/terms", None, ("proprietary", "https://example.com/terms")),
    ],
)
def test_licences(license_name: str, license_url: str, embedded_url: str | None, expected: tuple[str, str]) -> None:
    given = checked_rights(license_name, license_url, "", "", "")
    rights = merged(given, EmbeddedRights(license_url=embedded_url))
    assert (rights.license, rights.license_url) == expected


def test_given_texts_win_and_gaps_are_filled() -> None:
    given = checked_rights("", "", "Ada", "", "Ada, 2026")
    embedded = EmbeddedRights(
        creator="Grace", credit="Agency", copyright_notice="(c)", source_url="https://a.example/x"
    )
    rights = merged(given, embedded)
    assert (rights.creator, rights.credit, rights.copyright_notice) == ("Ada", "Agency", "(c)")
    assert (rights.source_url, rights.attribution) == ("https://a.example/x", "Ada, 2026")


def test_a_url_of_another_licence_is_refused() -> None:
    with pytest.raises(RequestInvalid) as caught:
        checked_rights("cc0", BY, "", "", "")
    assert caught.value.pointer == "/license_url"


def test_licence_lists_agree() -> None:
    assert get_args(LicenseName) == LICENSES
    assert all(set(names) <= set(LICENSES) for names in LICENSE_TYPES.values())
