"""Who finds an image, and under which licence, as tokens of an index row.

A row says `public` if anyone may see it and `o:<owner>` for each owner with a claim. Beside each stands the licence
which that reader is shown: `o:<owner>|license:<id>` is the owner's own word, `public|license:<id>` that of the oldest
public claim. So a licence filter never looks at what another account says in private.
"""

import re
from collections.abc import Sequence

from kindred_kit.errors import InvalidArgument, PrincipalMissing
from kindred_search.catalogue.projecting import ClaimAccess
from kindred_search.domain import Visibility
from kindred_search.vectors.port import And, HasAny, IndexFilter, Not, Or

_OWNER = re.compile(r"[a-z0-9_-]{1,64}")
_LICENSE = re.compile(r"[a-z0-9][a-z0-9._+-]{0,63}")

PUBLIC = "public"


def require_owner(owner: str) -> str:
    """The principal's owner id. Raises PrincipalMissing, InvalidArgument."""
    if not owner:
        raise PrincipalMissing("the call names no principal")
    if not _OWNER.fullmatch(owner):
        raise InvalidArgument("an owner id has 1 to 64 of a-z, 0-9, '_' and '-'")
    return owner


def require_license(license_id: str) -> str:
    """A licence id such as by-sa. Raises InvalidArgument."""
    if not _LICENSE.fullmatch(license_id):
        raise InvalidArgument(f"not a licence id: {license_id[:80]!r}")
    return license_id


def tokens(claims: Sequence[ClaimAccess]) -> tuple[str, ...]:
    """Tokens of an image with these claims, oldest first."""
    found: list[str] = []
    public = next((claim for claim in claims if claim.visibility is Visibility.PUBLIC), None)
    if public is not None:
        found += [PUBLIC, _with_license(PUBLIC, public.license)]
    for claim in claims:
        found += [_own(claim.owner), _with_license(_own(claim.owner), claim.license)]
    return tuple(found)


def visible_to(owner: str) -> IndexFilter:
    """The filter that every search carries."""
    return HasAny("access", (PUBLIC, _own(owner)))


def license_in(owner: str, licenses: Sequence[str]) -> IndexFilter:
    """The licence that `owner` is shown is one of these."""
    own = HasAny("access", tuple(_with_license(_own(owner), name) for name in licenses))
    public = HasAny("access", tuple(_with_license(PUBLIC, name) for name in licenses))
    return Or((own, And((public, Not(HasAny("access", (_own(owner),)))))))


def _own(owner: str) -> str:
    return f"o:{owner}"


def _with_license(reader: str, license_id: str) -> str:
    return f"{reader}|license:{license_id}"
