import numpy as np
import pytest

from kindred_kit.errors import InvalidArgument, PrincipalMissing
from kindred_search import access
from kindred_search.catalogue.projecting import ClaimAccess
from kindred_search.domain import Visibility
from kindred_search.vectors.evaluate import passes
from kindred_search.vectors.port import IndexFilter, Row

PUBLIC, PRIVATE = Visibility.PUBLIC, Visibility.PRIVATE


def found(claims: list[ClaimAccess], where: IndexFilter) -> bool:
    row = Row("0" * 64, np.ones(1, dtype=np.float32), 1, access.tokens(claims), (), "photo", "jpeg", 1, 1, 1)
    return passes(row, where)


def test_a_private_claim_is_for_its_owner() -> None:
    claims = [ClaimAccess("ann", PRIVATE, "by")]
    assert access.tokens(claims) == ("o:ann", "o:ann|license:by")
    assert found(claims, access.visible_to("ann"))
    assert not found(claims, access.visible_to("bob"))


def test_a_licence_filter_reads_the_own_claim_else_the_oldest_public_one() -> None:
    claims = [ClaimAccess("ann", PRIVATE, "by"), ClaimAccess("bob", PUBLIC, "cc0"), ClaimAccess("cem", PUBLIC, "by-sa")]
    shown = {"ann": "by", "bob": "cc0", "cem": "by-sa", "dan": "cc0"}
    for owner, license_id in shown.items():
        for other in ("by", "cc0", "by-sa", "pdm"):
            assert found(claims, access.license_in(owner, [other])) is (other == license_id)
    assert found(claims, access.license_in("dan", ["pdm", "cc0"]))


def test_no_owner_can_look_like_another_token() -> None:
    assert access.require_owner("acct_12-x") == "acct_12-x"
    with pytest.raises(PrincipalMissing):
        access.require_owner("")
    for wrong in ("A", "a b", "a|license:by", "o:a", "a'", "x" * 65, "ü", "a\n"):
        with pytest.raises(InvalidArgument):
            access.require_owner(wrong)


@pytest.mark.parametrize("wrong", ["", "BY", "by sa", "by|x", "'", "x" * 65, "-by"])
def test_a_licence_has_a_plain_name(wrong: str) -> None:
    with pytest.raises(InvalidArgument):
        access.require_license(wrong)
