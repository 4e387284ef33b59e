"""Signed links: they open one data set, for a while, and cannot be made up."""

import pytest

from kindred_gateway.datasets import links
from kindred_gateway.datasets.links import LinkExpired, LinkInvalid, LinkSigner

SIGNER = LinkSigner(b"secret", 3600)


def test_a_token_names_its_owner() -> None:
    token, _ = SIGNER.token("ds_1", "ada")
    assert SIGNER.owner("ds_1", token) == "ada"


def test_a_token_is_for_one_data_set_and_one_secret() -> None:
    token, _ = SIGNER.token("ds_1", "ada")
    for signer, dataset_id in ((SIGNER, "ds_2"), (LinkSigner(b"other", 3600), "ds_1")):
        with pytest.raises(LinkInvalid):
            signer.owner(dataset_id, token)


def test_no_letter_of_a_token_can_be_changed() -> None:
    token, _ = SIGNER.token("ds_1", "ada")
    opened = []
    for place, letter in enumerate(token[:-1]):  # the last letter may carry bits that mean nothing
        other = token[:place] + ("A" if letter != "A" else "B") + token[place + 1 :]
        try:
            opened.append(SIGNER.owner("ds_1", other))
        except LinkInvalid:
            continue
    assert opened == []


@pytest.mark.parametrize("token", ["", "x", "ü", "====", "A" * 400, "../..", "YQ"])
def test_hostile_tokens(token: str) -> None:
    with pytest.raises(LinkInvalid):
        SIGNER.owner("ds_1", token)


def test_a_token_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    token, expires = SIGNER.token("ds_1", "ada")
    monkeypatch.setattr(links.time, "time", lambda: expires + 1)
    with pytest.raises(LinkExpired):
        SIGNER.owner("ds_1", token)
